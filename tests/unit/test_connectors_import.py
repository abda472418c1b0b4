"""Imports as a whole: counts that add up, rejects, idempotency, growth, resumption."""

from __future__ import annotations

import csv
from collections.abc import Collection
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.connectors.report import REJECT_COLUMNS, Reject
from ledger.connectors.salesforce import recognise
from ledger.connectors.state import fold_deal, told
from ledger.domain.errors import InvalidInput
from tests.unit.connectors_kit import NOW, Killed, MemoryLedger, bring, public_data

RECORD = "Id,Name,StageName,Amount,CloseDate,OwnerId,CreatedDate\n"
HISTORY = "Id,OpportunityId,StageName,Amount,CloseDate,CreatedDate,CreatedById\n"


def read_rejects(path: Path | None) -> list[list[str]]:
    assert path is not None
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


def test_rows_that_cannot_be_read_go_to_a_file_and_do_not_stop_the_rest(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    report = bring(ledger, tmp_path / "export", {
        "o.csv": RECORD
        + "D1,A,Alpha,10,2026-05-01,U1,2026-01-01\n"
        + "D2,B,Alpha,ten,2026-05-01,U1,2026-01-01\n"
        + "D3,C,Alpha,10,2026-05-01,U1,2026-13-01\n"
        + "D4,D,Alpha,10\n"
        + "D5,E\x00,Alpha,10,2026-05-01,U1,2026-01-01\n"
        + f"D6,{'x' * 301},Alpha,10,2026-05-01,U1,2026-01-01\n"
        + ",F,Alpha,10,2026-05-01,U1,2026-01-01\n"
        + "D1,G,Alpha,10,2026-05-01,U1,2026-01-01\n"
        + "D1,A,Alpha,10,2026-05-01,U1,2026-01-01\n"
        + "D7,H,Alpha,10,2026-05-01,U1,2027-01-01\n",
        "h.csv": HISTORY + "H1,D9,Alpha,1,,2026-01-01,U\nH2,D1,Alpha,-1,,2026-01-01,U\n"
        + "H3,D1,Beta,1,,2026-02-01,U\nH3,D1,Gamma,1,,2026-02-01,U\n",
    })  # fmt: skip
    written = read_rejects(report.rejects_path)
    assert tuple(written[0]) == REJECT_COLUMNS
    assert [(row[0], int(row[1]), row[2], row[4]) for row in written[1:]] == [
        ("o.csv", 3, "Amount", "invalid-amount"),
        ("o.csv", 4, "CreatedDate", "invalid-date"),
        ("o.csv", 5, "", "wrong-column-count"),
        ("o.csv", 6, "Name", "control-character"),
        ("o.csv", 7, "Name", "text-too-long"),
        ("o.csv", 8, "id", "missing-value"),
        ("o.csv", 9, "id", "duplicate-record"),
        ("o.csv", 11, "CreatedDate", "in-the-future"),
        ("h.csv", 3, "Amount", "negative-amount"),
        ("h.csv", 2, "deal", "unknown-deal"),
        ("h.csv", 5, "", "duplicate-record"),
    ]
    total = report.total
    assert (total.rows_read, total.rejected) == (14, 11)
    assert total.rows_read == total.used + total.unchanged + total.ignored + total.rejected
    assert report.rejects[0] == Reject(
        "o.csv", 3, "Amount", "ten", "invalid-amount", "not an amount"
    )
    assert "2026-02-01 stage-claimed stage=Beta" in ledger.story("D1")


def test_strict_refuses_everything(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    files = {"o.csv": RECORD + "D1,A,Alpha,10,,U1,2026-01-01\nD2,B,Alpha,ten,,U1,2026-01-01\n"}
    with pytest.raises(InvalidInput) as refused:
        bring(ledger, tmp_path / "export", files, strict=True)
    assert refused.value.code == "rows-rejected"
    assert refused.value.where == "o.csv:3:Amount"
    assert ledger.log == []
    assert len(read_rejects(next((tmp_path / "home" / "rejects").iterdir()))) == 2


USERS = "Id,Name,Email,UserRoleId\n"


def test_a_cell_that_is_left_out_is_listed_and_its_row_is_kept(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    columns = "Id,Name,StageName,Amount,ForecastCategoryName,CreatedDate\n"
    report = bring(ledger, tmp_path / "export", {
        "o.csv": columns + "D1,A,Alpha,10,Hopeful,2026-01-01\nD2,B,Alpha,ten,Sure,2026-01-01\n",
        "u.csv": USERS + "U1,Linn,linn.van der maes@example.com,R\nU2,Tim,tim@example.com,R\n",
    })  # fmt: skip
    written = read_rejects(report.rejects_path)
    assert written[1:] == [
        ["o.csv", "3", "Amount", "ten", "invalid-amount", "not an amount", "row"],
        ["o.csv", "2", "ForecastCategoryName", "Hopeful", "unknown-category",
         "no forecast category; derived", "cell"],
        ["u.csv", "2", "Email", "linn.van der maes@example.com", "invalid-email",
         "not an e-mail address; left out", "cell"],
    ]  # fmt: skip
    assert (report.total.rejected, report.total.used, report.cells_left_out) == (1, 3, 2)
    assert report.as_dict()["cells_left_out"] == 2
    assert report.as_dict()["rejects"][1]["left_out"] == "cell"
    assert "email" not in ledger.fact("person:U1", "person-joined")


def test_strict_refuses_a_cell_that_would_be_left_out(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    files = {
        "o.csv": RECORD + "D1,A,Alpha,10,,U1,2026-01-01\n",
        "u.csv": USERS + "U1,Linn,linn@,R\n",
    }
    with pytest.raises(InvalidInput) as refused:
        bring(ledger, tmp_path / "export", files, strict=True)
    assert (refused.value.code, refused.value.where) == ("rows-rejected", "u.csv:2:Email")
    assert refused.value.message.startswith("1 cell cannot be read, and nothing was imported")
    assert ledger.log == []


def test_an_unknown_category_in_a_history_of_single_changes_is_listed_too(tmp_path: Path) -> None:
    report = bring(MemoryLedger(), tmp_path / "export", {
        "o.csv": RECORD + "D1,A,Alpha,10,,U1,2026-01-01\n",
        "f.csv": "Id,OpportunityId,Field,OldValue,NewValue,CreatedDate\n"
        "F1,D1,ForecastCategoryName,Pipeline,Hopeful,2026-02-01\n",
    })  # fmt: skip
    assert [(cell.row, cell.column, cell.value, cell.left_out) for cell in report.rejects] == [
        (2, "NewValue", "Hopeful", "cell")
    ]


def test_a_second_import_finds_all_that_the_first_one_added(tmp_path: Path) -> None:
    ledger, folder = MemoryLedger(), tmp_path / "export"
    files = {
        "o.csv": RECORD + "D1,A,Beta,2,2026-05-01,U1,2026-01-01\nD2,B,Alpha,3,,U1,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Alpha,1,2026-05-01,2026-02-01,U\n",
        "u.csv": USERS + "U1,Linn,linn@example.com,R\n",
    }
    first = bring(ledger, folder, files)
    assert first.reconciled
    assert first.events_known == 0
    again = bring(ledger, folder, files)
    assert (again.events_added, again.events_known) == (0, first.events_added)
    files["h.csv"] += "H2,D1,Gamma,1,2026-05-01,2026-03-01,U\n"
    grown = bring(ledger, folder, files)
    assert grown.events_added
    assert grown.events_added + grown.events_known == len(ledger.log)


@pytest.mark.parametrize(
    ("currency", "amounts", "assumed"), [("EUR", "10", False), ("", "10", True), ("", "", False)]
)
def test_a_currency_is_assumed_only_where_neither_row_nor_record_tells_it(
    tmp_path: Path, currency: str, amounts: str, assumed: bool
) -> None:
    report = bring(MemoryLedger(), tmp_path / "export", {
        "o.csv": "Id,Name,StageName,Amount,CurrencyIsoCode,CreatedDate\n"
        f"D1,A,Beta,{amounts},{currency},2026-01-01\n",
        "h.csv": HISTORY + f"H1,D1,Alpha,{amounts},,2026-02-01,U\n",
    })  # fmt: skip
    told = [caveat for caveat in report.caveats if caveat.startswith("currency:")]
    wanted = ["currency: not all amounts name theirs; USD was assumed (the default)"]
    assert told == (wanted if assumed else [])


def test_a_rejects_file_is_only_there_when_there_are_some(tmp_path: Path) -> None:
    folder, home = tmp_path / "export", tmp_path / "home" / "rejects"
    bad = {"o.csv": RECORD + "D1,A,Alpha,ten,,U1,2026-01-01\nD2,A,Alpha,1,,U1,2026-01-01\n"}
    bring(MemoryLedger(), folder, bad)
    assert len(list(home.iterdir())) == 1
    good = {"o.csv": bad["o.csv"].replace("ten", "10")}
    assert bring(MemoryLedger(), folder, good).rejects_path is None
    assert list(home.iterdir()) == []
    elsewhere = bring(MemoryLedger(), folder, bad, rejects=tmp_path / "mine.csv")
    assert elsewhere.rejects_path == tmp_path / "mine.csv"


def test_dates_of_both_orders_reject_the_minority(tmp_path: Path) -> None:
    report = bring(MemoryLedger(), tmp_path / "export", {
        "o.csv": RECORD + "D1,A,Alpha,1,31/01/2026,U,13/01/2026\nD2,A,Alpha,1,,U,01/13/2026\n",
    })  # fmt: skip
    assert report.date_order == "dmy"
    assert [(reject.row, reject.code) for reject in report.rejects] == [(3, "invalid-date")]


def test_dates_that_prove_no_order_need_to_be_told(tmp_path: Path) -> None:
    files = {"o.csv": RECORD + "D1,A,Alpha,1,02/03/2026,U,01/02/2026\n"}
    with pytest.raises(InvalidInput) as refused:
        bring(MemoryLedger(), tmp_path / "export", files)
    assert refused.value.code == "ambiguous-dates"
    ledger = MemoryLedger()
    bring(ledger, tmp_path / "export", files, date_order="mdy")
    assert ledger.story("D1")[0].startswith("2026-01-02 deal-opened")
    assert "close_date=2026-02-03" in ledger.story("D1")[0]


def test_a_prefix_keeps_two_organisations_apart(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    files = {
        "o.csv": RECORD + "D1,A,Alpha,1,,U1,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Beta,1,,2026-02-01,U\n",
    }
    first = bring(ledger, tmp_path / "export", files)
    second = bring(ledger, tmp_path / "export", files, id_prefix="eu-")
    assert (first.events_added, second.events_known) == (second.events_added, 0)
    assert ledger.fact("deal:eu-D1", "deal-opened")["owner"] == "eu-U1"


def test_a_changed_history_row_is_rejected_and_what_is_recorded_stays(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    files = {
        "o.csv": RECORD + "D1,A,Beta,1,,U1,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Alpha,1,,2026-02-01,U\nH2,D1,Beta,1,,2026-03-01,U\n",
    }
    bring(ledger, tmp_path / "export", files)
    story = ledger.story("D1")
    files["h.csv"] = files["h.csv"].replace("H1,D1,Alpha", "H1,D1,Gamma")
    report = bring(ledger, tmp_path / "export", files)
    assert [(reject.file, reject.row, reject.code) for reject in report.rejects] == [
        ("h.csv", 2, "conflicting-change")
    ]
    assert ledger.story("D1") == story


def test_history_of_a_deal_that_only_the_ledger_has_is_used(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    record = {"o.csv": RECORD + "D1,A,Alpha,1,,U1,2026-01-01\n"}
    bring(ledger, tmp_path / "export", record)
    history = {"h.csv": HISTORY + "H1,D1,Beta,1,,2026-02-01,U\n"}
    assert bring(ledger, tmp_path / "export", history).total.rejected == 0
    assert ledger.story("D1")[-1] == "2026-02-01 stage-claimed stage=Beta"


def test_grown_files_add_only_what_is_new(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    folder = tmp_path / "export"
    history = HISTORY + "H1,D1,Alpha,1,,2026-01-02,U\nH2,D1,Closed Won,1,,2026-02-01,U\n"
    record = RECORD + "D1,A,Alpha,1,,U1,2026-01-01\n"
    assert bring(ledger, folder, {"o.csv": record, "h.csv": history}).reconciled == 3
    later = record.replace("Alpha,1", "Closed Won,5")
    grown = history + "H3,D1,Closed Won,5,,2026-03-01,U\n"
    report = bring(ledger, folder, {"o.csv": later, "h.csv": grown})
    assert ledger.story("D1")[-4:] == [
        "2026-03-01 stage-claimed stage=Closed Won",
        "2026-03-01 category-claimed category=closed",
        "2026-03-01 deal-closed outcome=won",
        "2026-03-01 deal-revised amount=5 USD",
    ]
    assert (report.events_added, report.reconciled) == (4, 0)


def test_a_missing_folder_and_a_folder_of_something_else_are_refused(tmp_path: Path) -> None:
    for folder, code in ((tmp_path / "none", "missing-folder"), (tmp_path, "no-opportunities")):
        (tmp_path / "x.csv").write_text("a,b\n1,2\n")
        with pytest.raises(InvalidInput) as refused:
            recognise_and_import(folder)
        assert refused.value.code == code


def recognise_and_import(folder: Path) -> None:
    from ledger.connectors.salesforce import import_salesforce  # noqa: PLC0415

    import_salesforce(MemoryLedger(), folder)


@pytest.mark.parametrize(
    ("data", "kinds", "ignored"),
    [
        ("preppin_salesforce", {"deals", "history"}, []),
        ("salesforce_devorg", {"deals", "history", "accounts", "contacts"},
         ["Lead.csv", "OpportunityHistoryGroup.csv"]),
        ("revops_meddicc_history", {"deals", "history", "accounts", "contacts", "people"},
         ["activities.csv"]),
        ("fivetran_salesforce", {"deals", "history", "accounts", "people"},
         ["sf_user_role_data.csv"]),
    ],
)  # fmt: skip
def test_public_exports_are_recognised_by_their_columns(
    data: str, kinds: set[str], ignored: list[str]
) -> None:
    plan, others = recognise(public_data(data))
    assert {entry.kind for _, entry in plan} == kinds
    assert others == ignored


# --- the laws, over generated exports ------------------------------------------------------------

STAGES = ("Alpha", "Beta", "Gamma", "Closed Won", "Closed Lost")


class Move(NamedTuple):
    """A generated history row: days after 2026-01-01, stage, amount, close date."""

    day: int
    stage: str
    amount: int | None
    close_day: int


moves = st.lists(
    st.builds(
        Move, st.integers(0, 20), st.sampled_from(STAGES), st.none() | st.integers(1, 3),
        st.integers(-5, 30),
    ),
    max_size=7,
)  # fmt: skip
Deal = tuple[int, list[Move], Move]
deals = st.lists(st.tuples(st.integers(0, 15), moves, st.builds(
    Move, st.just(20), st.sampled_from(STAGES), st.none() | st.integers(1, 3), st.integers(-5, 30),
)), min_size=1, max_size=4)  # fmt: skip


def day_text(number: int) -> str:
    return (date(2026, 1, 1) + timedelta(days=number)).isoformat()


def export(book: list[Deal], absent: Collection[int] = ()) -> dict[str, str]:
    records, history = RECORD, HISTORY
    for number, (created, rows, now) in enumerate(book):
        records += (
            f"D{number},N,{now.stage},{'' if now.amount is None else now.amount},"
            f"{day_text(now.close_day)},U,{day_text(created)}\n"
        )
        for place, row in enumerate(rows):
            if place in absent:
                continue
            history += (
                f"H{number}-{place},D{number},{row.stage},"
                f"{'' if row.amount is None else row.amount},"
                f"{day_text(row.close_day)},{day_text(row.day)},U\n"
            )
    return {"o.csv": records, "h.csv": history}


@given(deals)
@settings(max_examples=60)
def test_a_second_import_adds_nothing(
    tmp_path_factory: pytest.TempPathFactory, book: list[Deal]
) -> None:
    folder = tmp_path_factory.mktemp("law") / "export"
    ledger = MemoryLedger()
    bring(ledger, folder, export(book))
    before = list(ledger.log)
    report = bring(ledger, folder, export(book))
    assert ledger.log == before
    assert (report.events_added, report.total.used, report.total.rejected) == (0, 0, 0)


@given(deals)
@settings(max_examples=60)
def test_what_is_folded_is_what_the_record_says(
    tmp_path_factory: pytest.TempPathFactory, book: list[Deal]
) -> None:
    folder = tmp_path_factory.mktemp("law") / "export"
    ledger = MemoryLedger()
    bring(ledger, folder, export(book))
    for number, (_, _, now) in enumerate(book):
        state = fold_deal([told(event) for event in ledger.stream(f"deal:D{number}")], NOW)
        assert state.stage == now.stage
        outcome = {"Closed Won": "won", "Closed Lost": "lost"}.get(now.stage)
        assert state.outcome == outcome
        assert state.category == {"won": "closed", "lost": "omitted", None: "pipeline"}[outcome]
        assert state.fields["close_date"].isoformat() == day_text(now.close_day)
        if now.amount is not None:
            assert state.fields["amount"].amount == now.amount


@given(deals, st.sets(st.integers(0, 6)), st.booleans())
@settings(max_examples=60)
def test_files_that_grow_anywhere_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory, book: list[Deal], absent: set[int], was_open: bool
) -> None:
    folder = tmp_path_factory.mktemp("law") / "export"
    ledger = MemoryLedger()
    earlier = [
        (created, rows, now._replace(stage="Alpha", amount=3) if was_open else now)
        for created, rows, now in book
    ]
    bring(ledger, folder, export(earlier, absent))
    first = list(ledger.log)
    report = bring(ledger, folder, export(book))
    assert ledger.log[: len(first)] == first
    assert report.total.rejected == 0
    again = bring(ledger, folder, export(book))
    assert (again.events_added, again.total.rejected) == (0, 0)
    for number, (_, _, now) in enumerate(book):
        state = fold_deal([told(event) for event in ledger.stream(f"deal:D{number}")], NOW)
        assert state.stage == now.stage
        assert (state.outcome is not None) == now.stage.startswith("Closed")
        if now.amount is not None:
            assert state.fields["amount"].amount == now.amount


def test_an_import_killed_at_any_chunk_ends_as_one_run(tmp_path: Path) -> None:
    book: list[Deal] = [
        (0, [Move(day, STAGES[(day + n) % 5], day % 3 + 1, day) for day in range(12)],
         Move(20, STAGES[n % 5], 2, 9))
        for n in range(400)
    ]  # fmt: skip
    whole = MemoryLedger()
    bring(whole, tmp_path / "export", export(book))
    assert whole.chunks > 2
    for dies_at in range(1, whole.chunks + 1):
        ledger = MemoryLedger(dies_at)
        with pytest.raises(Killed):
            bring(ledger, tmp_path / "export", export(book))
        bring(ledger, tmp_path / "export", export(book))
        assert ledger.log == whole.log
