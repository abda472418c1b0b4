"""The journal between two instants, read from the tables: added up by step for a bridge, entry by
entry for what a step opens into.

Law: what comes from here is what `projections.fold.steps` makes of the same entries one by one. The
statement tells apart, by the same law, the changes that are a single step, and adds those up; a
change that is several steps at once comes as it is, together with those that are like it, and is
taken apart by the fold. A property test holds the statement against the fold.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any, LiteralString, NamedTuple

import orjson
from psycopg import Connection

from ledger.domain.deal import OPEN
from ledger.domain.events import Category, Outcome
from ledger.domain.money import format_amount
from ledger.domain.times import format_instant
from projections.fold.states import DealState, Entry
from projections.fold.steps import (
    OPEN_CATEGORIES,
    BridgeScope,
    Change,
    Held,
    Measure,
    Place,
    Step,
    StepKind,
    Values,
)
from projections.tables.sides import Side, on
from projections.tables.stabbing import months_between

WORK_MEMORY = "64MB"
"""For the sums of one bridge."""

# Entries into or within the period, then those out of it: the two indexes of the journal.
_TOUCHING: LiteralString = """
    SELECT {columns} FROM {side}.forecast_entry
    WHERE month_after = ANY(%(months)s::date[]) AND at > %(start)s AND at <= %(end)s
    AND {differ}
    UNION ALL
    SELECT {columns} FROM {side}.forecast_entry
    WHERE month_before = ANY(%(months)s::date[]) AND at > %(start)s AND at <= %(end)s
    AND month_before IS DISTINCT FROM month_after
    AND (month_after = ANY(%(months)s::date[])) IS NOT TRUE
"""

# A code says which step, and whether a deal comes in, leaves, or stays; 0 is several steps at once.
_CODES = {
    1: (StepKind.CREATED, 1), 2: (StepKind.WON, 1), 3: (StepKind.REOPENED, 1),
    4: (StepKind.PULLED_IN, 1), 5: (StepKind.MOVED_IN, 1), 6: (StepKind.ADVANCED, 1),
    7: (StepKind.REGRESSED, 1), 8: (StepKind.LAPSED, 1), 9: (StepKind.PLAYBOOK_CHANGE, 1),
    11: (StepKind.REMOVED, -1), 12: (StepKind.WON, -1), 13: (StepKind.REOPENED, -1),
    14: (StepKind.SLIPPED, -1), 15: (StepKind.MOVED_OUT, -1), 16: (StepKind.ADVANCED, -1),
    17: (StepKind.REGRESSED, -1), 18: (StepKind.LAPSED, -1), 19: (StepKind.PLAYBOOK_CHANGE, -1),
    20: (StepKind.LOST, -1), 21: (StepKind.NO_DECISION, -1),
    22: (StepKind.OWNER_OUT, -1), 23: (StepKind.OWNER_IN, 1),
    24: (StepKind.AMOUNT_UP, 0), 25: (StepKind.AMOUNT_DOWN, 0), 26: (StepKind.ADVANCED, 0),
    27: (StepKind.REGRESSED, 0), 28: (StepKind.LAPSED, 0), 29: (StepKind.PLAYBOOK_CHANGE, 0),
}  # fmt: skip

_BY_STEP: LiteralString = """
SELECT code, owner, currency, detail, count(*)::int, sum(value), sum(before), sum(reweighed)
FROM (
    SELECT code + part AS code,
        CASE WHEN now_in AND code + part <> 22 THEN owner_after ELSE owner_before END AS owner,
        CASE WHEN now_in THEN currency_after ELSE currency_before END AS currency,
        CASE WHEN code = 0 THEN jsonb_build_array(
                owner_before, currency_before, rank_before, weight_before,
                owner_after, currency_after, rank_after, weight_after,
                move, sign(coalesce(amount_after, 0) - coalesce(amount_before, 0))::int)::text
             WHEN %(by_category)s THEN (CASE WHEN now_in THEN rank_after ELSE rank_before END)::text
        END AS detail,
        CASE WHEN NOT now_in OR code + part = 22 THEN -value_before
             WHEN code < 20 OR NOT was_in OR code = 22 THEN value_after
             ELSE coalesce(value_after, 0) - coalesce(value_before, 0) END AS value,
        CASE WHEN code = 0 THEN value_before END AS before,
        CASE WHEN code = 0 THEN {reweighed} END AS reweighed
    FROM (
        SELECT *, CASE
            WHEN NOT was_in THEN {code_in}
            WHEN NOT now_in THEN {code_out}
            WHEN currency_before IS DISTINCT FROM currency_after THEN 0
            WHEN owner_before IS DISTINCT FROM owner_after
                THEN CASE WHEN (rank_before, weight_before, amount_before)
                    IS NOT DISTINCT FROM (rank_after, weight_after, amount_after) THEN 22 ELSE 0 END
            WHEN rank_before = rank_after AND weight_before = weight_after
                THEN CASE WHEN amount_after > amount_before THEN 24 ELSE 25 END
            WHEN amount_before IS DISTINCT FROM amount_after
                OR (%(by_category)s AND rank_before <> rank_after) THEN 0
            ELSE 20 + {by_evidence}
        END AS code
        FROM (
            SELECT *,
                (month_before BETWEEN %(first)s AND %(last)s AND {is_in_before}) IS TRUE AS was_in,
                (month_after BETWEEN %(first)s AND %(last)s AND {is_in_after}) IS TRUE AS now_in
            FROM ({touching}) AS touching
            OFFSET 0  -- worked out once for each entry
        ) AS seen
        WHERE was_in <> now_in OR (was_in AND (
            owner_before, currency_before, amount_before, rank_before, weight_before
        ) IS DISTINCT FROM (
            owner_after, currency_after, amount_after, rank_after, weight_after
        ))
        OFFSET 0
    ) AS coded
    JOIN (VALUES (0), (1)) AS half (part) ON part = 0 OR code = 22  -- out of one, into the other
) AS classified
GROUP BY code, owner, currency, detail
"""

_ENTRIES: LiteralString = """
SELECT deal, at, move, causes,
    month_before, owner_before, currency_before, amount_before, category_before,
    evidenced_before, weight_before, outcome_before,
    month_after, owner_after, currency_after, amount_after, category_after,
    evidenced_after, weight_after, outcome_after
