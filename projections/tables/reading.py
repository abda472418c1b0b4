"""The forecast of a period, read from the tables: the tally that folding the book would make.

Law: exactly the cells of `projections.forecast.tally_deals`. By owner, manager, team and currency
it is a balance of the journal - the last openings of the period's months and the entries since, as
known then - and, off the diagonal, what `projections.tables.stabbing` drops and adds. By anything
else it is the rectangles that hold the basis. A cell in which no deal is left is no cell.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, LiteralString

from psycopg.rows import TupleRow

from ledger.domain.basis import Basis
from ledger.domain.calendar import Period
from ledger.domain.events import Category
from ledger.domain.money import Money
from projections.fold.accounts import Balance, Posting, deals_in
from projections.forecast import BY_PERSON, Directory
from projections.tables import stabbing
from projections.tables.columns import Shape, group_of
from projections.tables.openings import POSTED, POSTINGS
from projections.tables.serving import Tables
from projections.tables.stabbing import FIRST_INSTANT, Point, months_of
from projections.tally import GroupKey, Tally

_BALANCED = frozenset({"owner", "currency", *BY_PERSON})
"""Dimensions that the accounts of the journal tell."""

# What deals of some states amount to, by claimed category, and by category of the evidence.
_SUMMED: LiteralString = """
    sum(amount) AS amount, sum(amount * weight_percent) * 0.01 AS weighted, sum(deals) AS deals,
    sum(amount) FILTER (WHERE outcome = 'won') AS won_amount,
    coalesce(sum(deals) FILTER (WHERE outcome = 'won'), 0) AS won_deals
"""

# The rectangles of some sets, by what tells the group.
_HELD: LiteralString = """
    WITH held ({names}currency, category, outcome, evidenced, weight_percent, amount, deals) AS (
        {sets}
    )
    SELECT {names}currency, category, evidenced, {summed}
    FROM held GROUP BY GROUPING SETS (({names}currency, category), ({names}currency, evidenced))
"""
_SET: LiteralString = """
    SELECT {columns}s.currency, s.category, s.outcome, s.evidenced, s.weight_percent, s.amount, 1
    FROM {which} {of_owners}
"""
_OF_OWNERS: LiteralString = "AND s.owner = ANY(%(owners)s::text[])"

_OPENINGS: LiteralString = """
    SELECT due.month, last.at, last.accounts::text
    FROM unnest(%(months)s::date[]) AS due (month)
    LEFT JOIN LATERAL (
        SELECT o.at, o.accounts FROM {side}.forecast_opening AS o
        WHERE o.month = due.month AND o.at <= %(diagonal)s ORDER BY o.at DESC LIMIT 1
    ) AS last ON true
"""

# What moved since the openings, and off the diagonal.
_MOVED: LiteralString = f"""
    SELECT {POSTED} FROM (
        {POSTINGS}
        {{off_diagonal}}
    ) AS posting
    GROUP BY 1, 2, 3, 4, 5, 6
"""
_OFF_DIAGONAL: LiteralString = """
    UNION ALL
        SELECT NULL, s.owner, s.currency, s.category, s.evidenced, s.weight_percent, s.outcome,
            -s.amount, -1, 0
        FROM {dropped}
    UNION ALL
        SELECT NULL, s.owner, s.currency, s.category, s.evidenced, s.weight_percent, s.outcome,
            s.amount, 1, 0
        FROM {added}
"""

_WITHOUT_AMOUNT: LiteralString = f"""
    SELECT s.deal FROM {stabbing.MONTHS}
    JOIN {{side}}.deal_state AS s ON qledger.month_of(s.counts_on) = due.month
    AND s.amount IS NULL AND {stabbing.INCOMPLETE}
"""
_WITHOUT_CLOSE_DATE: LiteralString = f"""
    SELECT s.deal FROM {{side}}.deal_state AS s
    WHERE qledger.month_of(s.counts_on) IS NULL AND s.counts_on IS NULL AND {stabbing.INCOMPLETE}
