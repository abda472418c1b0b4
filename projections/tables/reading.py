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
from projections.forecast import BY_PERSON, Cell, Directory, GroupKey, Tally
from projections.tables import stabbing
from projections.tables.columns import Shape, group_of
from projections.tables.serving import Tables
from projections.tables.stabbing import Point, months_of

BALANCED = frozenset({"owner", "currency", *BY_PERSON})
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
    FROM {which}
"""

# The accounts of the journal at an instant: the last opening of each month and what moved since.
_BALANCES: LiteralString = """
    WITH opening AS MATERIALIZED (
        SELECT due.month, coalesce(last.at, '-infinity') AS at
        FROM unnest(%(months)s::date[]) AS due (month)
        LEFT JOIN LATERAL (
            SELECT o.at FROM {side}.forecast_opening AS o
            WHERE o.month = due.month AND o.at <= %(diagonal)s ORDER BY o.at DESC LIMIT 1
        ) AS last ON true
    ), moved (owner, currency, category, outcome, evidenced, weight_percent, amount, deals) AS (
        SELECT owner_after, currency_after, category_after, outcome_after, evidenced_after,
            weight_after, amount_after, 1
        FROM opening JOIN {side}.forecast_entry AS e ON e.month_after = opening.month
            AND e.at > opening.at AND e.at <= %(diagonal)s
    UNION ALL
        SELECT owner_before, currency_before, category_before, outcome_before, evidenced_before,
            weight_before, -amount_before, -1
        FROM opening JOIN {side}.forecast_entry AS e ON e.month_after = opening.month
            AND e.month_before = opening.month
            AND e.at > opening.at AND e.at <= %(diagonal)s
    UNION ALL
        SELECT owner_before, currency_before, category_before, outcome_before, evidenced_before,
            weight_before, -amount_before, -1
        FROM opening JOIN {side}.forecast_entry AS e ON e.month_before = opening.month
            AND e.month_before IS DISTINCT FROM e.month_after
            AND e.at > opening.at AND e.at <= %(diagonal)s
    {off_diagonal}
    ), change AS (
        SELECT {owner} AS owner, currency, category, evidenced, {summed} FROM moved
        GROUP BY GROUPING SETS (({owner}, currency, category), ({owner}, currency, evidenced))
    ), account (owner, currency, measure, category, amount, deals) AS (
        SELECT {owner}, o.currency, o.measure, o.category, o.amount, o.deals
        FROM opening JOIN {side}.forecast_opening AS o USING (month, at)
    UNION ALL
        SELECT owner, currency, m.measure, m.category, m.amount, m.deals FROM change
        CROSS JOIN LATERAL (VALUES
            ('claimed', change.category, change.amount, change.deals),
            ('closed', 'closed', won_amount, won_deals),
            ('evidenced', evidenced, change.amount, change.deals),
            ('weighted', evidenced, weighted, change.deals)
        ) AS m (measure, category, amount, deals)
        WHERE (change.category IS NULL) = (m.measure IN ('evidenced', 'weighted'))
    )
    SELECT owner, currency, measure, category, sum(amount), sum(deals) FROM account
    GROUP BY owner, currency, measure, category HAVING sum(deals) <> 0
"""
_OFF_DIAGONAL: LiteralString = """
    UNION ALL
        SELECT s.owner, s.currency, s.category, s.outcome, s.evidenced, s.weight_percent, -s.amount,
            -1
        FROM {dropped}
    UNION ALL
        SELECT s.owner, s.currency, s.category, s.outcome, s.evidenced, s.weight_percent, s.amount,
            1
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
    tables: Tables, basis: Basis, period: Period, group_by: tuple[str, ...], directory: Directory
) -> Tally:
    """The tally of the book's deals at a basis that the tables may answer.

    Args:
        tables: see `serving.tables_at`.
        basis: of the question.
        period: a fiscal period.
        group_by: dimensions, checked by `forecast.check_group_by`.
        directory: people and accounts at the basis, as far as the dimensions need them.
    """
    point = Point(basis.valid_at, basis.known_at, months_of(period))
    asked = point.parameters()
    cells = Cells(Shape.of(group_by), directory)
    if BALANCED.issuperset(group_by):
        cells.add_accounts(tables.rows(balances(point, by_owner="owner" in cells.columns), asked))
    else:
        asked |= cells.shape.parameters
        cells.add_states(tables.rows(states(point, cells.shape), asked))
    tally = cells.tally
    if cells.lack_amounts:
        tally.without_amount = [deal for (deal,) in tables.rows(_WITHOUT_AMOUNT, asked)]
    tally.without_close_date = [deal for (deal,) in tables.rows(_WITHOUT_CLOSE_DATE, asked)]
    return tally


def balances(point: Point, *, by_owner: bool) -> LiteralString:
    """The statement for the accounts of the journal, corrected off the diagonal.

    Args:
        point: what is asked about.
        by_owner: whether accounts are told by owner.
    """
    off_diagonal: LiteralString = ""
    if point.added is not None:
        dropped = f"{stabbing.MONTHS} {stabbing.DROPPED}"
        added = f"{stabbing.MONTHS} {point.added}"
        off_diagonal = _OFF_DIAGONAL.replace("{dropped}", dropped).replace("{added}", added)
    owner: LiteralString = "owner" if by_owner else "NULL::text"
    return (
        _BALANCES.replace("{off_diagonal}", off_diagonal)
        .replace("{owner}", owner)
        .replace("{summed}", _SUMMED)
    )


def states(point: Point, shape: Shape) -> LiteralString:
    """The statement for the rectangles that hold a point.

    Args:
        point: what is asked about.
        shape: which columns tell the group.
    """
    held: list[LiteralString] = [stabbing.AT_ONCE]
    if point.added is not None:
        held.append(point.added)
    sets = " UNION ALL ".join(_SET.replace("{which}", f"{stabbing.MONTHS} {each}") for each in held)
    return (
        _HELD.replace("{sets}", sets)
        .replace("{columns}", shape.expressions)
        .replace("{names}", shape.names)
        .replace("{summed}", _SUMMED)
    )


class Cells:
    """The cells of a tally, put together from rows.

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

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that tell the group."""
        return self.shape.columns

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

    def add_accounts(self, rows: list[TupleRow]) -> None:
        """Add balances of accounts.

        Args:
            rows: owner, currency, measure, category, amount, deals.
        """
        pick = [("owner", "currency").index(each) for each in self.columns]
        for row in rows:
            _owner, currency, measure, category, amount, deals = row
            group = self._group(tuple([row[index] for index in pick]))
            self._add(group, measure, category, (currency, amount, deals))

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
        key = group, measure, category
        cell = self.tally.cells.get(key)
        if cell is None:
            cell = self.tally.cells[key] = Cell()
        cell.deals += int(deals)
        if currency is None:
            self.lack_amounts = True
        elif amount is not None:
            before = cell.amounts.get(currency)
            cell.amounts[currency] = amount if before is None else before + amount
        if measure == "claimed":
            self.tally.deals += int(deals)