FROM ({touching}) AS touching
ORDER BY deal, at
"""

# What most entries leave as it is, seen before anything is worked out.
_DIFFER: LiteralString = """
    (month_before, owner_before, currency_before, amount_before, outcome_before, {judged_before})
    IS DISTINCT FROM
    (month_after, owner_after, currency_after, amount_after, outcome_after, {judged_after})
"""

_CODE_IN: LiteralString = """CASE
    WHEN outcome_before IS NULL THEN 1 WHEN outcome_before <> 'open' THEN 3
    WHEN month_before > %(last)s THEN 4
    WHEN month_before IS NULL OR month_before < %(first)s OR {is_claimed} THEN 5
    ELSE {by_evidence} END"""
_CODE_OUT: LiteralString = """CASE
    WHEN outcome_after IS NULL THEN 11 WHEN outcome_after = 'won' THEN 12
    WHEN outcome_after = 'no_decision' THEN 21 WHEN outcome_after <> 'open' THEN 20
    WHEN month_after > %(last)s THEN 14
    WHEN month_after IS NULL OR month_after < %(first)s OR {is_claimed} THEN 15
    ELSE 10 + {by_evidence} END"""
_CODE_IN_CLOSED: LiteralString = """CASE
    WHEN outcome_before IS DISTINCT FROM 'won' THEN 2
    WHEN month_before > %(last)s THEN 4 ELSE 5 END"""
_CODE_OUT_CLOSED: LiteralString = """CASE
    WHEN outcome_after IS NULL THEN 11 WHEN outcome_after = 'open' THEN 13
    WHEN outcome_after = 'no_decision' THEN 21 WHEN outcome_after <> 'won' THEN 20
    WHEN month_after > %(last)s THEN 14 ELSE 15 END"""
_BY_EVIDENCE: LiteralString = """CASE move
    WHEN 'advanced' THEN 6 WHEN 'regressed' THEN 7 WHEN 'lapsed' THEN 8
    WHEN 'playbook_changed' THEN 9
    ELSE CASE WHEN (coalesce(rank_after, 0), weight_after) > (coalesce(rank_before, 0),
        weight_before) THEN 6 ELSE 7 END END"""

_SEEN: LiteralString = """
    month_before, owner_before, currency_before, amount_before, outcome_before,
    month_after, owner_after, currency_after, amount_after, outcome_after, {move} AS move,
    {rank_before} AS rank_before, {weight_before} AS weight_before,
    {value_before} AS value_before,
    {rank_after} AS rank_after, {weight_after} AS weight_after, {value_after} AS value_after