"""


def tally_from_tables(
    tables: Tables,
    basis: Basis,
    period: Period,
    group_by: tuple[str, ...],
    directory: Directory,
    owners: frozenset[str] | None = None,
) -> Tally:
    """The tally of the book's deals at a basis that the tables may answer.

    Args:
        tables: see `serving.tables_at`.
        basis: of the question.
        period: a fiscal period.
        group_by: dimensions, checked by `forecast.check_group_by`.
        directory: people and accounts at the basis, as far as the dimensions need them.
        owners: whose deals are counted; None is everybody's, and those that nobody owns.
    """
    point = Point(basis.valid_at, basis.known_at, months_of(period))
    shape = Shape.of(group_by)
    of_owners: LiteralString = "" if owners is None else _OF_OWNERS
    asked = {**point.parameters(), **shape.parameters, "owners": sorted(owners or ())}
    sums = _Sums(shape, directory)
    if _BALANCED.issuperset(group_by):
        sums.add_accounts(balance(tables, point), owners)
    else:
        sums.add_states(tables.rows(states(point, shape, of_owners), asked))
    tally = sums.tally
    if sums.lack_amounts:
        tally.without_amount = [
            deal for (deal,) in tables.rows(f"{_WITHOUT_AMOUNT} {of_owners}", asked)
        ]
    tally.without_close_date = [
        deal for (deal,) in tables.rows(f"{_WITHOUT_CLOSE_DATE} {of_owners}", asked)
    ]
    return tally


def balance(tables: Tables, point: Point) -> Balance:
    """The accounts of the journal at a point, corrected off the diagonal.

    Args:
        tables: that may answer there.
        point: what is asked about.
    """
    asked = point.parameters()
    openings = tables.rows(_OPENINGS, asked)
    asked["months"] = [month for month, _at, _accounts in openings]
    asked["opened"] = [at or FIRST_INSTANT for _month, at, _accounts in openings]
    asked["until"] = point.diagonal
    off_diagonal: LiteralString = ""
    if point.added is not None:
        dropped = f"{stabbing.MONTHS} {stabbing.DROPPED}"
        added = f"{stabbing.MONTHS} {point.added}"
        off_diagonal = _OFF_DIAGONAL.replace("{dropped}", dropped).replace("{added}", added)
    found = Balance()
    with tables.begun(_MOVED.replace("{off_diagonal}", off_diagonal), asked) as rows:
        for _month, _at, accounts in openings:
            if accounts is not None:
                found.take(accounts)
        for moved in rows():
            found.post(Posting(*moved))
    return found


def states(point: Point, shape: Shape, of_owners: LiteralString = "") -> LiteralString:
    """The statement for the rectangles that hold a point.

    Args:
        point: what is asked about.
        shape: which columns tell the group.
        of_owners: a condition on whose they are.
    """
    held: list[LiteralString] = [stabbing.AT_ONCE]
    if point.added is not None:
        held.append(point.added)
    sets = " UNION ALL ".join(_SET.replace("{which}", f"{stabbing.MONTHS} {each}") for each in held)
    return (
        _HELD.replace("{sets}", sets)
        .replace("{of_owners}", of_owners)
        .replace("{columns}", shape.expressions)
        .replace("{names}", shape.names)
        .replace("{summed}", _SUMMED)
    )


class _Sums:
    """The sums of a tally, put together from what was read.

    Args:
        shape: which columns tell the group.
        directory: people and accounts.
    """

    def __init__(self, shape: Shape, directory: Directory) -> None:
        self.shape = shape
        self.tally = Tally()
        self.lack_amounts = False
        """Whether any deal has no amount."""
        self._tellers = shape.tellers(directory)
        self._width = len(shape.columns)
        self._as_read = shape.columns == shape.group_by

    def add_states(self, rows: list[TupleRow]) -> None:
        """Add sums over states: by claimed category, or by that of the evidence.

        Args:
            rows: the columns, currency, category, evidenced (one of the two is None), amount,
                weighted amount, deals, amount and number of those won.
        """
        width = self._width
        for row in rows:
            currency, category, evidenced, amount, weighted, deals, won_amount, won = row[width:]
            group = self._group(row)
            if evidenced is None:
                self._add(group, "claimed", category, (currency, amount, deals))
                if won:
                    self._add(group, "closed", Category.CLOSED, (currency, won_amount, won))
            else:
                self._add(group, "evidenced", evidenced, (currency, amount, deals))
                self._add(group, "weighted", evidenced, (currency, weighted, deals))

    def add_accounts(self, balance: Balance, owners: frozenset[str] | None) -> None:
        """Add the accounts of the journal in which deals are left.

        Args:
            balance: of the months of the period.
            owners: whose accounts; None is everybody's.
        """
        pick = [("owner", "currency").index(each) for each in self.shape.columns]
        tally = self.tally
        for holder, row in balance.rows():
            owner, currency = holder
            if owners is not None and owner not in owners:
                continue
            tally.add_row(self._group(tuple([holder[index] for index in pick])), currency, row)
            tally.deals += deals_in(row)
            self.lack_amounts |= currency is None

    def _group(self, row: TupleRow) -> GroupKey:
        return row[: self._width] if self._as_read else group_of(row, self._tellers)

    def _add(
        self,
        group: GroupKey,
        measure: str,
        category: str,
        added: tuple[str | None, Decimal | None, Any],
    ) -> None:
        currency, amount, deals = added
        money = None if currency is None or amount is None else Money(amount, currency)
        self.tally.add((group, measure, category), money, int(deals))
        self.lack_amounts |= currency is None
        if measure == "claimed":
            self.tally.deals += int(deals)
