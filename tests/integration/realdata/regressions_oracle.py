"""The second opinion on moves: regressions and loops counted straight from CSV files, in SQL.

Nothing here comes from the product. A data set fills three tables and every count is made from
those.

    deal      a deal and when it opened; before that it is in no book
    claimed   a row of the file that names a stage: the deal, when, the row's number in the file,
              the stage, and its rank in the order of stages; no rank: the stage ends a deal, or
              nobody can say where it lies
    said      for or against an offer: the deal, when, and what was said (`sent`, `sent back` for
              it, `cancelled` against)

Rows of one deal count in the order of (time, row number). A row in the same stage as the one before
it is no move; a row that ends a deal, and what comes behind it, is none either. A move is backward
where its rank is lower than that of the ranked row before it. It is a loop where it is higher and
the deal had a row of the same rank before.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import duckdb

TABLES = """
    CREATE TABLE deal (deal VARCHAR, opened TIMESTAMP);
    CREATE TABLE claimed (
        deal VARCHAR, changed TIMESTAMP, seq BIGINT, stage VARCHAR, rank INTEGER
    );
    CREATE TABLE said (deal VARCHAR, changed TIMESTAMP, word VARCHAR);
    CREATE MACRO moment(text) AS make_timestamp(epoch_us(text::TIMESTAMPTZ));
