"""What moved between two times, and the same answer from any number of workers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pytest

import projections.book
from api.asof import AsOf, resolve
from api.door import Door
from ledger.config import Settings
from ledger.domain.errors import Unavailable
from ledger.domain.events import Draft
from ledger.store.database import Database
from ledger.store.ledger import Ledger
from projections.book import Book, Origin
from projections.diff import diff
from projections.reader import LogReader
from tests.e2e.worked import END, PERIOD, attested, late_news, many_deals, opened, usd

TIMES = (
    AsOf("2025-01-01"),
    AsOf("2025-01-31"),
    AsOf("2025-02-28"),
    AsOf("2025-03-12"),
    AsOf(END),
    AsOf(valid_at=END, known_at="2025-04-02"),
    AsOf(END, known_at="now"),
    AsOf("now"),
)


@pytest.fixture(scope="module")
def door(worked_settings: Settings) -> Iterator[Door]:
    with Database(worked_settings) as database:
        yield Door(database, worked_settings)


@pytest.fixture
def own(settings: Settings) -> Iterator[Door]:
    """A door to the test's own ledger."""
    with Database(settings) as database:
        yield Door(database, settings)


def moved(door: Door, first: AsOf, second: AsOf, period: str = PERIOD) -> dict[str, Any]:
    with door.books(first, second) as (opening, closing):
        return diff(opening, closing, closing.period(period)).as_dict()


def dimension(name: str, value: str | None, occurred: str) -> Draft:
    return attested("deal:D", "deal-revised", {"dimensions": {name: value}}, occurred)


@pytest.mark.parametrize(("first", "second"), list(itertools.permutations(TIMES, 2)))
def test_opening_and_changes_make_the_closing(door: Door, first: AsOf, second: AsOf) -> None:
    with door.books(first, second) as (opening, closing):
        answer = diff(opening, closing, closing.period(PERIOD))
        values = [
            book.forecast(book.period(PERIOD)).as_dict()["measures"]["claimed"]
            for book in (opening, closing)
        ]
        written = answer.as_dict()
    change = sum((each.value_after - each.value_before for each in answer.moved), Decimal(0))
    assert answer.opening + answer.revaluation + change == answer.closing
    bridge = [Decimal(written[key]) for key in ("opening", "revaluation", "change", "closing")]
    assert sum(bridge[:3]) == bridge[3]
    for which, measure in zip((bridge[0], bridge[3]), values, strict=True):
        counted = [Decimal(cell["amount"]) for name, cell in measure.items() if name != "omitted"]
        assert which == sum(counted)
    for deal in written["deals"]:
        assert deal["because"], deal["deal"]


def test_what_hindsight_changed_and_why(door: Door) -> None:
    answer = moved(door, AsOf(END), AsOf(END, known_at="now"))
    assert {each["deal"]: each["change"] for each in answer["deals"]} == {
        "D": "40000.00", "B": "12000.00", "F": "7000.00", "C": "3000.00",
    }  # fmt: skip
    assert {each["deal"]: [e["type"] for e in each["because"]] for each in answer["deals"]} == {
        "D": ["event-retracted"],
        "B": ["deal-revised"],
        "F": ["deal-opened"],
        "C": ["event-corrected"],
    }
    # 60000.00 + 42000.60 + 100000.00 then; 62000.00 more now; all at the rate of 1 March
    bridge = [answer[key] for key in ("opening", "revaluation", "change", "closing")]
    assert bridge == ["202000.60", "0.00", "62000.00", "264000.60"]


def test_a_change_of_rates_is_no_change_of_deals(door: Door) -> None:
    answer = moved(door, AsOf("2025-02-28"), AsOf("2025-03-01"))
    # B 50000.00 EUR and E 10000.50 EUR, each up by 0.10
    assert (answer["revaluation"], answer["change"], answer["deals"]) == ("6000.05", "0.00", [])


def test_a_reopened_deal_names_its_reopening(door: Door) -> None:
    (deal,) = moved(door, AsOf("2025-03-04"), AsOf("2025-03-05"))["deals"]
    assert deal["deal"] == "E"
    assert [(each["field"], each["old"], each["new"]) for each in deal["fields"]] == [
        ("category", "closed", "commit"),
        ("outcome", "won", "open"),
    ]
    assert [each["type"] for each in deal["because"]] == ["deal-reopened"]


def test_a_dimension_that_went_away_names_the_revision(own: Door, ledger: Ledger) -> None:
    ledger.import_events(
        [
            opened("D", "ann", END, usd("1.00")),
            dimension("segment", "smb", "2025-01-11"),
            dimension("region", "north", "2025-01-12"),
            dimension("segment", None, "2025-02-01"),
            dimension("region", None, "2025-02-02"),
        ]
    )
    for first, second in (("2025-01-31", "2025-02-01"), ("2025-02-01", "2025-02-02")):
        (deal,) = moved(own, AsOf(first), AsOf(second))["deals"]
        assert [each["field"] for each in deal["fields"]] == ["dimensions"]
        assert [each["occurred_at"][:10] for each in deal["because"]] == [second]


