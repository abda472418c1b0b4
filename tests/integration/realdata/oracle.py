"""The second opinion: what a book was at a basis, computed from CSV files in DuckDB.

Nothing here comes from the product: the published rules are said once more, in SQL. A data set
fills three tables and every question is answered from those.

    deal      a deal and when it opened
    claim     from `at` on, as the CRM knew then, a field had this value; `seq` is the file's order
    ending    from `occurred` on, known at `known`, a deal had this outcome (`open`: it reopened)

For Salesforce's shape `Oracle.settle` fills them from `record` (an export's deals as they stand)
and `history` (their changes).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

FOREVER = datetime(9999, 1, 1)  # noqa: DTZ001 - DuckDB's plain timestamps; all are UTC here

TABLES = """
    CREATE TABLE deal (deal VARCHAR, opened TIMESTAMP);
    CREATE TABLE claim (
        deal VARCHAR, field VARCHAR, value VARCHAR, changed TIMESTAMP, seq BIGINT
    );
    CREATE TABLE ending (
        deal VARCHAR, outcome VARCHAR, occurred TIMESTAMP, known TIMESTAMP, seq BIGINT
    );
    CREATE TABLE record (
        deal VARCHAR, opened TIMESTAMP, owner VARCHAR, stage VARCHAR, amount DECIMAL(18, 2),
        close_date DATE, category VARCHAR, reason VARCHAR
    );
    CREATE TABLE history (
        deal VARCHAR, seq BIGINT, changed TIMESTAMP, stage VARCHAR, amount DECIMAL(18, 2),
        close_date DATE, category VARCHAR
    );
    CREATE TABLE snapshot (changed TIMESTAMP);

    -- One spelling of a forecast category, and what a stage by its name says about the outcome.
    CREATE MACRO category_of(name) AS
        CASE lower(replace(name, ' ', ''))
            WHEN 'pipeline' THEN 'pipeline' WHEN 'bestcase' THEN 'best_case'
            WHEN 'commit' THEN 'commit' WHEN 'closed' THEN 'closed' WHEN 'omitted' THEN 'omitted'
        END;
    CREATE MACRO outcome_of(stage, reason) AS
        CASE WHEN stage = 'Closed Won' THEN 'won'
             WHEN stage = 'Closed Lost' AND reason = 'No decision' THEN 'no_decision'
             WHEN stage = 'Closed Lost' THEN 'lost'
             ELSE 'open' END;
"""

SETTLE = """
    -- The category of a stage: what most of the open deals that stand there carry.
    CREATE TABLE category_by_stage AS
        SELECT stage, category FROM (
            SELECT stage, category, count(*) AS deals FROM record
            WHERE outcome_of(stage, reason) = 'open' AND category IS NOT NULL
            GROUP BY ALL)
        QUALIFY row_number() OVER (PARTITION BY stage ORDER BY deals DESC, category) = 1;

    CREATE TABLE wide_history AS
        SELECT h.deal, h.seq, h.changed, h.stage, h.amount::VARCHAR AS amount,
            h.close_date::VARCHAR AS close_date,
            coalesce(h.category, CASE outcome_of(h.stage, NULL)
                WHEN 'won' THEN 'closed' WHEN 'lost' THEN 'omitted'
                ELSE coalesce(c.category, 'pipeline') END) AS category
        FROM history h LEFT JOIN category_by_stage c USING (stage);

    CREATE TABLE said AS SELECT deal, field, value FROM (
        SELECT deal, stage, amount::VARCHAR AS amount, close_date::VARCHAR AS close_date, category,
            owner
        FROM record)
        UNPIVOT (value FOR field IN (stage, amount, close_date, category, owner));

    INSERT INTO deal SELECT deal, opened FROM record;

    -- What no history tracks has the record's value from the creation on.
    INSERT INTO claim
        SELECT s.deal, s.field, s.value, r.opened, -1 FROM said s JOIN record r USING (deal)
        WHERE s.field NOT IN (SELECT field FROM tracked);

    -- What a history tracks has the value of its rows.
    INSERT INTO claim SELECT deal, field, value, changed, seq FROM wide_history
        UNPIVOT INCLUDE NULLS (value FOR field IN (stage, amount, close_date, category))
        WHERE field IN (SELECT field FROM tracked);

    -- Where the record ends up elsewhere than its history, it holds from the snapshot on.
    INSERT INTO claim
        WITH newest AS (
            SELECT deal, field, last(value ORDER BY changed, seq) AS value FROM claim GROUP BY ALL)
        SELECT s.deal, s.field, s.value, snapshot.changed, 1_000_000_000
        FROM said s LEFT JOIN newest n USING (deal, field), snapshot
        WHERE s.value IS DISTINCT FROM n.value;

    -- A deal closes, reopens or closes otherwise when the outcome that its stage names changes.
    INSERT INTO ending
        WITH told AS (
            SELECT c.deal, c.changed, c.seq, r.opened, outcome_of(c.value, r.reason) AS outcome
            FROM claim c JOIN record r USING (deal) WHERE c.field = 'stage'),
        turns AS (
            SELECT * FROM told
            QUALIFY outcome <>
                lag(outcome, 1, 'open') OVER (PARTITION BY deal ORDER BY changed, seq)),
        turned AS (
            SELECT t.*,
                lag(t.changed) OVER (PARTITION BY t.deal ORDER BY t.changed, t.seq) AS before,
                (SELECT last(c.value ORDER BY c.changed, c.seq)::DATE::TIMESTAMP FROM claim c
                 WHERE c.deal = t.deal AND c.field = 'close_date'
                   AND (c.changed, c.seq) <= (t.changed, t.seq)) AS carried
            FROM turns t)
        SELECT deal, outcome,
            CASE WHEN outcome <> 'open' AND carried >= opened AND carried <= changed
                  AND (before IS NULL OR carried > before) THEN carried ELSE changed END,
            changed, seq
        FROM turned;
