"""How one change of a deal moves the amount of a period: the steps of a bridge.

Law: a measure and a fiscal period say what of a deal's state is *in*: its amount while it is open,
counts in the period, and has the category (as claimed, or by evidence) pipeline, best case or
commit; for the measure `closed`, its amount once it is won and counts in the period. Omitted and
closed are outside an open measure. A change from one state to another is taken apart into steps, in
one way only, and the steps add up to what is in afterwards less what was in before:

Out, at the amount before, by the first that is so:

    removed             it is in the book no more
    won, lost, no_decision   it ended (`lost` also when disqualified or abandoned)
    reopened            (closed only) it was won and is open again
    slipped             it counts in a later period
    moved_out           it counts in an earlier period, or in none; or its claimed category is out
    advanced, regressed, lapsed, playbook_change   its evidence puts it out

In, at the amount after, by the first that is so:

    created             it was not in the book
    won                 (closed only) it was not won
    reopened            it had ended
    pulled_in           it counted in a later period
    moved_in            it counted in an earlier period, or in none; or its claimed category was out
    advanced, regressed, lapsed, playbook_change   its evidence put it out

In before and after, every one that is so, in this order:

    owner_out, owner_in   another owner, at the amount before
    advanced, regressed, lapsed, playbook_change   another category or weight, at the amount before
    currency              another currency: the old amount out, the new one in
    amount_up, amount_down   another amount in the same currency, or an amount where there was none

What evidence did is what the journal says of the move; where it says nothing, up is advanced and
down is regressed. A claimed category that changes among those that are in is told by the same two.

Steps are linear in the amounts. So many changes of the same shape may be taken apart at once, by
their sums (`Change.values`), to the same result as one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.events import Category, Outcome
from projections.fold.gates import MoveKind
from projections.fold.states import DealState


class StepKind(StrEnum):
    """The steps between opening and closing, in the order in which a bridge shows them."""

    CREATED = "created"
    PULLED_IN = "pulled_in"
    MOVED_IN = "moved_in"
    AMOUNT_UP = "amount_up"
    AMOUNT_DOWN = "amount_down"
    SLIPPED = "slipped"
    MOVED_OUT = "moved_out"
    ADVANCED = "advanced"
    REGRESSED = "regressed"
    LAPSED = "lapsed"
    WON = "won"
    LOST = "lost"
    NO_DECISION = "no_decision"
    REOPENED = "reopened"
    REMOVED = "removed"
    OWNER_IN = "owner_in"
    OWNER_OUT = "owner_out"
    CURRENCY = "currency"
    PLAYBOOK_CHANGE = "playbook_change"


class Place(StrEnum):
    """Where a deal counts, seen from the period asked about."""

    ABSENT = "absent"
    IN = "in"
    EARLIER = "earlier"
    LATER = "later"
    NEVER = "never"


class Measure(StrEnum):
    """What a bridge can be asked about."""

    CLAIMED = "claimed"
    EVIDENCED = "evidenced"
    WEIGHTED = "weighted"
    CLOSED = "closed"


OPEN_CATEGORIES = (Category.PIPELINE, Category.BEST_CASE, Category.COMMIT)
"""The categories that are in, from the least to the most certain."""

_RANK = {str(category): rank for rank, category in enumerate(OPEN_CATEGORIES, 1)}
_OF_MOVE = {
    str(MoveKind.ADVANCED): StepKind.ADVANCED,
    str(MoveKind.REGRESSED): StepKind.REGRESSED,
    str(MoveKind.LAPSED): StepKind.LAPSED,
    str(MoveKind.PLAYBOOK_CHANGED): StepKind.PLAYBOOK_CHANGE,
}
_NOTHING = Decimal(0)


class BridgeScope(NamedTuple):
    """What a bridge is about.

    Args:
        measure: claimed, evidenced, weighted or closed.
        first_month: the first day of the first month of the period, as ISO text.
        last_month: the first day of its last month.
    """

    measure: Measure
    first_month: str
    last_month: str


class Held(NamedTuple):
    """One side of a change, as a scope sees it; what is not in has no owner, currency, weight.

    Args:
        place: where it counts.
        outcome: `open`, or how it ended.
        category: by the measure; None where it is none of `OPEN_CATEGORIES`.
        weight: percent of the amount that the measure takes.
    """

    place: Place
    outcome: str | None = None
    category: str | None = None
    weight: int = 0
    owner: str | None = None
    currency: str | None = None


class Values(NamedTuple):
    """The amounts of one change, or their sums over many of the same shape.

    Args:
        before: what was in.
        reweighed: the amount before, by the weight after.
        after: what is in.
    """

    before: Decimal = _NOTHING
    reweighed: Decimal = _NOTHING
    after: Decimal = _NOTHING


class Change(NamedTuple):
    """Changes of one shape: all that decides what steps they are, and their amounts.

    Args:
        move: how evidence moved it, as the journal says; None where it does not.
        grew: whether the amount became more; None where it stayed or both are not in.
    """

    before: Held
    after: Held
    move: str | None
    grew: bool | None
    values: Values


class Step(NamedTuple):
    """What a change moves into an account, or out of it.

    Args:
        kind: which step.
        owner: whose account.
        currency: of the amount; None where there is none.
        category: by the measure.
        amount: signed, in that currency.
        deals: 1 where a deal comes into the account, -1 where it leaves, 0 where it stays.
    """

    kind: StepKind
    owner: str | None
    currency: str | None
    category: str | None
    amount: Decimal
    deals: int


ABSENT = Held(Place.ABSENT)


def month_of(day: str | None) -> str | None:
    """The first day of the month of a day, both as ISO text."""
    return None if day is None else f"{day[:8]}01"


def place_of(month: str | None, scope: BridgeScope) -> Place:
    """Where a deal counts that counts in a month; None is in no period."""
    if month is None:
        return Place.NEVER
    if month < scope.first_month:
        return Place.EARLIER
    return Place.LATER if month > scope.last_month else Place.IN


def is_in(held: Held, measure: Measure) -> bool:
    """Whether the amount of a deal is in."""
    if held.place is not Place.IN:
        return False
    if measure is Measure.CLOSED:
        return held.outcome == Outcome.WON
    return held.outcome == OPEN and held.category is not None


def held(state: DealState | None, scope: BridgeScope) -> Held:
    """One side of a change, as a scope sees it."""
    if state is None:
        return ABSENT
    measure = scope.measure
    category: str | None = state.category if measure is Measure.CLAIMED else state.evidenced
    if measure is Measure.CLOSED:
        category = Category.CLOSED
    elif category not in _RANK:
        category = None
    seen = Held(place_of(month_of(state.counts_on), scope), state.outcome, category)
    if not is_in(seen, measure):
        return seen
    weight = state.weight_percent if measure is Measure.WEIGHTED else 100
    currency = None if state.amount is None else state.currency
    return seen._replace(weight=weight, owner=state.owner, currency=currency)


def change_of(
    before: DealState | None, after: DealState | None, move: str | None, scope: BridgeScope
) -> Change | None:
    """A change of a deal's state as a scope sees it; None where it moves no amount.

    Args:
        before: None where the deal was not in the book.
        after: None where it is not.
        move: how evidence moved it (a `MoveKind`); None where that is not known.
        scope: measure and period.
    """
    old, new = held(before, scope), held(after, scope)
    was_in, now_in = is_in(old, scope.measure), is_in(new, scope.measure)
    if not was_in and not now_in:
        return None
    had, has = _amount(before, was_in), _amount(after, now_in)
    grew = None
    if was_in and now_in:
        if old == new and had == has:
            return None
        grew = None if had == has else has > had
    values = Values(had * old.weight / 100, had * new.weight / 100, has * new.weight / 100)
    return Change(old, new, move, grew, values)


def _amount(state: DealState | None, is_in: bool) -> Decimal:
    if state is None or state.amount is None or not is_in:
        return _NOTHING
    return Decimal(state.amount)


def steps(change: Change, measure: Measure) -> Iterator[Step]:
    """Take a change apart; see the law of this module."""
    before, after, values = change.before, change.after, change.values
    was_in, now_in = is_in(before, measure), is_in(after, measure)
    if was_in and now_in:
        yield from _inside(change, measure)
    elif was_in:
        kind = _out(change, measure)
        yield Step(kind, before.owner, before.currency, before.category, -values.before, -1)
    elif now_in:
        kind = _in(change, measure)
        yield Step(kind, after.owner, after.currency, after.category, values.after, 1)


def _out(change: Change, measure: Measure) -> StepKind:
    after = change.after
    if after.place is Place.ABSENT:
        return StepKind.REMOVED
    if measure is Measure.CLOSED and after.outcome == OPEN:
        return StepKind.REOPENED
    if after.outcome != change.before.outcome:
        return _ending(after.outcome)
    if after.place is Place.LATER:
        return StepKind.SLIPPED
    if after.place is not Place.IN or measure is Measure.CLAIMED:
        return StepKind.MOVED_OUT
    return _by_evidence(change)


def _ending(outcome: str | None) -> StepKind:
    if outcome == Outcome.WON:
        return StepKind.WON
    return StepKind.NO_DECISION if outcome == Outcome.NO_DECISION else StepKind.LOST


def _in(change: Change, measure: Measure) -> StepKind:
    before = change.before
    if measure is Measure.CLOSED and before.outcome != Outcome.WON:
        return StepKind.WON
    if before.place is Place.ABSENT:
        return StepKind.CREATED
    if before.outcome != change.after.outcome:
        return StepKind.REOPENED
    if before.place is Place.LATER:
        return StepKind.PULLED_IN
    if before.place is not Place.IN or measure is Measure.CLAIMED:
        return StepKind.MOVED_IN
    return _by_evidence(change)


def _inside(change: Change, measure: Measure) -> Iterator[Step]:
    before, after, values = change.before, change.after, change.values
    if before.owner != after.owner:
        stays = before.currency, before.category
        yield Step(StepKind.OWNER_OUT, before.owner, *stays, -values.before, -1)
        yield Step(StepKind.OWNER_IN, after.owner, *stays, values.before, 1)
    if (before.category, before.weight) != (after.category, after.weight):
        kind = _by_evidence(change._replace(move=None) if measure is Measure.CLAIMED else change)
        yield Step(kind, after.owner, before.currency, before.category, -values.before, -1)
        yield Step(kind, after.owner, before.currency, after.category, values.reweighed, 1)
    if before.currency != after.currency:
        kind = StepKind.CURRENCY
        if before.currency is None:
            kind = StepKind.AMOUNT_UP if change.grew is not False else StepKind.AMOUNT_DOWN
        elif after.currency is None:
            kind = StepKind.AMOUNT_UP if change.grew is True else StepKind.AMOUNT_DOWN
        yield Step(kind, after.owner, before.currency, after.category, -values.reweighed, -1)
        yield Step(kind, after.owner, after.currency, after.category, values.after, 1)
    elif change.grew is not None:
        kind = StepKind.AMOUNT_UP if change.grew else StepKind.AMOUNT_DOWN
        amount = values.after - values.reweighed
        yield Step(kind, after.owner, after.currency, after.category, amount, 0)


def _by_evidence(change: Change) -> StepKind:
    told = _OF_MOVE.get(change.move or "")
    if told is not None:
        return told
    before = _RANK.get(change.before.category or "", 0), change.before.weight
    after = _RANK.get(change.after.category or "", 0), change.after.weight
    return StepKind.ADVANCED if after > before else StepKind.REGRESSED