def test_a_deal_closed_anew_in_another_quarter_names_the_closing(own: Door, ledger: Ledger) -> None:
    """Without a close date the day of the closing decides; nothing else of the deal differs."""
    undated = opened("D", "ann", END, usd("5.00"))
    payload = undated.payload.model_copy(update={"close_date": None})
    won = {"outcome": "won"}
    ledger.import_events(
        [
            undated._replace(payload=payload),
            attested("deal:D", "deal-closed", won, "2025-03-30"),
            attested("deal:D", "deal-reopened", {}, "2025-04-01"),
            attested("deal:D", "deal-closed", won, "2025-04-02"),
        ]
    )
    answer = moved(own, AsOf("2025-03-31"), AsOf("2025-04-03"))
    (deal,) = answer["deals"]
    assert (answer["opening"], answer["closing"]) == ("5.00", "0.00")
    assert 4 in [each["position"] for each in deal["because"]]


def test_a_removed_deal_names_its_removal(own: Door, ledger: Ledger) -> None:
    removed = attested("deal:D", "deal-removed", {}, "2025-02-01")
    ledger.import_events([opened("D", "ann", END, usd("5.00")), removed])
    (deal,) = moved(own, AsOf("2025-01-31"), AsOf("2025-02-01"))["deals"]
    assert (deal["change"], deal["after"]) == ("-5.00", None)
    assert [each["type"] for each in deal["because"]] == ["deal-removed"]


def test_two_readers_do_not_disturb_each_other(own: Door, ledger: Ledger) -> None:
    """More deals than one batch holds, some in one of the two books only."""
    ledger.import_events(many_deals(1200))
    then = own.head().size
    ledger.import_events(
        [
            attested(f"deal:M{number:04d}", "deal-removed", {}, "2025-02-20")
            for number in range(0, 1200, 2)
        ]
    )
    ledger.import_events([opened(f"N{number}", "ann", END, usd("1.00")) for number in range(5)])
    first, second = AsOf("2025-02-19", horizon=then), AsOf("2025-03-01")
    answer = moved(own, first, second)
    with own.books(first, second) as (opening, closing):
        before, after = ({deal.deal_id for deal in book.deals()} for book in (opening, closing))
    assert (len(before), len(after)) == (1200, 605)
    assert {each["deal"] for each in answer["deals"]} == before ^ after


@pytest.fixture
def many(ledger: Ledger) -> Ledger:
    ledger.import_events([*many_deals(150), *late_news()])
    return ledger


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if starting a process cost nothing."""
    monkeypatch.setattr(projections.book, "EVENTS_PER_WORKER_MIN", 10)


def with_workers(settings: Settings, workers: int, *group_by: str) -> dict[str, Any]:
    chosen = settings.model_copy(update={"workers": workers})
    with Database(chosen) as database, Door(database, chosen).book(AsOf(END, horizon=200)) as book:
        return book.forecast(book.period(PERIOD), group_by).as_dict()


@pytest.mark.usefixtures("many", "eager")
def test_any_number_of_workers_gives_the_same_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "pickle.py").write_text("raise SystemExit('not this one')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)  # what lies in the user's directory is none of a worker's modules
    alone = with_workers(settings, 1, "owner", "team")
    assert alone["measures"]["claimed"]["commit"]["deals"] > 0
    for workers in (2, 3):
        assert with_workers(settings, workers, "owner", "team") == alone


@pytest.mark.usefixtures("many", "eager")
def test_a_worker_that_fails_is_told_and_leaves_nothing_behind(
    database_url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with LogReader.connect(database_url) as reader:
        basis = resolve(AsOf(END), reader.present(), reader)
        book = Book(Origin(reader, "postgresql://nobody@127.0.0.1:9/none", 2), basis)
        with pytest.raises(Unavailable) as failed:
            book.forecast(book.period(PERIOD))
    assert failed.value.code == "worker-failed"
    assert set(psutil.Process().children(recursive=True)) <= before
    assert "127.0.0.1" in capfd.readouterr().err  # the worker's own words, for who must repair it


@pytest.mark.usefixtures("many", "eager")
def test_a_worker_that_cannot_read_its_job_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = set(psutil.Process().children(recursive=True))
    monkeypatch.setattr("projections.parallel.sys.executable", "/bin/false")
    with pytest.raises(Unavailable) as failed:
        with_workers(settings, 3)
    assert failed.value.code == "worker-failed"
    assert set(psutil.Process().children(recursive=True)) <= before
