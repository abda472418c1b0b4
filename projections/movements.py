"""What moved between two bases: read from the tables where they may answer at both, else folded
from the log, deal by deal.

Law: either way the same deals, changes and amounts, those of the paths of `projections.paths`. The
tables give the journal between the two bases added up (`tables.steps`), and what is restated as
pairs of states (`tables.pairs`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import NamedTuple

from ledger.domain.calendar import Period
from projections.balances import Account, Balances
from projections.book import Book, MadeFrom
from projections.fold.states import DealState
from projections.fold.steps import (
    OPEN_CATEGORIES,
    BridgeScope,
    Measure,
    change_of,
    held,
    is_in,
    month_of,
)
from projections.paths import Hop, Leg, Span, ends, paths, span_between
from projections.tables import pairs, steps
from projections.tables.reading import balance
from projections.tables.serving import Tables
from projections.tables.stabbing import Point, months_of

_LEGS = tuple(Leg)


class Between(NamedTuple):
    """Two books and a period.

    Args:
        opening: the book at the first basis.
        closing: the book at the second; each has a reader of its own.
        period: the fiscal period.
    """

    opening: Book
    closing: Book
    period: Period

    @property
    def reporting_currency(self) -> str | None:
        """Before the first deal there is none, then the other side's."""
        opening, closing = self.opening.settings, self.closing.settings
        return closing.reporting_currency or opening.reporting_currency

    @property
    def span(self) -> Span | None:
        """The journal between the two bases."""
        return span_between(self.opening.basis, self.closing.basis)

    def scope(self, measure: Measure) -> BridgeScope:
        """What a bridge of the period is about; a fiscal period is a run of whole months."""
        last = month_of(self.period.last_day.isoformat())
        return BridgeScope(measure, self.period.first_day.isoformat(), last or "")

    @contextmanager
    def tables(self) -> Iterator[Tables | None]:
        """The tables, where they may answer at both bases."""
        one_zone = self.opening.calendar.time_zone == self.closing.calendar.time_zone
        with self.closing.tables() as tables:
            if tables is not None and one_zone and tables.may_answer(self.opening.basis):
                self.closing.made_from = MadeFrom.TABLES
                yield tables
            else:
                self.closing.made_from = MadeFrom.LOG
                yield None

    def points(self) -> tuple[Point, Point]:
        """The two bases as the tables are asked at them."""
        months = months_of(self.period)
        first, second = (
            Point(book.basis.valid_at, book.basis.known_at, months)
            for book in (self.opening, self.closing)
        )
        return first, second


class Moved(NamedTuple):
    """A hop of a deal."""

    deal_id: str
    hop: Hop


# --- for a bridge -------------------------------------------------------------------------------


def add_up(balances: Balances, between: Between, measure: Measure, *, by_category: bool) -> None:
    """Add up the opening and all changes between two bases.

    Args:
        balances: what to add to.
        between: the two books.
        measure: of the balances.
        by_category: whether they are wanted in each category.
    """
    scope = between.scope(measure)
    with between.tables() as tables:
        if tables is not None:
            _open_from_tables(balances, tables, between, measure)
            _take_journal(balances, tables, between.span, scope, by_category=by_category)
            for moved in _restated(tables, between):
                _take(balances, moved.hop, scope)
            return
    for path in paths(*between):
        _open(balances, path.first, scope)
        for hop in path.hops:
            _take(balances, hop, scope)


def _open(balances: Balances, state: DealState | None, scope: BridgeScope) -> None:
    side = held(state, scope)
    if state is not None and is_in(side, scope.measure):
        amount = Decimal(0) if state.amount is None else Decimal(state.amount) * side.weight / 100
        balances.open(Account(side.owner, side.currency, side.category), amount, 1)


def _open_from_tables(
    balances: Balances, tables: Tables, between: Between, measure: Measure
) -> None:
    opening = between.opening.basis
    point = Point(opening.valid_at, opening.known_at, months_of(between.period))
    wanted = frozenset({"closed"} if measure is Measure.CLOSED else OPEN_CATEGORIES)
    for (owner, currency), accounts in balance(tables, point).holders():
        for (of, category), amount, deals in accounts:
            if deals and of == measure and category in wanted:
                balances.open(Account(owner, currency, category), amount, deals)


def _take(balances: Balances, hop: Hop, scope: BridgeScope) -> None:
    change = change_of(hop.before, hop.after, hop.move, scope)
    if change is not None:
        balances.take(change, restated=hop.leg is not Leg.JOURNAL)


def _take_journal(
    balances: Balances, tables: Tables, span: Span | None, scope: BridgeScope, *, by_category: bool
) -> None:
    if span is None:
        return
    journal = steps.Journal(tables.side, scope, *span)
    for found in steps.by_step(tables.connection, journal, by_category=by_category):
        if isinstance(found, steps.Summed):
            balances.add_step(found.step, found.times)
        else:
            balances.take(found.change, found.times)


def _restated(tables: Tables, between: Between) -> Iterator[Moved]:
    first, second = between.points()
    legs = [(Leg.RESTATED_TO, first, second)]
    if between.span is not None:
        then, now = pairs.on_diagonal(first), pairs.on_diagonal(second)
        legs = [(Leg.RESTATED_FROM, first, then), (Leg.RESTATED_TO, now, second)]
    for leg, before, after in legs:
        if before != after:
            for deal, old, new in pairs.pairs(tables, before, after):
                yield Moved(deal, Hop(leg, None, old, new))


# --- for what a step opens into -----------------------------------------------------------------


def hops(between: Between, measure: Measure) -> list[Moved]:
    """The hops of all deals that move an amount of the measure, deal by deal, in their order."""
    scope = between.scope(measure)
    with between.tables() as tables:
        if tables is None:
            found = [Moved(path.deal_id, hop) for path in paths(*between) for hop in path.hops]
        else:
            found = list(_restated(tables, between))
            if between.span is not None:
                journal = steps.Journal(tables.side, scope, *between.span)
                found += [
                    Moved(deal, Hop(Leg.JOURNAL, *entry))
                    for deal, entry in steps.entries(tables.connection, journal)
                ]
    moving = (each for each in found if _moves(each.hop, scope))
    return sorted(moving, key=_in_order)


def _moves(hop: Hop, scope: BridgeScope) -> bool:
    return change_of(hop.before, hop.after, hop.move, scope) is not None


def _in_order(moved: Moved) -> tuple[bytes, int, str]:
    return moved.deal_id.encode(), _LEGS.index(moved.hop.leg), moved.hop.at or ""


# --- for flows ----------------------------------------------------------------------------------


def both_ends(between: Between) -> Iterator[tuple[DealState | None, DealState | None]]:
    """Every deal that may count in the period at either basis, at both."""
    with between.tables() as tables:
        if tables is not None:
            for _deal, first, second in pairs.all_pairs(tables, *between.points()):
                yield first, second
            return
    yield from ends(*between)
