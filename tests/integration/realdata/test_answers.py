"""Public CRM exports end to end: the product's answers are the sums of their CSV files.

Each data set is imported once and asked about many past days, as known then and in hindsight.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import pytest

from .cases import CASES, Row, write
from .compare import deal_differences, differences
from .conftest import Opinions
from .exports import maven, preppin, revops
from .oracle import Basis, Quarter

Formed = Callable[[str], Opinions]

ASKED = [
    pytest.param(name, Basis(day, hindsight), id=f"{name}-{day}-{axis}")
    for name, case in CASES.items()
    for day in case.days
    for hindsight, axis in ((False, "then"), (True, "hindsight"))
]


def quarters_around(name: str, basis: Basis) -> list[Quarter]:
    """The quarter that holds the day, those beside it, and what the data set asks for besides."""
    quarter = Quarter.of(basis.valid.date())
    return [quarter.plus(-1), quarter, quarter.plus(1), *CASES[name].quarters]


@pytest.mark.parametrize(("name", "basis"), ASKED)
def test_forecast(opinions: Formed, name: str, basis: Basis) -> None:
    """Amounts and deals by category, claimed and closed; what has no amount or close date."""
    both = opinions(name)
    by_owner = basis.as_of in CASES[name].grouped
    quarters = quarters_around(name, basis)
    assert differences(both.product, both.oracle, basis, quarters, by_owner=by_owner) == []


@pytest.mark.parametrize(("name", "basis"), ASKED)
def test_every_deal(opinions: Formed, name: str, basis: Basis) -> None:
    """Stage, owner, amount, close date, outcome and category, deal by deal."""
    both = opinions(name)
    assert deal_differences(both.product, both.oracle, basis) == []


@pytest.mark.parametrize("name", CASES)
def test_the_questions_are_not_empty(opinions: Formed, name: str) -> None:
    """At least ten past days see deals in the quarters asked about, and their sums differ."""
    oracle = opinions(name).oracle
    told = {
        day: [
            oracle.answer(Basis(day), quarter).sums
            for quarter in quarters_around(name, Basis(day))
        ]
        for day in CASES[name].days
    }
    assert sum(any(sums) for sums in told.values()) >= 10
    assert len({repr(sums) for sums in told.values()}) >= 5


def test_hindsight_is_another_answer(opinions: Formed) -> None:
    """Where closings were entered late, what we know now differs from what was known then."""
    oracle = opinions("revops_late").oracle
    differing = [
        day
        for day in CASES["revops_late"].days
        if oracle.deals(Basis(day)) != oracle.deals(Basis(day, hindsight=True))
    ]
    assert len(differing) >= 8


@pytest.mark.parametrize(
    ("name", "rows", "deals", "closed", "reopened", "won", "ended_otherwise"),
    [
        pytest.param("preppin", 219 + 584, 219, 146, 0, 89, 57, id="preppin"),
        pytest.param("revops", 400 + 1682, 400, 333, 12, 79, 242, id="revops"),
        pytest.param("devorg", 36 + 48, 36, 0, 0, 0, 0, id="devorg"),
    ],
)
def test_counts(
    opinions: Formed,
    name: str,
    rows: int,
    deals: int,
    closed: int,
    reopened: int,
    won: int,
    ended_otherwise: int,
) -> None:
    """Every row was read, none was refused; what was opened, closed, won and lost."""
    product, oracle, _folder = opinions(name)
    report = product.report
    print(report.as_dict())
    assert (report.total.rows_read, report.total.rejected) == (rows, 0)
    total = report.total
    assert total.used + total.unchanged + total.ignored + total.rejected == total.rows_read
    types = report.events_by_type
    assert (types["deal-opened"], report.deals) == (deals, deals)
    assert (types["deal-closed"], types["deal-reopened"]) == (closed, reopened)
    now = Basis("2026-11-15", hindsight=True)
    outcomes = [deal.outcome for deal in product.deals(now).values()]
    assert outcomes.count("won") == won
    assert len(outcomes) - outcomes.count("won") - outcomes.count("open") == ended_otherwise
    assert sum(types.values()) == report.events_added == product.ledger.head().size


def test_backward_moves_are_in_the_log(opinions: Formed) -> None:
    """The log tells the stages in the order of the history; 72 moves in 55 deals go backward."""
    product, oracle, _folder = opinions("preppin")
    rank = dict(oracle.ask("SELECT DISTINCT StageName, SortOrder::INTEGER FROM changes"))
    (snapshot,) = oracle.ask("SELECT strftime(changed, '%Y-%m-%d') FROM snapshot")[0]
    moves: list[str] = []
    claims = product.ledger.events(types={"stage-claimed"})
    for stream, each in groupby(sorted(claims, key=lambda e: e["stream"]), lambda e: e["stream"]):
        told = sorted(each, key=lambda event: (event["known_at"], event["position"]))
        stages = [event["payload"]["stage"] for event in told]
        moves += [stream for a, b in zip(stages, stages[1:], strict=False) if rank[b] < rank[a]]
    assert (len(moves), len(set(moves)), snapshot) == (72, 55, "2022-12-24")


def test_history_before_creation_is_in_the_log(opinions: Formed) -> None:
    """43 rows are dated before their deal was created; the log knows the stage of each then."""
    product, oracle, _folder = opinions("preppin")
    early = oracle.ask(
        "SELECT h.deal, strftime(h.changed, '%Y-%m-%d'), h.stage FROM history h"
        " JOIN deal USING (deal) WHERE h.changed < opened ORDER BY h.seq"
    )
    claims = list(product.ledger.events(types={"stage-claimed"}))
    visible = 0
    for deal, day, stage in early:
        until = [
            (event["known_at"], event["position"], event["payload"]["stage"])
            for event in claims
            if event["stream"] == f"deal:{deal}" and event["known_at"][:10] <= day
        ]
        visible += bool(until) and max(until)[2] == stage
    assert (len(early), visible) == (43, 43)
