"""The bridge, what it opens into, and flows: exact, and from tables and log the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from operator import itemgetter
from random import Random
from typing import Any

import psycopg
import pytest

from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.calendar import Period
from ledger.store.ledger import Ledger
from projections.balances import DIMENSIONS
from projections.book import Book, MadeFrom, Origin
from projections.bridge import bridge
from projections.flows import By, flows
from projections.fold.steps import Measure, StepKind
from projections.movements import Between
from projections.opened import Opened, opened
from projections.reader import LogReader
from projections.rebuild import rebuild
from scripts.soaking.compare import bases, deals_of, live_side
from scripts.soaking.stories import story

PERIODS = ("2026-Q1", "2026-Q2", "2026-01", "2026")
GROUPINGS: tuple[tuple[str, ...], ...] = (
    (), ("owner",), ("manager",), ("team", "currency"), ("category",), ("owner", "category"),
)  # fmt: skip
PAIRS = 40


@pytest.fixture(params=range(3))
def told(request: pytest.FixtureRequest, ledger: Ledger, settings: Settings) -> Told:
    """A random book, in the tables."""
    seed: int = request.param
    drafts = story(seed, deals=12, events=420)
    for start in range(0, len(drafts), 100):
        ledger.import_events(drafts[start : start + 100])
    rebuild(ledger.url)
    return Told(ledger, Random(seed))


class Told:
    """A book and pairs of bases to ask about."""

    def __init__(self, ledger: Ledger, random: Random) -> None:
        self.url = ledger.url
        self.random = random
        self.head = ledger.head().size

    def pairs(self, count: int) -> Iterator[tuple[Basis, Basis]]:
        """Pairs of bases: as known then, in hindsight, ahead, some back in time."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("SET timezone = 'UTC'")
            deals = deals_of(connection, live_side(connection))
        found = [
            Basis(datetime.fromisoformat(valid), datetime.fromisoformat(known), self.head)
            for valid, known in bases(deals, self.random, 2 * count)
        ]
        yield from list(pairwise(found))[::2]

    @contextmanager
    def between(self, pair: Sequence[Basis], period: str, *, by_tables: bool) -> Iterator[Between]:
        """Two books, read from the tables where they may answer, or from the log alone."""
        with ExitStack() as stack:
            first, second = (
                Book(
                    Origin(
                        stack.enter_context(LogReader.connect(self.url)),
                        self.url,
                        by_tables=by_tables,
                    ),
                    basis,
                )
                for basis in pair
            )
            yield Between(first, second, second.period(period))


def balance(line: dict[str, Any]) -> tuple[Decimal, int]:
    return Decimal(line["amount"]), line["deals"]


def assert_adds_up(lines: dict[str, Any]) -> None:
    """What is written adds up: in the reporting currency, in every currency, and in deals."""
    amount, deals = balance(lines["opening"])
    by_currency = {key: Decimal(each) for key, each in lines["opening"]["by_currency"].items()}
    for step in lines["steps"]:
        amount += Decimal(step["amount"])
        deals += step["deals"]
        for currency, each in step["by_currency"].items():
            by_currency[currency] = by_currency.get(currency, Decimal(0)) + Decimal(each)
    assert (amount, deals) == balance(lines["closing"])
    closing = {key: Decimal(each) for key, each in lines["closing"]["by_currency"].items()}
    assert by_currency == closing


def forecast_of(book: Book, period: Period, measure: Measure) -> tuple[dict[str, Decimal], int]:
    """By currency what the forecast has in the categories that a bridge is about."""
    cells = book.forecast(period).as_dict()["measures"][measure]
    wanted = ("closed",) if measure is Measure.CLOSED else ("pipeline", "best_case", "commit")
    found: dict[str, Decimal] = {}
    for category in wanted:
        for currency, amount in cells[category]["by_currency"].items():
            found[currency] = found.get(currency, Decimal(0)) + Decimal(amount)
    return found, sum(cells[category]["deals"] for category in wanted)


def test_tables_and_log_lead_from_one_forecast_to_the_other(told: Told) -> None:
    served = 0
    for number, pair in enumerate(told.pairs(PAIRS)):
        period = told.random.choice(PERIODS)
        measure = tuple(Measure)[number % 4]
        grouping = told.random.choice(GROUPINGS)
        with told.between(pair, period, by_tables=True) as between:
            answer = bridge(between, measure, grouping).as_dict()
            served += between.closing.made_from is MadeFrom.TABLES
        with told.between(pair, period, by_tables=False) as between:
            assert bridge(between, measure, grouping).as_dict() == answer, (pair, period, measure)
            assert between.closing.made_from is MadeFrom.LOG
            ends = [
                forecast_of(book, between.period, measure)
                for book in (between.opening, between.closing)
            ]
        assert_adds_up(answer)
        for group in answer["groups"]:
            assert_adds_up(group)
        if measure is Measure.WEIGHTED:  # its categories are rounded each, the balance once
            continue
        for which, (amounts, deals) in zip(("opening", "closing"), ends, strict=True):
            written = answer[which]
            by_currency = {key: Decimal(each) for key, each in written["by_currency"].items()}
            assert {key: each for key, each in by_currency.items() if each} == {
                key: each for key, each in amounts.items() if each
            }, (which, measure, period, pair)
            assert written["deals"] == deals
    assert served > PAIRS // 8  # in another time zone the log answers


