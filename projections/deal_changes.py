"""What one event changed of a deal: what is claimed of it, and what its evidence supports.

Law: before and after are folded at the same instant, that at which the event was recorded, from the
events up to it without it and with it. So whatever differs is the doing of this event alone, never
of time that passed. A deal that a scope does not hold before or after is not there on that side;
where it is not there afterwards, the event itself is not told, which may name who has it now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from ledger.domain.basis import Basis
from ledger.domain.events import Event, stream_id
from ledger.domain.money import format_amount
from projections.alone import judge_alone
from projections.audience import Audience, basis_of
from projections.qualified import BookDeal, Judge
from projections.reader import LogReader

CLAIMED = ("name", "account", "owner", "stage", "category", "amount", "close_date", "outcome")
EVIDENCED = ("evidenced_category", "stands_at", "weight_percent")


class DealStanding(NamedTuple):
    """A deal at an instant.

    Args:
        claimed: the fields of `CLAIMED`, as text.
        evidenced: those of `EVIDENCED`, as text.
        criteria: criterion -> its status.
    """

    claimed: Mapping[str, str | None]
    evidenced: Mapping[str, str | None]
    criteria: Mapping[str, str]

    @property
    def owner(self) -> str | None:
        """Who owns the deal."""
        return self.claimed["owner"]


class FieldChange(NamedTuple):
    """A field that the event changed.

    Args:
        layer: claimed, evidenced or criterion.
        field: its name, or the criterion's key.
        before: as text; None where there was none.
        after: the same afterwards.
    """

    layer: str
    field: str
    before: str | None
    after: str | None


class DealChange(NamedTuple):
    """What one event changed of a deal, as a scope shows it.

    Args:
        deal_id: the deal's own id.
        position: the event's.
        basis: that of the later side.
        event: None where the deal is not there afterwards.
        before: None where it was not there.
        after: None where it is not there any more.
        changes: the fields that differ; all that are there where only one side is.
    """

    deal_id: str
    position: int
    basis: Basis
    event: Event | None
    before: DealStanding | None
    after: DealStanding | None
    changes: tuple[FieldChange, ...]


def deal_change(reader: LogReader, audience: Audience, event: Event) -> DealChange | None:
    """What an event of a deal changed; None where it changed nothing that the scope shows.

    Args:
        reader: of the log.
        audience: who is told.
        event: of a deal; it is told as the reader reads it.
    """
    history = audience.history(event)
    if not history:
        return None
    scope = audience.scope(event)
    playbooks = audience.playbooks(event)
    judge = judge_alone(reader, basis_of(event), event["recorded_at"], playbooks, history)
    before, after = (
        standing if standing is not None and scope.holds(standing.owner) else None
        for standing in (
            _standing(event, history[:-1], judge),
            _standing(event, history, judge),
        )
    )
    changes = tuple(_changes(before, after))
    if not changes:
        return None
    return DealChange(
        stream_id(event["stream"]),
        event["position"],
        basis_of(event),
        None if after is None else history[-1],
        before,
        after,
        changes,
    )


def _standing(event: Event, history: Sequence[Event], judge: Judge) -> DealStanding | None:
    deal = BookDeal.fold(stream_id(event["stream"]), list(history), judge)
    if deal is None:
        return None
    claimed, verdict = deal.claimed, deal.verdict
    amount, close_date = claimed.amount, claimed.close_date
    told: Mapping[str, Any] = {
        "name": claimed.name,
        "account": claimed.account,
        "owner": claimed.owner,
        "stage": claimed.stage,
        "category": str(claimed.category),
        "amount": None if amount is None else f"{format_amount(amount.amount)} {amount.currency}",
        "close_date": close_date.isoformat() if isinstance(close_date, date) else None,
        "outcome": claimed.outcome,
    }
    evidenced = {
        "evidenced_category": str(verdict.category),
        "stands_at": verdict.gate,
        "weight_percent": str(verdict.weight_percent),
    }
    criteria = {each.key: str(each.status) for each in deal.qualification.criteria}
    return DealStanding(told, evidenced, criteria)


def _changes(before: DealStanding | None, after: DealStanding | None) -> Iterator[FieldChange]:
    layers: tuple[tuple[str, str], ...] = (
        ("claimed", "claimed"), ("evidenced", "evidenced"), ("criterion", "criteria"),
    )  # fmt: skip
    for layer, attribute in layers:
        was: Mapping[str, str | None] = getattr(before, attribute, {})
        now: Mapping[str, str | None] = getattr(after, attribute, {})
        for field in {**was, **now}:
            if was.get(field) != now.get(field):
                yield FieldChange(layer, field, was.get(field), now.get(field))