"""

BOOK = """
    CREATE OR REPLACE TEMP TABLE book AS
        WITH asked AS (SELECT $valid::TIMESTAMP AS valid, $known::TIMESTAMP AS known),
        claimed AS (
            PIVOT (
                SELECT deal, field, last(value ORDER BY changed, seq) AS value FROM claim, asked
                WHERE changed <= least(valid, known) GROUP BY ALL)
            ON field IN ('stage', 'amount', 'close_date', 'category', 'owner', 'name')
            USING first(value) GROUP BY deal),
        ended AS (
            SELECT deal, last(outcome ORDER BY occurred, ending.known, seq) AS outcome,
                last(occurred ORDER BY occurred, ending.known, seq) AS occurred
            FROM ending, asked WHERE occurred <= valid AND ending.known <= asked.known
            GROUP BY ALL)
        SELECT deal, c.stage, c.owner, c.amount::DECIMAL(18, 2) AS amount,
            c.close_date::DATE AS close_date, coalesce(e.outcome, 'open') AS outcome,
            CASE coalesce(e.outcome, 'open')
                WHEN 'open' THEN coalesce(c.category, 'pipeline')
                WHEN 'won' THEN 'closed' ELSE 'omitted' END AS category,
            CASE WHEN c.close_date IS NOT NULL THEN c.close_date::DATE
                 WHEN coalesce(e.outcome, 'open') <> 'open' THEN e.occurred::DATE END AS counts_on
        FROM deal LEFT JOIN claimed c USING (deal) LEFT JOIN ended e USING (deal), asked
        WHERE deal.opened <= least(asked.valid, asked.known)
"""

SUMS = """
    WITH counted AS (
        SELECT 'claimed' AS measure, category, owner, amount FROM book
        WHERE counts_on BETWEEN $first AND $last
        UNION ALL
        SELECT 'closed', 'closed', owner, amount FROM book
        WHERE counts_on BETWEEN $first AND $last AND outcome = 'won')
    SELECT measure, category, coalesce(sum(amount), 0), count(*), {owner} FROM counted GROUP BY ALL