def test_groups_add_up_to_the_whole(told: Told) -> None:
    for pair in told.pairs(10):
        with told.between(pair, "2026", by_tables=True) as between:
            found = bridge(between, Measure.EVIDENCED, ("owner", "currency")).balances
        for kind, line in found.total.steps.items():
            parts = [group.steps[kind] for group in found.groups.values() if kind in group.steps]
            assert sum(part.deals for part in parts) == line.deals
            for currency, amount in line.amounts.items():
                there = (part.amounts.get(currency, Decimal(0)) for part in parts)
                assert sum(there, Decimal(0)) == amount


def test_every_step_opens_into_the_same_changes_and_their_events(told: Told) -> None:
    seen = 0
    for number, pair in enumerate(told.pairs(12)):
        period, measure = told.random.choice(PERIODS), tuple(Measure)[number % 4]
        with told.between(pair, period, by_tables=True) as between:
            lines = bridge(between, measure).as_dict()["steps"]
            kinds = [each["step"] for each in lines if each["changes"]]
            found = {kind: opened(between, measure, kind) for kind in kinds}
        with told.between(pair, period, by_tables=False) as between:
            assert {kind: opened(between, measure, kind) for kind in kinds} == found
        for line in lines:
            changes = found[line["step"]]["changes"] if line["changes"] else []
            assert len(changes) == line["changes"]
            restated = [each for each in changes if each["leg"] != "journal"]
            assert len(restated) == line["restated"]
            assert all(each["because"] for each in changes)
            seen += len(changes)
    assert seen > 0


def test_every_group_opens_into_the_changes_that_its_steps_count(told: Told) -> None:
    seen = 0
    for number, pair in enumerate(told.pairs(20)):
        measure = tuple(Measure)[number % 4]
        group_by = tuple(told.random.sample(DIMENSIONS, told.random.choice([1, 2])))
        with told.between(pair, "2026", by_tables=True) as between:
            balances = bridge(between, measure, group_by).balances
            whole = Opened.of(between, measure)
            opened_groups = {
                group: Opened.of(between, measure, None, dict(zip(group_by, group, strict=True)))
                for group in balances.groups
            }
        for lines, found in [
            (balances.total, whole),
            *((balances.groups[group], each) for group, each in opened_groups.items()),
        ]:
            counted = Counter(part.kind for _number, part in found.parts)
            assert counted == {
                kind: line.changes for kind, line in lines.steps.items() if line.changes
            }
            exact: dict[tuple[StepKind, str], Decimal] = {}
            for _number, part in found.parts:
                for step in part.parts:
                    if step.currency is not None:
                        key = part.kind, step.currency
                        exact[key] = exact.get(key, Decimal(0)) + step.amount
            assert exact == {
                (kind, currency): amount
                for kind, line in lines.steps.items()
                for currency, amount in line.amounts.items()
            }
            seen += len(found.parts)
    assert seen > 15


def test_the_pages_of_a_step_are_the_whole_of_it(told: Told) -> None:
    late, early = (
        Basis(instant, instant, told.head)
        for instant in map(
            datetime.fromisoformat, ("2026-06-30T00:00:00+00:00", "2025-12-31T00:00:00+00:00")
        )
    )
    with told.between((early, late), "2026", by_tables=True) as between:
        lines = bridge(between, "claimed").as_dict()["steps"]
        step = max(lines, key=itemgetter("changes"))["step"]
        whole = opened(between, "claimed", step)["changes"]
        found = Opened.of(between, "claimed", step)
        paged = [found.changes(number, number + 1) for number in range(len(found.parts))]
    assert [change for (change,) in paged] == whole
    assert whole


def test_flows_are_the_same_and_add_up(told: Told) -> None:
    for number, pair in enumerate(told.pairs(12)):
        measure = tuple(Measure)[number % 3]
        by = tuple(By)[number % 2]
        period = told.random.choice(PERIODS)
        with told.between(pair, period, by_tables=True) as between:
            answer = flows(between, measure, by)
        with told.between(pair, period, by_tables=False) as between:
            assert flows(between, measure, by) == answer
            (amounts, deals) = forecast_of(between.opening, between.period, measure)
        del amounts
        if by == By.CATEGORY:
            nodes = {"pipeline", "best_case", "commit"}
            assert deals == sum(
                link["deals"] for link in answer["links"] if link["source"] in nodes
            )
