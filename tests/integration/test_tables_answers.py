"""What the tables answer, and when: only where folding the log says the same; by which indexes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, LiteralString

import orjson
import psycopg
import pytest
from psycopg import Connection

from ledger.config import Settings
from ledger.domain.basis import RULES, Basis
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.events import Draft, Source
from ledger.domain.ids import event_id_of
from ledger.domain.times import END_OF_TIME, MICROSECOND, parse_instant
from ledger.store.ledger import Ledger
from projections import sessions
from projections.book import Book, MadeFrom, Origin
from projections.fold.states import DealState, Learned
from projections.forecast import MEASURES, Directory
from projections.projector import Projector
from projections.reader import LogReader
from projections.scope import Scope
from projections.series import Axis, Every, series
from projections.tables import openings, stabbing
from projections.tables.columns import Shape
from projections.tables.daily import Line, first_balance, steps_by_day
from projections.tables.reading import tally_from_tables
from projections.tables.serving import Tables, tables_at
from projections.tables.sides import Side, on
from projections.tables.spans import steps_along
from projections.tables.writing import load
from scripts.soaking.stories import story
from tests.integration.tables_kit import START, random_deal
from tests.unit.domain.builders import money, payload

QUARTER = FiscalCalendar().period("2026-Q1")
GROUPINGS: tuple[tuple[str, ...], ...] = (
    (), ("owner",), ("manager", "team"), ("currency",), ("owner", "category"), ("stage", "gate"),
    ("segment",), ("account", "outcome"),
)  # fmt: skip
THEN = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture
def connection(settings: Settings) -> Iterator[Connection[Any]]:
    """A session that may write the tables."""
    assert settings.database_url is not None
    with sessions.writing(settings.database_url.get_secret_value()) as opened:
        yield opened


def project(connection: Connection[Any]) -> int:
    """Bring the tables to the head of the log."""
    projector = Projector(connection, Side.A)
    while (batch := projector.batch()).events:
        assert batch.need is None
    return batch.position


def book(connection: Connection[Any], basis: Basis, *, by_tables: bool = True) -> Book:
    return Book(Origin(LogReader(connection), "", by_tables=by_tables), basis)


def opened_deal(ledger: Ledger, deal: str, known_at: datetime) -> None:
    """Import the opening of a deal, as attested by a CRM."""
    said = payload("deal-opened", name=deal, amount=money("10.00"), close_date="2026-03-01")
    event_id = event_id_of("answers", deal, str(known_at))
    stream = f"deal:{deal}"
    ledger.import_events([Draft(stream, said, event_id, "crm", Source("crm"), known_at, known_at)])


def made_from(connection: Connection[Any], basis: Basis) -> MadeFrom | None:
    """What a forecast is made from; it is the same as folded from the log."""
    asked, folded = book(connection, basis), book(connection, basis, by_tables=False)
    answers = [each.forecast(QUARTER).as_dict() for each in (asked, folded)]
    assert answers[0] == answers[1]
    assert folded.made_from is MadeFrom.LOG
    return asked.made_from


# --- the same bytes -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_forecast_from_the_tables_is_the_one_folded_from_the_log(
    ledger: Ledger, connection: Connection[Any], seed: int
) -> None:
    ledger.import_events(story(seed, 6, 120, one_zone=True))
    head = project(connection)
    random = Random(seed)
    by_tables = 0
    for number in range(60):
        valid_at, known_at = (
            datetime(2025, 10, 1, tzinfo=UTC) + timedelta(hours=random.randrange(24 * 300))
            for _ in range(2)
        )
        basis = Basis(valid_at, valid_at if number % 3 == 0 else known_at, head)
        group_by = GROUPINGS[number % len(GROUPINGS)]
        asked, folded = book(connection, basis), book(connection, basis, by_tables=False)
        period = asked.period(random.choice(["2026-Q1", "2026-Q2", "2026-02", "2026"]))
        answer = asked.forecast(period, group_by).as_dict()
        by_tables += asked.made_from is MadeFrom.TABLES
        assert orjson.dumps(answer) == orjson.dumps(folded.forecast(period, group_by).as_dict())
    assert by_tables == 60


@pytest.mark.parametrize("seed", [4, 5])
def test_a_forecast_in_scope_is_read_from_the_tables_where_no_knowledge_is_left_out(
    ledger: Ledger, connection: Connection[Any], seed: int
) -> None:
    ledger.import_events(story(seed, 6, 120, one_zone=True))
    head = project(connection)
    owned = "SELECT DISTINCT owner FROM qledger_a.deal_state WHERE owner IS NOT NULL ORDER BY 1"
    owners = [owner for (owner,) in connection.execute(owned)]
    random = Random(seed)
    for number in range(48):
        valid_at, known_at = (
            datetime(2025, 10, 1, tzinfo=UTC) + timedelta(hours=random.randrange(24 * 300))
            for _ in range(2)
        )
        basis = Basis(valid_at, valid_at if number % 3 == 0 else known_at, head)
        scope = Scope(frozenset(random.sample(owners, number % 3)))
        group_by = GROUPINGS[number % len(GROUPINGS)]
        asked, folded = book(connection, basis), book(connection, basis, by_tables=False)
        asked.scope = folded.scope = scope
        period = asked.period(random.choice(["2026-Q1", "2026-Q2", "2026-02", "2026"]))
        answer = asked.forecast(period, group_by).as_dict()
        exact = basis.known_at <= basis.valid_at
        assert asked.made_from is (MadeFrom.TABLES if exact else MadeFrom.LOG)
        assert orjson.dumps(answer) == orjson.dumps(folded.forecast(period, group_by).as_dict())


@pytest.mark.parametrize("axis", list(Axis))
def test_a_point_of_a_line_opens_into_the_forecast_at_its_basis(
    ledger: Ledger, connection: Connection[Any], axis: Axis
) -> None:
    ledger.import_events(story(5, 6, 150, one_zone=True))
    basis = Basis(THEN, THEN + timedelta(days=90), project(connection))
    for group_by in (("owner",), ("team",), ("stage", "category"), ()):
        asked = book(connection, basis)
        first, last = (
            datetime(2025, 12, 20, tzinfo=UTC).date(),
            datetime(2026, 4, 20, tzinfo=UTC).date(),
        )
        answer = series(
            asked, first, last, Every.MONTH, group_by=group_by, measures=MEASURES, axis=axis
        )
        assert asked.made_from is MadeFrom.TABLES
        lines = {
            (*line["key"].values(), line["measure"], line["category"]): line
            for line in answer["lines"]
        }
        assert lines
        for index, point in enumerate(answer["points"]):
            at = Basis(
                parse_instant(point["valid_at"]), parse_instant(point["known_at"]), basis.horizon
            )
            _check_point(book(connection, at, by_tables=False), point, index, lines, group_by)


def _check_point(
    folded: Book,
    point: dict[str, Any],
    index: int,
    lines: dict[tuple[Any, ...], dict[str, Any]],
    group_by: tuple[str, ...],
) -> None:
    """A point says what the forecast at its basis says, cell by cell."""
    told = folded.forecast(folded.period(point["period"]), group_by).as_dict()
    assert told["currency"] == point["currency"]
    assert point["unconverted"] == sorted({each["currency"] for each in told["unconverted"]})
    groups = told["groups"] if group_by else [{"key": {}, "measures": told["measures"]}]
    cells = {
        (*group["key"].values(), measure, category): (cell["amount"], cell["deals"])
        for group in groups
        for measure, categories in group["measures"].items()
        for category, cell in (categories or {}).items()
    }
    for key, line in lines.items():
        deals = None if line["deals"] is None else line["deals"][index]
        nothing = "0" if point["currency"] is None else "0.00"
        assert (line["amounts"][index], deals or 0) == (
            cells[key][0] if key in cells else nothing,
            (cells[key][1] if key in cells else 0) or 0,
        )
    assert not [key for key, cell in cells.items() if cell[1] and key not in lines]


# --- when they may ------------------------------------------------------------------------------


def test_the_tables_answer_what_they_hold(ledger: Ledger, connection: Connection[Any]) -> None:
    opened_deal(ledger, "D1", THEN)
    head = project(connection)
    assert made_from(connection, Basis(THEN, THEN, head)) is MadeFrom.TABLES
    assert made_from(connection, Basis(THEN, THEN, head, witnessed_only=True)) is MadeFrom.LOG
    assert made_from(connection, Basis(END_OF_TIME, THEN, head)) is MadeFrom.LOG
    assert made_from(connection, Basis(THEN, END_OF_TIME, head)) is MadeFrom.LOG


def test_an_event_that_is_not_projected_counts_from_when_it_was_known(
    ledger: Ledger, connection: Connection[Any]
) -> None:
    opened_deal(ledger, "D1", THEN)
    project(connection)
    known = THEN + timedelta(days=3)
    opened_deal(ledger, "D2", known)
    before = known - timedelta(microseconds=1)
    assert made_from(connection, Basis(before, before, 2)) is MadeFrom.TABLES
    assert made_from(connection, Basis(known, known, 2)) is MadeFrom.LOG
    assert made_from(connection, Basis(known, known, 1)) is MadeFrom.TABLES


def test_an_old_horizon_is_served_until_something_known_earlier_was_recorded_after_it(
    ledger: Ledger, connection: Connection[Any]
) -> None:
    opened_deal(ledger, "D1", THEN + timedelta(days=5))
    opened_deal(ledger, "D2", THEN)
    project(connection)
    assert made_from(connection, Basis(THEN, THEN, 1)) is MadeFrom.LOG
    earlier = THEN - timedelta(microseconds=1)
    assert made_from(connection, Basis(earlier, earlier, 1)) is MadeFrom.TABLES
    assert made_from(connection, Basis(THEN, THEN, 0)) is MadeFrom.LOG


@pytest.mark.parametrize("late", [1, 999, 1000, 1500, 2001, 2999, 3000])
def test_what_was_known_earlier_is_found_in_whole_blocks_and_beside_them(
    ledger: Ledger, connection: Connection[Any], late: int
) -> None:
    drafts = [
        Draft(
            "person:ann", payload("person-assessed", aspect="urgency", score=3, assessor="mia"),
            event_id_of("answers", "block", str(number)), "crm", Source("crm"), known, known,
        )
        for number in range(1, 3001)
        if (known := THEN if number == late else THEN + timedelta(days=9, seconds=number))
    ]  # fmt: skip
    ledger.import_events(drafts)
    assert project(connection) == 3000
    reader = LogReader(connection)
    for horizon in (0, late - 1, late, 999, 1000, 1001, 2999, 3000):
        for known_at in (THEN, THEN - timedelta(microseconds=1)):
            with tables_at(reader, Basis(known_at, known_at, horizon), "UTC") as tables:
                served = tables is not None
            assert served == (horizon >= late or known_at < THEN)


def test_tables_of_other_rules_or_another_zone_or_not_ready_do_not_answer(
    ledger: Ledger, connection: Connection[Any]
) -> None:
    opened_deal(ledger, "D1", THEN)
    basis = Basis(THEN, THEN, project(connection))
    reader = LogReader(connection)
    for change, back in (
        ("rules = 'older'", f"rules = '{RULES}'"),
        ("ready = false", "ready = true"),
        ("zone = 'Asia/Tokyo'", "zone = 'UTC'"),
    ):
        update = "UPDATE qledger.projection SET {} WHERE side = 'a'"
        connection.execute(update.format(change).encode())
        assert made_from(connection, basis) is MadeFrom.LOG
        connection.execute(update.format(back).encode())
        assert made_from(connection, basis) is MadeFrom.TABLES
    with tables_at(reader, basis, "Asia/Tokyo") as tables:
        assert tables is None


def test_a_reader_at_work_on_something_else_folds_the_log(
    ledger: Ledger, connection: Connection[Any]
) -> None:
    opened_deal(ledger, "D1", THEN)
    opened_deal(ledger, "D2", THEN)
    basis = Basis(THEN, THEN, project(connection))
    asked = book(connection, basis)
    for _deal in asked.deals():
        assert asked.forecast(QUARTER).tally.deals == 2
        assert asked.made_from is MadeFrom.LOG


def test_an_answer_sees_one_state_of_the_tables_while_they_change(
    ledger: Ledger, connection: Connection[Any], database_url: str
) -> None:
    opened_deal(ledger, "D1", THEN)
    basis = Basis(THEN, THEN, project(connection))
    with (
        tables_at(LogReader(connection), basis, "UTC") as tables,
        psycopg.connect(database_url, autocommit=True) as other,
    ):
        assert tables is not None
        other.execute("DELETE FROM qledger_a.deal_state")
        other.execute("DELETE FROM qledger_a.forecast_entry")
        tally = tally_from_tables(tables, basis, QUARTER, (), Directory())
        assert tally.deals == 1


# --- by which indexes -----------------------------------------------------------------------------

DEALS = 3_000


class Planned(Tables):
    """Tables that also tell how each statement is carried out."""

    def rows(self, statement: LiteralString, parameters: dict[str, Any]) -> list[Any]:
        explained = b"EXPLAIN (FORMAT JSON) " + on(self.side, statement)
        [[plan]] = self.connection.execute(explained, parameters).fetchall()
        _nodes(plan[0]["Plan"])
        return super().rows(statement, parameters)

    @contextmanager
    def begun(
        self, statement: LiteralString, parameters: dict[str, Any]
    ) -> Iterator[Callable[[], list[Any]]]:
        yield lambda: self.rows(statement, parameters)


used: set[str] = set()
_STABS = {"deal_state_diagonal", "deal_state_hindsight", "deal_state_foresight"}


def _nodes(plan: dict[str, Any]) -> None:
    """No table is read from end to end; a stab reads its index alone."""
    assert plan["Node Type"] != "Seq Scan", plan
    index = plan.get("Index Name")
    if index is not None:
        used.add(index)
        assert index not in _STABS or plan["Node Type"] == "Index Only Scan", plan
        assert plan.get("Index Cond"), plan
    for each in plan.get("Plans", ()):
        _nodes(each)


def _elsewhere(deal: Learned, months: int) -> Learned:
    """The same deal, counting some months later."""

    def moved(state: DealState | None) -> DealState | None:
        if state is None or state.counts_on is None:
            return state
        day = date.fromisoformat(state.counts_on)
        month = day.month - 1 + months
        there = day.replace(year=day.year + month // 12, month=month % 12 + 1, day=1)
        return state._replace(counts_on=there.isoformat())

    opened = [each._replace(state=moved(each.state) or each.state) for each in deal.opened]
    entries = [
        each._replace(before=moved(each.before), after=moved(each.after)) for each in deal.entries
    ]
    return deal._replace(opened=opened, entries=entries)


@pytest.fixture
def planned(connection: Connection[Any], database_url: str) -> Planned:
    """A book of some thousand deals, with statistics."""
    random = Random(7)
    with connection.transaction():
        # VACUUM takes a row for one that all see once its commit is on disk.
        connection.execute("SET LOCAL synchronous_commit = on")
        deals = ((f"D{n:05d}", _elsewhere(random_deal(random), n % 24)) for n in range(DEALS))
        load(connection, Side.A, deals)
        openings.roll(connection, Side.A, START + timedelta(days=50))
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("VACUUM ANALYZE")
    used.clear()
    return Planned(connection, Side.A, 0)


@pytest.mark.parametrize("period", ["2026-Q1", "2026-03"])
def test_a_forecast_reads_by_index_only(planned: Planned, period: str) -> None:
    then, later = START + timedelta(days=30), START + timedelta(days=45)
    asked = FiscalCalendar().period(period)
    entries = {"forecast_entry_into", "forecast_entry_out_of", "forecast_opening_key"}
    for basis, group_by, read in (
        (Basis(then, then, 0), (), entries),
        (Basis(then, then, 0), ("owner",), entries),
        (Basis(then, then, 0), ("owner", "category"), {"deal_state_diagonal"}),
        (Basis(then, later, 0), ("owner",), {*entries, "deal_state_diagonal",
                                             "deal_state_hindsight"}),
        (Basis(later, then, 0), (), {*entries, "deal_state_diagonal", "deal_state_foresight"}),
        (Basis(then, later, 0), ("owner", "category"), {"deal_state_diagonal",
                                                        "deal_state_hindsight"}),
    ):  # fmt: skip
        used.clear()
        tally = tally_from_tables(planned, basis, asked, group_by, Directory())
        assert tally.deals
        assert tally.without_amount
        assert read | {"deal_state_incomplete"} == used


def test_a_line_as_known_then_reads_one_index(planned: Planned) -> None:
    points = [START + timedelta(days=number) for number in range(60)]
    shape = Shape.of(("owner", "category"))
    assert list(steps_along(planned, QUARTER, points, None, "evidenced", shape))
    assert used == {"deal_state_diagonal"}


def test_a_line_of_days_by_owner_reads_the_journal_by_index(planned: Planned) -> None:
    days = [START + timedelta(days=number) - MICROSECOND for number in range(10, 55)]
    line = Line(QUARTER, days, "UTC")
    shape = Shape.of(("owner",))
    assert list(steps_by_day(planned, line, first_balance(planned, line), "evidenced", shape))
    assert used == {"forecast_entry_into", "forecast_entry_out_of", "forecast_opening_key"}


def test_a_stab_has_the_bounds_of_its_classes(connection: Connection[Any]) -> None:
    spans = [*stabbing.BOUNDS, *(each - timedelta(microseconds=1) for each in stabbing.BOUNDS)]
    for span in spans:
        [[found]] = connection.execute(
            "SELECT qledger.span_class(%s, %s)", [START, START + span]
        ).fetchall()
        longer = [bound for bound in stabbing.BOUNDS if span >= bound]
        assert found == len(longer)
    [[endless]] = connection.execute(
        "SELECT qledger.span_class(%s, %s)", [START, END_OF_TIME]
    ).fetchall()
    assert endless == stabbing.ENDLESS