"""


class Basis(NamedTuple):
    """As of when, and whether as known then or with what is known today.

    Args:
        as_of: a day (its last microsecond, UTC), or an instant written like 2026-02-24T02:19:30Z.
        hindsight: with what is known now, instead of what was known then.
    """

    as_of: str
    hindsight: bool = False

    @property
    def valid(self) -> datetime:
        if "T" in self.as_of:
            return datetime.fromisoformat(self.as_of).replace(tzinfo=None)
        return datetime.combine(date.fromisoformat(self.as_of), time.max)

    @property
    def known(self) -> datetime:
        return FOREVER if self.hindsight else self.valid


class Sum(NamedTuple):
    """An amount and how many deals it rests on."""

    amount: Decimal
    deals: int


class Deal(NamedTuple):
    """A deal as claimed."""

    stage: str | None
    owner: str | None
    amount: Decimal | None
    close_date: date | None
    outcome: str
    category: str


Sums = dict[tuple[str, str], Sum]
"""(measure, category) -> sum; those without a deal are left out."""


class Answer(NamedTuple):
    """A forecast, as far as it is compared."""

    in_book: int
    sums: Sums
    without_amount: list[str]
    without_close_date: list[str]
    by_owner: dict[str | None, Sums]


class Quarter(NamedTuple):
    """A calendar quarter."""

    year: int
    number: int

    @classmethod
    def of(cls, day: date) -> Quarter:
        return cls(day.year, (day.month + 2) // 3)

    @property
    def name(self) -> str:
        return f"{self.year}-Q{self.number}"

    def plus(self, quarters: int) -> Quarter:
        index = self.year * 4 + self.number - 1 + quarters
        return Quarter(index // 4, index % 4 + 1)

    @property
    def first_day(self) -> date:
        return date(self.year, 3 * self.number - 2, 1)

    @property
    def last_day(self) -> date:
        return date.fromordinal(self.plus(1).first_day.toordinal() - 1)


class Oracle:
    """A data set in DuckDB."""

    def __init__(self) -> None:
        self._duck = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})
        self._duck.execute(TABLES)
        self._at: Basis | None = None

    def load(self, sql: str, **files: Path) -> None:
        """Run statements over CSV files, each a view of text columns (`n` numbers its lines)."""
        for view, path in files.items():
            self._duck.execute(
                f"CREATE TABLE {view} AS SELECT *, row_number() OVER () AS n"  # noqa: S608
                f" FROM read_csv({str(path)!r}, all_varchar = true, header = true)"
            )
        self._duck.execute(sql)

    def settle(self, tracked: Iterable[str]) -> None:
        """Turn `record`, `history` and `snapshot` into claims and endings.

        Args:
            tracked: the fields that a history in the export tracks.
        """
        self._duck.execute("CREATE TABLE tracked (field VARCHAR)")
        self._duck.executemany("INSERT INTO tracked VALUES (?)", [[each] for each in tracked])
        self._duck.execute(SETTLE)

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self._duck.execute(sql).fetchall()

    def _open(self, basis: Basis) -> None:
        if self._at != basis:
            self._duck.execute(BOOK, {"valid": basis.valid, "known": basis.known})
            self._at = basis

    def deals(self, basis: Basis) -> dict[str, Deal]:
        """Every deal in the book."""
        self._open(basis)
        rows = self.ask(
            "SELECT deal, stage, owner, amount, close_date, outcome, category"
            " FROM book ORDER BY deal"
        )
        return {deal: Deal(*values) for deal, *values in rows}

    def answer(self, basis: Basis, quarter: Quarter, *, by_owner: bool = False) -> Answer:
        """The forecast of a quarter."""
        self._open(basis)
        grouped: dict[str | None, Sums] = {}
        if by_owner:
            for measure, category, amount, deals, owner in self._sums(quarter, "owner"):
                grouped.setdefault(owner, {})[measure, category] = Sum(amount, deals)
        first, last = quarter.first_day, quarter.last_day
        return Answer(
            in_book=self.ask("SELECT count(*) FROM book")[0][0],
            sums={(row[0], row[1]): Sum(row[2], row[3]) for row in self._sums(quarter, "NULL")},
            without_amount=self._names(
                f"amount IS NULL AND counts_on BETWEEN DATE '{first}' AND DATE '{last}'"
            ),
            without_close_date=self._names("counts_on IS NULL"),
            by_owner=grouped,
        )

    def _sums(self, quarter: Quarter, owner: str) -> list[tuple[Any, ...]]:
        days = {"first": quarter.first_day, "last": quarter.last_day}
        return self._duck.execute(SUMS.format(owner=owner), days).fetchall()

    def _names(self, condition: str) -> list[str]:
        rows = self.ask(f"SELECT deal FROM book WHERE {condition} ORDER BY deal")  # noqa: S608
        return [row[0] for row in rows]
