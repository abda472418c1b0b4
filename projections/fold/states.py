"""What read models keep of a deal: the states that it was in, as rectangles of valid time and
knowledge, and the journal of the forecast as known then.

Law: at any valid time V and knowledge time K the one rectangle that holds (V, K) bears the state
that folding the events known by K at V gives; where no rectangle does, the deal is not in the book.
A rectangle is half open on both axes, and is made when its state or its span of valid time becomes
known; it ends when something else becomes known of it, and reaches less far when what was known
turns out to hold for a part of its span only. What will lapse if nothing happens is known
beforehand, so it has rectangles too. The entries are the changes of state on the diagonal, V = K:
what anyone could have seen at the time. How they come about stands in `deal_history`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import orjson

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.history import ACTS
from ledger.domain.times import END_OF_TIME, format_instant
from projections.fold.claims import ClaimedDeal, counting_day
from projections.fold.qualification import QUALIFYING_TYPES

FOREVER = format_instant(END_OF_TIME)
BEGINNING = ""
"""Text before every instant."""

STATE_TYPES = CLAIM_TYPES | QUALIFYING_TYPES | ACTS
"""The events of a deal that its states depend on."""

ACCOUNT_TYPES = frozenset({"evidence-recorded"}) | ACTS
"""The events of an account that the states of its deals depend on."""

Claimed: TypeAlias = tuple[str | None, ...]
"""The part of a state that claims decide: its first fields, down to `dimensions`."""


class DealState(NamedTuple):
    """All that is visible of a deal at a basis; equal states are one state.

    Args:
        category: as claimed; once it is closed the outcome decides.
        outcome: `open`, or how it ended.
        amount: a decimal, as claimed.
        close_date: the day that the record carries, as ISO text.
        counts_on: the day that decides in which period it counts, as ISO text.
        dimensions: the deal's own, as canonical JSON; None when there are none.
        evidenced: the category that its evidence supports.
        gate: the key of the gate where it really stands.
        weight_percent: the share of the amount that the weighted measure takes.
    """

    name: str | None
    account: str | None
    owner: str | None
    stage: str | None
    category: str
    outcome: str
    amount: str | None
    currency: str | None
    close_date: str | None
    counts_on: str | None
    dimensions: str | None
    evidenced: str
    gate: str | None
    weight_percent: int


class Rectangle(NamedTuple):
    """A state, from when to when it was true, as known from when to when; the ends are outside."""

    valid_from: str
    valid_to: str
    known_from: str
    known_to: str
    state: DealState


class Entry(NamedTuple):
    """On the diagonal a deal's state changed.

    Args:
        at: the instant, on both axes.
        before: None where the deal was not in the book.
        after: None where it is not from then on.
        move: how evidence moved it (a `MoveKind`); None where only claims changed.
        causes: the positions of the events that became known, or that a lapse rests on.
    """

    at: str
    before: DealState | None
    after: DealState | None
    move: str | None
    causes: tuple[int, ...]


class Learned(NamedTuple):
    """What to change in what is kept of a deal.

    Args:
        whole: everything kept is to be forgotten first; then all is given.
        closed: (valid_from, known_from, known_to) of kept rectangles that end.
        opened: new rectangles.
        entries_from: kept entries at or after this instant are replaced.
        entries: by these.
        shortened: (valid_from, known_from, valid_to) of kept rectangles that reach less far.
    """

    whole: bool
    closed: list[tuple[str, str, str]]
    opened: list[Rectangle]
    entries_from: str
    entries: list[Entry]
    shortened: Sequence[tuple[str, str, str]] = ()


def claimed_part(deal: ClaimedDeal, calendar: FiscalCalendar) -> Claimed:
    """What is claimed of a deal, as a state holds it.

    Args:
        deal: as claimed.
        calendar: in whose time zone the day begins on which it closed.
    """
    money, close_date = deal.value("amount"), deal.value("close_date")
    own = deal.dimensions
    return (
        deal.name,
        deal.account,
        deal.owner,
        deal.stage,
        str(deal.category),
        deal.outcome,
        None if money is None else money["amount"],
        None if money is None else money["currency"],
        close_date,
        counting_day(deal, calendar),
        orjson.dumps(own, option=orjson.OPT_SORT_KEYS).decode() if own else None,
    )


def with_evidence_part(
    claimed: Claimed, evidenced: str, gate: str | None, weight_percent: int
) -> DealState:
    """The state of a deal of which that is claimed and this is evidenced."""
    return DealState(*claimed, evidenced, gate, weight_percent)  # type: ignore[call-arg, arg-type]


def evidence(state: DealState) -> tuple[str, str | None, int]:
    """The part of a state that evidence decides."""
    return state.evidenced, state.gate, state.weight_percent