"""
_RANK: LiteralString = (
    "CASE {category} WHEN 'pipeline' THEN 1 WHEN 'best_case' THEN 2 WHEN 'commit' THEN 3 END"
)
_CATEGORIES: dict[int | None, str | None] = {
    None: None, **{rank: str(each) for rank, each in enumerate(OPEN_CATEGORIES, 1)},
}  # fmt: skip


@cache
def by_step_statement(measure: Measure) -> LiteralString:
    """The statement of a measure, put together from the parts above; for plans, too."""
    statement = _BY_STEP.replace("{touching}", _touching(_seen(measure), measure))
    closed, weighted = measure is Measure.CLOSED, measure is Measure.WEIGHTED
    return (
        statement.replace("{code_in}", _CODE_IN_CLOSED if closed else _CODE_IN)
        .replace("{code_out}", _CODE_OUT_CLOSED if closed else _CODE_OUT)
        .replace("{by_evidence}", _BY_EVIDENCE)
        .replace("{is_claimed}", "true" if measure is Measure.CLAIMED else "false")
        .replace("{is_in_before}", _is_in("before", closed))
        .replace("{is_in_after}", _is_in("after", closed))
        .replace("{reweighed}", "amount_before * weight_after" if weighted else "amount_before")
    )


def _touching(columns: LiteralString, measure: Measure) -> LiteralString:
    """The entries that may move an amount of a measure."""
    judged: LiteralString = "category_{side}"
    if measure is Measure.CLOSED:
        judged = "outcome_{side}"
    elif _judges(measure):
        judged = "evidenced_{side}, weight_{side}"
    sides: tuple[LiteralString, ...] = ("before", "after")
    differ = _DIFFER
    for side in sides:
        differ = differ.replace("{judged_" + side + "}", judged.replace("{side}", side))
    return _TOUCHING.replace("{columns}", columns).replace("{differ}", differ)


def _is_in(side: LiteralString, closed: bool) -> LiteralString:
    if closed:
        return "outcome_" + side + " = 'won'"
    return "outcome_" + side + " = 'open' AND rank_" + side + " IS NOT NULL"


def _seen(measure: Measure) -> LiteralString:
    weighted = measure is Measure.WEIGHTED
    seen = _SEEN.replace("{move}", "move" if _judges(measure) else "NULL::text")
    sides: tuple[LiteralString, ...] = ("before", "after")
    for side in sides:
        rank: LiteralString = "1"
        if measure is not Measure.CLOSED:
            category: LiteralString = "evidenced_" if _judges(measure) else "category_"
            rank = _RANK.replace("{category}", category + side)
        value: LiteralString = "amount_" + side
        weight: LiteralString = "100"
        if weighted:
            value, weight = value + " * weight_" + side, "weight_" + side
        seen = (
            seen.replace("{rank_" + side + "}", rank)
            .replace("{weight_" + side + "}", weight)
            .replace("{value_" + side + "}", value)
        )
    return seen


def _judges(measure: Measure) -> bool:
    return measure in {Measure.EVIDENCED, Measure.WEIGHTED}


class Journal(NamedTuple):
    """A part of the journal: entries after `start`, up to `end`, that touch a period.

    Args:
        side: which tables.
        scope: measure and period.
        start: an instant, in the one spelling.
        end: another.
    """

    side: Side
    scope: BridgeScope
    start: str
    end: str

    def parameters(self) -> dict[str, Any]:
        """As the statements name them."""
        first = date.fromisoformat(self.scope.first_month)
        last = date.fromisoformat(self.scope.last_month)
        return {
            "months": months_between(first, last),
            "first": first,
            "last": last,
            "start": self.start,
            "end": self.end,
        }


class Summed(NamedTuple):
    """Changes that are the same single step in the same account.

    Args:
        step: with the sum of their amounts; `deals` is that of one of them.
        times: how many.
    """

    step: Step
    times: int


class Alike(NamedTuple):
    """Changes that are several steps at once, and alike in all that decides which.

    Args:
        change: with the sums of their amounts.
        times: how many.
    """

    change: Change
    times: int


def by_step(
    connection: Connection[Any], journal: Journal, *, by_category: bool = False
) -> Iterator[Summed | Alike]:
    """The changes of a part of the journal, added up.

    Args:
        connection: reads the tables.
        journal: which part.
        by_category: whether steps are wanted in each category.
    """
    measure = journal.scope.measure
    statement = on(journal.side, by_step_statement(measure))
    parameters = {**journal.parameters(), "by_category": by_category}
    shift = -2 if measure is Measure.WEIGHTED else 0
    connection.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
    rows = connection.execute(statement, parameters, prepare=True, binary=True)
    for code, owner, currency, detail, times, value, before, reweighed in rows:
        if code:
            kind, deals = _CODES[code]
            category = None if detail is None else _category(int(detail), measure)
            step = Step(kind, owner, currency, category, _scaled(value, shift), deals)
            yield Summed(step, times)
        else:
            values = Values(*(_scaled(each, shift) for each in (before, reweighed, value)))
            yield Alike(_alike(orjson.loads(detail), values, measure), times)


def _alike(shape: list[Any], values: Values, measure: Measure) -> Change:
    move, sign = shape[8:]
    outcome = Outcome.WON if measure is Measure.CLOSED else OPEN
    before, after = (
        Held(Place.IN, outcome, _category(rank, measure), weight, owner, currency)
        for owner, currency, rank, weight in (shape[:4], shape[4:8])
    )
    return Change(before, after, move, sign > 0 if sign else None, values)


def _category(rank: int | None, measure: Measure) -> str | None:
    if rank is not None and measure is Measure.CLOSED:
        return Category.CLOSED
    return _CATEGORIES[rank]


def _scaled(total: Decimal | None, shift: int) -> Decimal:
    return Decimal(0) if total is None else total.scaleb(shift)


def entries(connection: Connection[Any], journal: Journal) -> Iterator[tuple[str, Entry]]:
    """The entries of a part of the journal with their deals, in the order of deals and of time.

    What an entry of the tables does not tell of a state is missing in it: name, stage, account,
    gate, the day within the month.
    """
    statement = _ENTRIES.replace("{touching}", _touching("*", journal.scope.measure))
    rows = connection.execute(
        on(journal.side, statement), journal.parameters(), prepare=True, binary=True
    )
    for deal, at, move, causes, *sides in rows:
        before, after = _state(*sides[:8]), _state(*sides[8:])
        yield deal, Entry(format_instant(at), before, after, move, tuple(causes))


def _state(
    month: date | None,
    owner: str | None,
    currency: str | None,
    amount: Decimal | None,
    category: str | None,
    evidenced: str | None,
    weight: int | None,
    outcome: str | None,
) -> DealState | None:
    if category is None or evidenced is None or outcome is None or weight is None:
        return None
    spelt = None if amount is None else format_amount(amount)
    counts_on = None if month is None else month.isoformat()
    return DealState(
        None, None, owner, None, category, outcome, spelt, currency, None, counts_on, None,
        evidenced, None, weight,
    )  # fmt: skip