"""

MOVES = """
    WITH ranked AS (
        SELECT deal, changed, seq, stage, rank,
            count(*) OVER (
                PARTITION BY deal, rank ORDER BY changed, seq
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > 0 AS been_there
        FROM claimed JOIN deal USING (deal)
        WHERE rank IS NOT NULL AND changed <= $until::TIMESTAMP AND opened <= $until::TIMESTAMP)
    SELECT *, lag(rank) OVER (PARTITION BY deal ORDER BY changed, seq) AS rank_before FROM ranked
"""

COUNTS = f"""
    SELECT deal, count(*) FILTER (rank < rank_before),
        count(*) FILTER (rank > rank_before AND been_there)
    FROM ({MOVES}) GROUP BY deal HAVING count(*) FILTER (rank < rank_before) > 0
"""  # noqa: S608

WORDS = """
    -- What is said at one instant counts together, and what is said against goes first.
    WITH instants AS (
        SELECT deal, changed, CASE WHEN bool_or(word = 'cancelled') THEN -1 ELSE 1 END AS sign
        FROM said WHERE word IN ($word, 'cancelled') AND changed <= $until::TIMESTAMP
        GROUP BY deal, changed),
    following AS (
        SELECT *, lag(sign) OVER (PARTITION BY deal ORDER BY changed) AS sign_before,
            count(*) FILTER (sign = 1) OVER (
                PARTITION BY deal ORDER BY changed
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) > 0 AS held_once
        FROM instants)
    SELECT deal, count(*) FILTER (sign = -1 AND sign_before = 1),
        count(*) FILTER (sign = 1 AND sign_before = -1 AND held_once)
    FROM following GROUP BY deal
    HAVING count(*) FILTER (sign = -1 AND sign_before = 1) > 0
"""


class Count(NamedTuple):
    """How often one deal went back, and came again."""

    regressions: int
    loops: int


def total(counts: dict[str, Count]) -> tuple[int, int, int, int]:
    """Regressions, in how many deals; loops, in how many deals."""
    return (
        sum(each.regressions for each in counts.values()),
        sum(each.regressions > 0 for each in counts.values()),
        sum(each.loops for each in counts.values()),
        sum(each.loops > 0 for each in counts.values()),
    )


class Counter:
    """A data set in DuckDB."""

    def __init__(self, sql: str, **files: Path) -> None:
        self._duck = duckdb.connect(config={"threads": 2, "autoinstall_known_extensions": False})
        self._duck.execute(TABLES)
        for view, path in files.items():
            self._duck.execute(
                f"CREATE TABLE {view} AS SELECT *, row_number() OVER () AS n"  # noqa: S608
                f" FROM read_csv({str(path)!r}, all_varchar = true, header = true)"
            )
        self._duck.execute(sql)

    def claims(self, until: str) -> dict[str, Count]:
        """By deal, the moves back and the loops among its claimed stages; none: no entry.

        Args:
            until: the last microsecond that counts, as a timestamp in UTC.
        """
        rows = self._duck.execute(COUNTS, {"until": until}).fetchall()
        return {deal: Count(*rest) for deal, *rest in rows}

    def offers(self, word: str, until: str) -> dict[str, Count]:
        """By deal, how often what was said for an offer was taken back, and said again.

        Args:
            word: `sent` or `sent back`.
            until: the last microsecond that counts, as a timestamp in UTC.
        """
        rows = self._duck.execute(WORDS, {"word": word, "until": until}).fetchall()
        return {deal: Count(*rest) for deal, *rest in rows}

    def newest(self) -> datetime:
        """The last instant in the files, in UTC."""
        (row,) = self._duck.execute("SELECT max(changed) FROM claimed").fetchall()
        newest: datetime = row[0]
        return newest

    def skips(self) -> int:
        """How many moves leave out a stage: the next row of the deal is two ranks or more ahead."""
        (row,) = self._duck.execute(
            """
            WITH following AS (
                SELECT rank, lag(rank) OVER (PARTITION BY deal ORDER BY changed, seq) AS before
                FROM claimed)
            SELECT count(*) FROM following WHERE rank > before + 1
            """
        ).fetchall()
        return int(row[0])


def preppin(folder: Path) -> Counter:
    """Days are dd/mm/yyyy, and no deal has two rows on one day. `SortOrder` ranks the stages.

    Where a deal's record stands in another stage than its last row, that is a row of its own: it
    became known with the records, behind all others.
    """
    return Counter(
        """
        INSERT INTO deal SELECT Id, strptime(CreatedDate, '%d/%m/%Y') FROM opportunity;
        CREATE TABLE ranks AS
            SELECT DISTINCT StageName AS stage,
                CASE WHEN StageName NOT LIKE 'Closed%' THEN SortOrder::INTEGER END AS rank
            FROM changes;
        INSERT INTO claimed
            SELECT OppID, strptime(CreatedDate, '%d/%m/%Y'), n, StageName, rank
            FROM changes JOIN ranks ON stage = StageName;
        INSERT INTO claimed
            WITH newest AS (
                SELECT deal, last(stage ORDER BY changed, seq) AS stage FROM claimed GROUP BY deal)
            SELECT Id, TIMESTAMP '2022-12-24', 1_000_000_000, StageName, ranks.rank
            FROM opportunity JOIN ranks ON ranks.stage = StageName
            LEFT JOIN newest ON newest.deal = Id
            WHERE newest.stage IS DISTINCT FROM StageName;
        """,
        changes=folder / "Opportunity History.csv",
        opportunity=folder / "Opportunity.csv",
    )


def revops(folder: Path) -> Counter:
    """Days are ISO. The order of stages is that of the sales process, by name."""
    return Counter(
        """
        INSERT INTO deal SELECT opportunity_id, created_date::TIMESTAMP FROM opportunity;
        INSERT INTO claimed
            SELECT opportunity_id, changed_date::TIMESTAMP, n, stage,
                list_position(['Discovery', 'Technical Validation', 'POC', 'Business Case',
                    'Negotiation/Procurement'], stage)
            FROM changes;
        UPDATE claimed SET rank = NULL WHERE rank = 0;
        """,
        changes=folder / "opportunity_history.csv",
        opportunity=folder / "opportunities.csv",
    )


def bpic2012(folder: Path) -> Counter:
    """The states of an application and of its offers, until the application ended.

    Rank 1: asked for; 2: no offer is out (none yet, one is being made, or it was cancelled); 3: the
    customer has an offer; 4: the customer sent it back, or it is accepted. Whatever follows the row
    that ends an application is no move of its. What is said at the instant of that row counts.
    """
    return Counter(
        """
        INSERT INTO deal
            SELECT "case:concept:name", min(moment("case:REG_DATE")) FROM events GROUP BY 1;
        CREATE TABLE step AS
            SELECT "case:concept:name" AS deal, moment("time:timestamp") AS changed, n,
                "concept:name" AS stage
            FROM events WHERE "concept:name" NOT LIKE 'W%';
        CREATE TABLE ended AS
            SELECT deal, min(changed) AS changed, arg_min(n, (changed, n)) AS n FROM step
            WHERE stage IN ('A_DECLINED', 'A_CANCELLED', 'A_REGISTERED', 'A_APPROVED',
                'A_ACTIVATED')
            GROUP BY deal;
        INSERT INTO claimed
            SELECT s.deal, s.changed, s.n, stage, CASE
                WHEN stage IN ('A_SUBMITTED', 'A_PARTLYSUBMITTED', 'A_PREACCEPTED') THEN 1
                WHEN stage IN ('A_ACCEPTED', 'A_FINALIZED', 'O_SELECTED', 'O_CREATED',
                    'O_CANCELLED') THEN 2
                WHEN stage = 'O_SENT' THEN 3
                WHEN stage IN ('O_SENT_BACK', 'O_ACCEPTED') THEN 4 END
            FROM step s LEFT JOIN ended e USING (deal)
            WHERE e.deal IS NULL OR (s.changed, s.n) < (e.changed, e.n);
        INSERT INTO said
            SELECT s.deal, s.changed, CASE stage WHEN 'O_SENT' THEN 'sent'
                WHEN 'O_SENT_BACK' THEN 'sent back' ELSE 'cancelled' END
            FROM step s LEFT JOIN ended e USING (deal)
            WHERE stage IN ('O_SENT', 'O_SENT_BACK', 'O_CANCELLED')
                AND (e.deal IS NULL OR s.changed <= e.changed);
        """,
        events=folder / "bpic2012_2011q4.csv.gz",
    )
