"""The tables hold what the fold learned, whole or bit by bit, and openings are sums of entries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from ledger.domain.errors import Unavailable
from ledger.domain.events import Event
from ledger.domain.times import parse_instant
from ledger.store.database import Connection
from ledger.store.ledger import Ledger
from projections.fold.deal_history import DealHistory, World
from projections.fold.states import FOREVER, Learned, Rectangle
from projections.tables import openings
from projections.tables.checks import TableFault, check_tables
from projections.tables.rows import month_of
from projections.tables.sides import Side, on
from projections.tables.writing import apply, load
from tests.integration.tables_kit import (
    OPENED,
    START,
    as_known_then,
    balances,
    day,
    entries_kept,
    entry_told,
    openings_kept,
    random_deal,
    states_kept,
)
from tests.unit.fold.test_qualification_laws import Drawn, drawn_events, log_of
from tests.unit.fold.test_states import Kept, of_deal, with_claims

SIDE = Side.A
MARCH, APRIL = date(2026, 3, 1), date(2026, 4, 1)
UNTIL = START + timedelta(days=45)

seeds = st.integers(0, 2**30)
with_fixtures = settings(
    max_examples=25,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def tables(ledger: Ledger) -> Iterator[Connection]:
    """A session that may write the tables, of which side a is live and ready."""
    with ledger.database.connect() as connection:
        yield connection


@pytest.fixture(autouse=True)
def few_entries_make_an_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "ENTRIES_PER_OPENING_MIN", 4)


def empty(connection: Connection) -> None:
    connection.execute(
        on(SIDE, "TRUNCATE {side}.deal_state, {side}.forecast_entry, {side}.forecast_opening")
    )


def put(connection: Connection, changes: dict[str, Learned]) -> None:
    with connection.transaction():
        apply(connection, SIDE, changes)


def roll(connection: Connection) -> int:
    with connection.transaction():
        return openings.roll(connection, SIDE, UNTIL)


def faults(connection: Connection) -> list[TableFault]:
    return list(check_tables(connection))


# --- what was learned ----------------------------------------------------------------------------


@with_fixtures
@given(st.lists(drawn_events, min_size=1, max_size=3), seeds)
def test_what_is_learned_bit_by_bit_is_kept_as_the_fold_keeps_it(
    tables: Connection, drawn: list[list[Drawn]], seed: int
) -> None:
    empty(tables)
    random = Random(seed)
    logs = {f"D{n}": with_claims(log_of(each), seed + n) for n, each in enumerate(drawn)}
    histories = {deal: DealHistory("D1", _world(events)) for deal, events in logs.items()}
    waiting = {deal: list(of_deal(events)) for deal, events in logs.items()}
    models = {deal: Kept() for deal in logs}
    while any(waiting.values()):
        changes: dict[str, Learned] = {}
        for deal, events in waiting.items():
            count = random.randrange(4)
            if events and count:
                learned = histories[deal].learn(events[:count])
                changes[deal] = learned
                models[deal].take(learned)
                del events[:count]
        put(tables, changes)
        if random.random() < 0.5:
            roll(tables)
    assert states_kept(tables, SIDE) == {
        (deal, each.valid_from, each.known_from): each
        for deal, model in models.items()
        for each in model.rectangles.values()
    }
    assert entries_kept(tables, SIDE) == {
        (deal, entry.at): entry_told(entry)
        for deal, model in models.items()
        for entry in model.entries
    }
    assert faults(tables) == []


def _world(events: Sequence[Event]) -> World:
    return World([each for each in events if each["stream"].startswith("playbook:")], "UTC")


def test_texts_and_amounts_come_back_as_they_were(tables: Connection) -> None:
    state = OPENED._replace(
        name="a\tb\\c\nd\r\\N 'é\U0001f600", account=None, owner="o\\", stage=None,
        amount="-999999999999999.999999", dimensions='{"segment":"a\\tb"}', close_date=None,
        counts_on="0001-01-01", gate=None, weight_percent=100,
    )  # fmt: skip
    deal = "D\\1 \u2028"
    other = state._replace(amount="0.00", dimensions=None, counts_on="9999-12-31")
    learned = as_known_then([(0, state), (1.000001, other)])
    with tables.transaction():
        assert load(tables, SIDE, [(deal, learned)]) == 5
    kept = states_kept(tables, SIDE)
    assert kept == {(deal, each.valid_from, each.known_from): each for each in learned.opened}
    assert entries_kept(tables, SIDE) == {
        (deal, entry.at): entry_told(entry) for entry in learned.entries
    }


def test_many_deals_are_loaded_in_portions(
    tables: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.tables.writing.ROWS_PER_COPY", 100)
    random = Random(1)
    deals = {f"D{number:03d}": random_deal(random) for number in range(130)}
    with tables.transaction():
        rows = load(tables, SIDE, iter(deals.items()))
    assert rows == sum(len(each.opened) + len(each.entries) for each in deals.values())
    assert len(entries_kept(tables, SIDE)) == sum(len(each.entries) for each in deals.values())
    assert faults(tables) == []


def test_a_state_that_should_end_and_is_not_there_is_refused(tables: Connection) -> None:
    learned = as_known_then([(0, OPENED)])
    put(tables, {"D1": learned})
    ends = Learned(False, [(day(0), day(0), day(2))], [], FOREVER, [])
    put(tables, {"D1": ends})
    with pytest.raises(Unavailable) as refusal:
        put(tables, {"D1": ends})  # it ended already
    assert refusal.value.code == "read-models-differ"
    assert refusal.value.hint == "run qledger rebuild"


def test_nothing_is_written_when_a_part_is_refused(tables: Connection) -> None:
    with pytest.raises(Unavailable):
        put(tables, {
            "D1": as_known_then([(0, OPENED)]),
            "D2": Learned(False, [(day(0), day(0), day(2))], [], FOREVER, []),
        })  # fmt: skip
    assert states_kept(tables, SIDE) == {}
    assert entries_kept(tables, SIDE) == {}


# --- openings ------------------------------------------------------------------------------------


@with_fixtures
@given(seeds)
def test_openings_are_the_sums_of_the_entries_before_them(tables: Connection, seed: int) -> None:
    empty(tables)
    random = Random(seed)
    deals: dict[str, Learned] = {}
    for _ in range(4):
        changes = {f"D{random.randrange(12)}": random_deal(random) for _ in range(5)}
        put(tables, changes)
        deals |= changes
        roll(tables)
        entries = [entry for each in deals.values() for entry in each.entries]
        for (month, at), kept in openings_kept(tables, SIDE).items():
            assert kept == balances(entries, month, at)
            assert at <= UNTIL
            assert at.timetz().isoformat() == "00:00:00+00:00"
    assert faults(tables) == []


def test_openings_are_made_for_every_month_that_is_busy_enough(tables: Connection) -> None:
    random = Random(2)
    deals = {f"D{number}": random_deal(random) for number in range(60)}
    put(tables, deals)
    assert roll(tables) > 0
    made = openings_kept(tables, SIDE)
    assert {month for month, _at in made} == {MARCH, APRIL}
    entries = [entry for each in deals.values() for entry in each.entries]
    for month in (MARCH, APRIL):
        last = max(at for each, at in made if each == month)
        touching = [
            entry
            for entry in entries
            if month in {month_of(entry.before), month_of(entry.after)}
            and last < parse_instant(entry.at) <= UNTIL
        ]
        assert len(touching) < 60
    assert roll(tables) == 0


def test_an_opening_never_stands_where_things_may_still_change(tables: Connection) -> None:
    put(tables, {f"D{n}": as_known_then([(44.9, OPENED), (45.1, None)]) for n in range(9)})
    roll(tables)
    assert {at for _month, at in openings_kept(tables, SIDE)} == {UNTIL}


def test_what_comes_again_as_it_was_leaves_openings_standing(tables: Connection) -> None:
    random = Random(3)
    deals = {f"D{number}": random_deal(random) for number in range(20)}
    put(tables, deals)
    roll(tables)
    made = openings_kept(tables, SIDE)
    assert made
    put(tables, deals)
    assert openings_kept(tables, SIDE) == made


def test_only_openings_of_changed_months_from_the_change_on_go(tables: Connection) -> None:
    in_april = OPENED._replace(counts_on="2026-04-15")
    put(tables, {f"M{n}": as_known_then([(n, OPENED), (n + 20, None)]) for n in range(12)})
    put(tables, {f"A{n}": as_known_then([(n, in_april), (n + 20, None)]) for n in range(12)})
    roll(tables)
    before = set(openings_kept(tables, SIDE))
    changed = Learned(
        False, [], [], day(22), as_known_then([(2, OPENED), (22, OPENED._replace(amount="1"))])
        .entries[1:],
    )  # fmt: skip
    put(tables, {"M2": changed})
    gone = before - set(openings_kept(tables, SIDE))
    assert gone
    assert gone == {(month, at) for month, at in before if month == MARCH and at >= day_at(22)}


def day_at(number: float) -> datetime:
    return START + timedelta(days=number)


# --- checks --------------------------------------------------------------------------------------

_SET_ACCOUNTS = (
    "UPDATE {side}.forecast_opening SET accounts = jsonb_set(accounts::jsonb, '{0,2,%s}', '%s')"
)
TAMPERING = [
    ("UPDATE {side}.deal_state SET known_to = '9999-12-31Z' WHERE valid_from = known_from",
     "states-overlap"),
    ("DELETE FROM {side}.deal_state WHERE deal = 'D3'", "entry-differs"),
    ("DELETE FROM {side}.forecast_entry WHERE deal = 'D3'", "entry-missing"),
    ("UPDATE {side}.forecast_entry SET amount_before = 1 WHERE amount_before > 1",
     "entries-broken"),
    ("UPDATE {side}.forecast_entry SET amount_after = amount_after + 1", "trial-balance"),
    ("UPDATE {side}.deal_state SET amount = amount + 1", "trial-balance"),
    ("UPDATE {side}.forecast_opening SET accounts = (accounts::jsonb #- '{0}')::json",
     "opening-differs"),
    (_SET_ACCOUNTS % ("-1", "7"), "opening-differs"),
    (_SET_ACCOUNTS % ("0", "1"), "opening-differs"),
    ("UPDATE {side}.forecast_opening SET size = size + 1", "opening-differs"),
    ("UPDATE {side}.forecast_opening SET weighted = evidenced", "moves-differ"),
    ("UPDATE {side}.forecast_opening SET closed = '{}'", "moves-differ"),
    ("UPDATE {side}.forecast_opening SET since = at - interval '9 days'", "moves-differ"),
    ("UPDATE {side}.forecast_opening SET zone = 'Asia/Tokyo'", "moves-differ"),
    ("UPDATE {side}.forecast_opening SET at = at - interval '12 hours'", "opening-differs"),
]  # fmt: skip


@pytest.mark.parametrize(("tampering", "code"), TAMPERING)
def test_the_check_sees_what_the_tables_should_not_say(
    tables: Connection, tampering: str, code: str
) -> None:
    random = Random(4)
    put(tables, {f"D{number}": random_deal(random) for number in range(20)})
    roll(tables)
    assert faults(tables) == []
    tables.execute(on(SIDE, tampering))
    assert code in {fault.code for fault in faults(tables)}


def test_any_opening_may_be_missing(tables: Connection) -> None:
    random = Random(5)
    put(tables, {f"D{number}": random_deal(random) for number in range(40)})
    roll(tables)
    tables.execute(
        on(SIDE, "DELETE FROM {side}.forecast_opening WHERE at < %s"), [UNTIL - timedelta(days=20)]
    )
    assert openings_kept(tables, SIDE)
    assert faults(tables) == []


# --- who may what --------------------------------------------------------------------------------


def test_the_reader_role_reads_the_tables_and_cannot_write(ledger: Ledger) -> None:
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        connection.execute("SET ROLE qledger_reader")
        assert faults(connection) == []
        for refused in (
            "DELETE FROM qledger_a.deal_state",
            "TRUNCATE qledger_b.forecast_entry",
            "UPDATE qledger.projection SET position = 1",
            "SELECT qledger.index_side('b')",
            "SELECT qledger.unindex_side('b')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused)


def test_the_app_role_makes_and_drops_indexes_of_the_side_that_is_not_live(
    tables: Connection,
) -> None:
    count = on(Side.B, "SELECT count(*) FROM pg_indexes WHERE schemaname = '{side}'")
    made = tables.execute(count).fetchone()
    tables.execute("SELECT qledger.unindex_side('b')")
    assert tables.execute(count).fetchone() == (0,)
    tables.execute("SELECT qledger.index_side('b')")
    assert tables.execute(count).fetchone() == made
    with pytest.raises(psycopg.errors.ObjectInUse):
        tables.execute("SELECT qledger.unindex_side('a')")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        tables.execute("SELECT qledger.index_side('a; DROP TABLE qledger.head')")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        tables.execute("DROP TABLE qledger_b.deal_state")


def test_one_deal_has_one_row_at_a_point(tables: Connection) -> None:
    twice = as_known_then([(0, OPENED)])
    twice.opened.append(Rectangle(day(0), day(9), day(0), day(3), OPENED))
    with pytest.raises(psycopg.errors.UniqueViolation), tables.transaction():
        load(tables, SIDE, [("D1", twice)])
