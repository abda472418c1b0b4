"""What a step of a bridge opens into: the changes of deals that it is made of, and their events.

Law: the amounts of the changes add up to the step, before any rounding; what exchange rates alone
did (the revaluation) is no change of a deal. A change of the journal names the events by which it
became known, or on which rested what lapsed. A restated one names the events that one of its two
ends takes into account and the other does not; where both take the same, and only look from another
day, those on which the evidence rested.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple, Self, TypeAlias

from ledger.domain.deal import CLAIM_TYPES
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Event, stream_name
from ledger.domain.history import ACTS
from ledger.domain.money import format_amount, round_to_minor_unit
from ledger.domain.times import format_instant
from projections.balances import Account, value_of
from projections.book import Book
from projections.bridge import check_bridge, converted_sum, directory_for
from projections.fold.known_then import accounts_mentioned
from projections.fold.states import STATE_TYPES, DealState
from projections.fold.steps import Measure, Step, StepKind, change_of, month_of, steps
from projections.movements import Between, Moved, hops
from projections.paths import Leg
from projections.qualified import BookDeal
from projections.timeline import event_facts
from projections.worlds import is_of_playbooks


class Part(NamedTuple):
    """What one change of a deal adds to a step.

    Args:
        moved: the change.
        kind: which step.
        parts: what it adds.
    """

    moved: Moved
    kind: StepKind
    parts: tuple[Step, ...]


Key: TypeAlias = Mapping[str, str | None]
"""The key of a group of a bridge: its values by dimension."""

_ALL: Final[Key] = {}


class Opened(NamedTuple):
    """A step, or all of them, opened up.

    Args:
        between: the two books, and the fiscal period.
        measure: of the bridge.
        parts: the changes that steps are made of, in the order of deals, each with its number among
            those of its deal in the step.
    """

    between: Between
    measure: Measure
    parts: list[tuple[int, Part]]

    @classmethod
    def of(cls, between: Between, measure: str, step: str | None = None, key: Key = _ALL) -> Self:
        """Open a step up; see `opened`.

        Args:
            between: as there.
            measure: as there.
            step: as there; None is every step.
            key: only what is in this group of the bridge.

        Raises:
            InvalidInput: as there, `invalid-dimension`, `too-many-dimensions`.
        """
        asked, _dimensions = check_bridge(measure, key, where="key")
        if step is not None and step not in tuple(StepKind):
            raise InvalidInput(
                "unknown-step",
                f"a bridge has no step {step!r}",
                where="step",
                hint=f"it is one of {', '.join(StepKind)}",
            )
        kinds = frozenset(StepKind) if step is None else {StepKind(step)}
        return cls(between, asked, list(_numbered(_parts(between, asked, kinds, key))))

    def changes(self, start: int, stop: int) -> list[dict[str, Any]]:
        """The changes from one number of the list up to another, as JSON; see `opened`."""
        between, measure, page = self.between, self.measure, self.parts[start:stop]
        causes = {part.moved: _causes(between, measure, part.moved) for _number, part in page}
        events = between.closing.causes({each for found in causes.values() for each in found})
        return [
            {
                "deal": part.moved.deal_id,
                "step": str(part.kind),
                "number": number,
                "at": part.moved.hop.at,
                "leg": str(part.moved.hop.leg),
                **_amounts(between, part.parts),
                "before": _side(part.moved.hop.before, measure),
                "after": _side(part.moved.hop.after, measure),
                "because": [event_facts(events[each]) for each in causes[part.moved]],
            }
            for number, part in page
        ]


def opened(between: Between, measure: str, step: str) -> dict[str, Any]:
    """The changes of deals that a step is made of.

    Args:
        between: the two books, and the fiscal period.
        measure: claimed, evidenced, weighted or closed.
        step: which step; see `projections.fold.steps.StepKind`.

    Returns:
        JSON: `from`, `to`, `period`, `measure`, `step`, `currency`, and `changes` in the order of
        deals: `deal`, `step`, `number` (which of the deal's changes in this step), `at` (None where
        restated), `leg` (`journal`, `restated_from` or `restated_to`), `amount` in the reporting
        currency, `by_currency`, `before`, `after`, `because`.

    Raises:
        InvalidInput: `invalid-measure`, `unknown-step`.
    """
    found = Opened.of(between, measure, step)
    return {
        "from": between.opening.basis.as_dict(),
        "to": between.closing.basis.as_dict(),
        "period": between.period.name,
        "measure": str(found.measure),
        "step": step,
        "currency": between.reporting_currency,
        "changes": found.changes(0, len(found.parts)),
    }


def _parts(
    between: Between, measure: Measure, kinds: Collection[StepKind], key: Key
) -> Iterator[Part]:
    scope, directory = between.scope(measure), directory_for(between, key)

    def in_group(step: Step) -> bool:
        account = Account(step.owner, step.currency, step.category)
        return all(value_of(account, each, directory) == key[each] for each in key)

    for moved in hops(between, measure):
        hop = moved.hop
        change = change_of(hop.before, hop.after, hop.move, scope)
        if change is None:
            continue
        found: dict[StepKind, list[Step]] = {}
        for step in steps(change, measure):
            if step.kind in kinds and in_group(step):
                found.setdefault(step.kind, []).append(step)
        for kind, parts in found.items():
            yield Part(moved, kind, tuple(parts))


def _numbered(parts: Iterable[Part]) -> Iterator[tuple[int, Part]]:
    """Parts in the order of deals, each with its number among those of its deal in its step."""
    deal, numbers = "", Counter[StepKind]()
    for part in parts:
        if part.moved.deal_id != deal:
            deal, numbers = part.moved.deal_id, Counter()
        yield numbers[part.kind], part
        numbers[part.kind] += 1


def _amounts(between: Between, parts: Iterable[Step]) -> dict[str, Any]:
    exact: dict[str, Decimal] = {}
    for part in parts:
        if part.currency is not None:
            exact[part.currency] = exact.get(part.currency, Decimal(0)) + part.amount
    total = converted_sum(exact, between.reporting_currency, between.closing.settings.rates)
    return {
        "amount": format_amount(total),
        "by_currency": {
            currency: format_amount(round_to_minor_unit(exact[currency], currency))
            for currency in sorted(exact)
        },
    }


def _side(state: DealState | None, measure: Measure) -> dict[str, Any] | None:
    if state is None:
        return None
    amount, currency = state.amount, state.currency
    spelt = None
    if amount is not None and currency is not None:
        spelt = format_amount(round_to_minor_unit(Decimal(amount), currency))
    judged = measure in {Measure.EVIDENCED, Measure.WEIGHTED}
    return {
        "owner": state.owner,
        "outcome": state.outcome,
        "category": state.evidenced if judged else state.category,
        "weight_percent": state.weight_percent if measure is Measure.WEIGHTED else None,
        "month": (month_of(state.counts_on) or "")[:7] or None,
        "amount": spelt,
        "currency": currency,
    }


# --- why ----------------------------------------------------------------------------------------


def _causes(between: Between, measure: Measure, moved: Moved) -> tuple[int, ...]:
    if moved.hop.leg is Leg.JOURNAL:
        return moved.hop.causes
    first, second = _ends(between, moved.hop.leg)
    judged = measure in {Measure.EVIDENCED, Measure.WEIGHTED}
    types = STATE_TYPES if judged else CLAIM_TYPES | ACTS
    taken, others = (_taken(end, moved.deal_id, types, judged) for end in (first, second))
    differing = {event["position"] for event in taken} ^ {event["position"] for event in others}
    return tuple(sorted(differing or _rested_on(between, moved.deal_id)))


class _End(NamedTuple):
    """One end of a restated change: what it sees is known by then, and looked at from a day."""

    book: Book
    valid_at: str
    known_at: str


def _ends(between: Between, leg: Leg) -> tuple[_End, _End]:
    closing, span = between.closing, between.span
    first, second = (
        _End(book, book.valid_at, format_instant(book.basis.known_at))
        for book in (between.opening, closing)
    )
    if span is not None and leg is Leg.RESTATED_FROM:
        second = _End(closing, span.start, span.start)
    elif span is not None:
        first = _End(closing, span.end, span.end)
    return first, second


def _taken(end: _End, deal_id: str, types: frozenset[str], judged: bool) -> list[Event]:
    """The events of a deal, of its accounts and of playbooks that an end takes into account."""
    events = _events(end.book, deal_id)
    if judged:
        evidence = end.book.judge.account_evidence
        mentioned = accounts_mentioned(events)
        events = [*events, *(each for key in mentioned for each in evidence.get(key, ()))]
        events += [each for each in end.book.playbook_events if is_of_playbooks(each)]
    return [
        event
        for event in events
        if (event["type"] in types or not event["stream"].startswith("deal:"))
        and event["known_at"] <= end.known_at
        and (event["type"] in ACTS or event["occurred_at"] <= end.valid_at)
    ]


def _events(book: Book, deal_id: str) -> list[Event]:
    return [each for _stream, events in book.histories(only=deal_id) for each in events]


def _rested_on(between: Between, deal_id: str) -> set[int]:
    """The events that evidence rested on, at either end; else all that was said of the deal."""
    for book in (between.opening, between.closing):
        deal = BookDeal.fold(deal_id, _events(book, deal_id), book.judge)
        if deal is not None and deal.verdict.causes:
            return set(deal.verdict.causes)
    own = _events(between.closing, deal_id) or _events(between.opening, deal_id)
    return {event["position"] for event in own if event["stream"] == stream_name("deal", deal_id)}
