"""How a deal's rows become its events: each trouble of a real export, one test."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from ledger.connectors.scribe import money_value
from ledger.domain.errors import InvalidInput
from ledger.domain.money import Money
from tests.unit.connectors_kit import MemoryLedger, bring

RECORD = "Id,Name,StageName,Amount,CloseDate,OwnerId,ForecastCategory,CreatedDate\n"
HISTORY = "Id,OpportunityId,StageName,Amount,CloseDate,CreatedDate,CreatedById\n"
CHANGES = "history_id,opportunity_id,field,old_value,new_value,created_by,created_at\n"


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "export"


def test_what_no_history_tracks_is_attested_from_creation(
    ledger: MemoryLedger, folder: Path
) -> None:
    report = bring(
        ledger, folder,
        {"o.csv": RECORD + 'D1,"Big, ""red"" deal",Alpha,1000,2026-05-31,U1,Pipeline,2026-01-05\n'},
    )  # fmt: skip
    assert ledger.story("D1") == [
        (
            "2026-01-05 deal-opened amount=1000 USD close_date=2026-05-31 "
            'name=Big, "red" deal owner=U1'
        ),
        "2026-01-05 stage-claimed stage=Alpha",
        "2026-01-05 category-claimed category=pipeline",
    ]
    told = "amount: no history in this export; the record's value is attested from creation"
    assert told in report.caveats


def test_nothing_from_a_crm_is_witnessed(ledger: MemoryLedger, folder: Path) -> None:
    bring(
        ledger, folder, {"o.csv": RECORD + "D1,A,Discovery,1,2026-05-31,U1,Pipeline,2026-01-05\n"}
    )
    assert [event["witnessed"] for event in ledger.events()] == [False] * 3


def test_history_rows_tell_only_what_differs(ledger: MemoryLedger, folder: Path) -> None:
    report = bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Proposal,1500,2026-05-31,U1,Pipeline,2026-01-05\n",
        "h.csv": HISTORY
        + "H1,D1,Discovery,1000,2026-05-31,2026-01-05,U7\n"
        + "H2,D1,Discovery,1000,2026-05-31,2026-02-01,U7\n"
        + "H3,D1,Proposal,1500,2026-05-31,2026-03-01,U8\n",
    })  # fmt: skip
    assert ledger.story("D1") == [
        "2026-01-05 deal-opened name=A owner=U1",
        "2026-01-05 stage-claimed stage=Discovery",
        "2026-01-05 category-claimed category=pipeline",
        "2026-01-05 deal-revised amount=1000 USD close_date=2026-05-31",
        "2026-03-01 stage-claimed stage=Proposal",
        "2026-03-01 deal-revised amount=1500 USD",
    ]
    assert [event["actor"] for event in ledger.stream("deal:D1")][-1] == "U8"
    history = next(part for part in report.files if part.kind == "history")
    assert (history.rows_read, history.used, history.unchanged) == (3, 2, 1)
    assert "the same stage again: 1 rows; no new stage claim" in report.caveats


def test_same_instant_ties_keep_the_order_of_the_file(ledger: MemoryLedger, folder: Path) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Beta,1,,U1,,2026-01-01\n",
        "h.csv": HISTORY
        + "H9,D1,Gamma,1,,2026-01-02,U\nH1,D1,Alpha,1,,2026-01-02,U\nH5,D1,Beta,1,,2026-01-02,U\n",
    })  # fmt: skip
    stages = [line for line in ledger.story("D1") if "stage-claimed" in line]
    assert [line.rpartition("=")[2] for line in stages] == ["Gamma", "Alpha", "Beta"]


def test_a_move_backward_is_a_stage_claim_like_any_other(
    ledger: MemoryLedger, folder: Path
) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Alpha,1,,U1,,2026-01-01\n",
        "h.csv": HISTORY
        + "H1,D1,Alpha,1,,2026-01-02,U\nH2,D1,Beta,1,,2026-01-03,U\nH3,D1,Alpha,1,,2026-01-04,U\n",
    })  # fmt: skip
    stages = [line for line in ledger.story("D1") if "stage-claimed" in line]
    assert [line.rpartition("=")[2] for line in stages] == ["Alpha", "Beta", "Alpha"]


def test_a_close_occurs_on_its_close_date_and_is_known_at_the_change(
    ledger: MemoryLedger, folder: Path
) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Closed Won,1,2026-03-20,U1,Closed,2026-01-01\n",
        "h.csv": HISTORY
        + "H1,D1,Alpha,1,2026-05-31,2026-01-02,U\nH2,D1,Closed Won,1,2026-03-20,2026-03-24,U\n",
    })  # fmt: skip
    assert ledger.story("D1")[-2:] == [
        "2026-03-20 known 2026-03-24 deal-closed outcome=won",
        "2026-03-24 deal-revised close_date=2026-03-20",
    ]


@pytest.mark.parametrize("close_date", ["2025-12-01", "2026-09-30", ""])
def test_a_close_date_that_cannot_be_leaves_the_close_at_its_change(
    ledger: MemoryLedger, folder: Path, close_date: str
) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + f"D1,A,Closed Lost,1,{close_date},U1,,2026-01-01\n",
        "h.csv": HISTORY + f"H1,D1,Closed Lost,1,{close_date},2026-03-24,U\n",
    })  # fmt: skip
    assert "2026-03-24 deal-closed outcome=lost" in ledger.story("D1")


def test_an_open_stage_after_a_close_reopens_the_deal(ledger: MemoryLedger, folder: Path) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Closed Won,1,2026-02-01,U1,,2026-01-01\n",
        "h.csv": HISTORY
        + "H1,D1,Closed Lost,1,2026-02-01,2026-02-03,U\nH2,D1,Alpha,1,2026-02-01,2026-02-10,U\n"
        + "H3,D1,Closed Won,1,2026-02-01,2026-02-20,U\n",
    })  # fmt: skip
    ends = [line for line in ledger.story("D1") if "closed" in line or "reopened" in line]
    assert ends == [
        "2026-02-01 known 2026-02-03 deal-closed outcome=lost",
        "2026-02-10 deal-reopened",
        "2026-02-20 category-claimed category=closed",
        "2026-02-20 deal-closed outcome=won",
    ]


def test_moving_among_closed_stages_closes_again(ledger: MemoryLedger, folder: Path) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Closed Lost,1,,U1,,2026-01-01\n",
        "h.csv": HISTORY
        + "H1,D1,Closed Won,1,,2026-02-03,U\nH2,D1,Closed Lost,1,,2026-02-10,U\n",
    })  # fmt: skip
    ends = [line for line in ledger.story("D1") if "deal-" in line and "opened" not in line]
    assert ends == [
        "2026-02-03 deal-closed outcome=won",
        "2026-02-03 deal-revised amount=1 USD",
        "2026-02-10 deal-closed outcome=lost",
    ]


def test_history_before_creation_stays_where_it_is(ledger: MemoryLedger, folder: Path) -> None:
    report = bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Beta,1,,U1,,2026-03-01\n",
        "h.csv": HISTORY + "H1,D1,Alpha,1,,2026-01-02,U\nH2,D1,Beta,1,,2026-04-01,U\n",
    })  # fmt: skip
    assert [line.split(" ")[:2] for line in ledger.story("D1")] == [
        ["2026-01-02", "stage-claimed"],
        ["2026-01-02", "category-claimed"],
        ["2026-01-02", "deal-revised"],
        ["2026-03-01", "deal-opened"],
        ["2026-04-01", "stage-claimed"],
    ]
    assert "dated before the deal was created: 1 history rows" in report.warnings


def test_where_history_and_record_disagree_the_snapshot_says_so(
    ledger: MemoryLedger, folder: Path
) -> None:
    report = bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Closed Won,2000,2026-03-01,U1,,2026-01-01\n"
        "D2,B,Alpha,1,,U1,,2026-04-30\n",
        "h.csv": HISTORY + "H1,D1,Alpha,1000,2026-03-01,2026-01-02,U\n",
    })  # fmt: skip
    assert ledger.story("D1")[-4:] == [
        "2026-04-30 stage-claimed stage=Closed Won",
        "2026-04-30 category-claimed category=closed",
        "2026-03-01 known 2026-04-30 deal-closed outcome=won",
        "2026-04-30 deal-revised amount=2000 USD",
    ]
    assert report.reconciled == 7  # D2 has no history row: what is tracked is the snapshot's word


def test_an_empty_cell_of_the_record_clears_nothing(ledger: MemoryLedger, folder: Path) -> None:
    report = bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Alpha,,,U1,,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Alpha,1000,2026-03-01,2026-01-02,U\n",
    })  # fmt: skip
    assert ledger.story("D1")[-1] == (
        "2026-01-02 deal-revised amount=1000 USD close_date=2026-03-01"
    )
    assert "amount: record empty where the ledger has a value: 1; kept" in report.caveats


def test_an_amount_that_history_clears_is_cleared(ledger: MemoryLedger, folder: Path) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Alpha,,,U1,,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Alpha,1000,,2026-01-02,U\nH2,D1,Alpha,,,2026-01-03,U\n",
    })  # fmt: skip
    assert ledger.story("D1")[-1] == "2026-01-03 deal-revised amount=None"


def test_field_history_gives_the_value_before_its_first_change(
    ledger: MemoryLedger, folder: Path
) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Beta,200,2026-05-31,U2,,2026-01-01\n",
        "f.csv": CHANGES
        + "F1,D1,StageName,Alpha,Beta,U7,2026-02-01\nF2,D1,Amount,100,200,U7,2026-03-01\n"
        + "F3,D1,Description,x,y,U7,2026-03-02\nF4,D1,OwnerId,U1,U2,U7,2026-03-03\n",
    })  # fmt: skip
    assert ledger.story("D1") == [
        "2026-01-01 deal-opened amount=100 USD close_date=2026-05-31 name=A owner=U1",
        "2026-01-01 stage-claimed stage=Alpha",
        "2026-01-01 category-claimed category=pipeline",
        "2026-02-01 stage-claimed stage=Beta",
        "2026-03-01 deal-revised amount=200 USD",
        "2026-03-03 deal-revised owner=U2",
    ]


def test_a_tracked_field_that_never_changed_has_the_records_value_since_creation(
    ledger: MemoryLedger, folder: Path
) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Beta,200,,U2,,2026-01-01\nD2,B,Beta,7,,U2,,2026-01-01\n",
        "f.csv": CHANGES + "F1,D1,Amount,100,200,U7,2026-03-01\n",
    })  # fmt: skip
    assert ledger.fact("deal:D2", "deal-opened")["amount"] == {"amount": "7", "currency": "USD"}


def test_both_kinds_of_history_merge_and_equal_changes_do_not_double(
    ledger: MemoryLedger, folder: Path
) -> None:
    bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Beta,200,,U2,,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Alpha,100,,2026-01-01,U\nH2,D1,Beta,200,,2026-03-01,U\n",
        "f.csv": CHANGES + "F1,D1,StageName,Alpha,Beta,U,2026-03-01\n"
        "F2,D1,Amount,100,200,U,2026-03-01\n",
    })  # fmt: skip
    assert [line for line in ledger.story("D1") if line.startswith("2026-03-01")] == [
        "2026-03-01 stage-claimed stage=Beta",
        "2026-03-01 deal-revised amount=200 USD",
    ]


def test_categories_follow_the_row_else_the_stage_as_open_records_show_it(
    ledger: MemoryLedger, folder: Path
) -> None:
    report = bring(ledger, folder, {
        "o.csv": RECORD + "D1,A,Beta,1,,U,Commit,2026-01-01\nD2,B,Beta,1,,U,Commit,2026-01-01\n"
        "D3,C,Beta,1,,U,Best Case,2026-01-01\nD4,D,Closed Lost,1,,U,Closed,2026-01-01\n",
        "h.csv": HISTORY + "H1,D4,Beta,1,,2026-02-01,U\nH2,D4,Closed Lost,1,,2026-03-01,U\n",
    })  # fmt: skip
    assert [line for line in ledger.story("D4") if "category" in line] == [
        "2026-02-01 category-claimed category=commit",
        "2026-03-01 category-claimed category=omitted",
    ]
    assert (
        "stage 'Beta' stands with categories commit (2), best_case (1): the most frequent counts"
        in report.caveats
    )


def test_flags_that_disagree_with_the_stage_are_counted_and_the_stage_wins(
    ledger: MemoryLedger, folder: Path
) -> None:
    header = "Id,Name,StageName,ForecastCategory,IsClosed,IsWon,CreatedDate,CloseDate\n"
    report = bring(ledger, folder, {
        "o.csv": header + "D1,A,Closed Won,Pipeline,FALSE,FALSE,2026-01-01,2026-01-01\n",
    })  # fmt: skip
    assert "2026-01-01 deal-closed outcome=won" in ledger.story("D1")
    assert any(line.startswith("closed and won flags disagree") for line in report.warnings)


def test_a_stage_whose_name_tells_nothing_ends_as_its_records_flags_say(
    ledger: MemoryLedger, folder: Path
) -> None:
    header = "Id,Name,StageName,IsClosed,IsWon,CreatedDate,CloseDate\n"
    bring(ledger, folder, {
        "o.csv": header + "D1,A,Signed,TRUE,TRUE,2026-01-01,2026-02-01\n"
        "D2,B,Talking,FALSE,FALSE,2026-03-01,2026-02-01\n",
    })  # fmt: skip
    assert "2026-02-01 deal-closed outcome=won" in ledger.story("D1")


def test_a_loss_without_a_decision_is_a_first_class_outcome(
    ledger: MemoryLedger, folder: Path
) -> None:
    header = "Id,Name,StageName,Loss_Reason__c,CreatedDate\n"
    bring(ledger, folder, {
        "o.csv": header + "D1,A,Closed Lost,No decision,2026-01-01\n"
        "D2,B,Closed Lost,Price,2026-01-01\n",
        "h.csv": HISTORY + "H1,D1,Closed Lost,,,2026-02-01,U\nH2,D2,Closed Lost,,,2026-02-01,U\n",
    })  # fmt: skip
    assert ledger.story("D1")[-1].endswith("outcome=no_decision seller_reason=No decision")
    assert ledger.story("D2")[-1].endswith("outcome=lost seller_reason=Price")


def test_a_deleted_record_is_removed_and_stays_in_history(
    ledger: MemoryLedger, folder: Path
) -> None:
    header = "Id,Name,StageName,IsDeleted,CreatedDate,LastModifiedDate\n"
    bring(ledger, folder, {"o.csv": header + "D1,A,Alpha,TRUE,2026-01-01,2026-02-01\n"})
    assert ledger.story("D1")[-1] == "2026-02-01 deal-removed"


def test_missing_accounts_are_counted(ledger: MemoryLedger, folder: Path) -> None:
    report = bring(ledger, folder, {
        "o.csv": "Id,Name,StageName,AccountId,CreatedDate\nD1,A,Alpha,,2026-01-01\n",
    })  # fmt: skip
    assert "account" not in ledger.fact("deal:D1", "deal-opened")
    assert "without an account: 1 deals" in report.warnings


def test_the_snapshot_is_never_earlier_than_what_the_files_hold(
    ledger: MemoryLedger, folder: Path
) -> None:
    files = {"o.csv": RECORD + "D1,A,Alpha,1,,U1,,2026-03-01\n"}
    with pytest.raises(InvalidInput) as refused:
        bring(ledger, folder, files, snapshot_at=ledger.clock().replace(month=1))
    assert refused.value.code == "snapshot-too-early"
    report = bring(ledger, folder, files, snapshot_at=ledger.clock().replace(month=5))
    assert report.snapshot_at == ledger.clock().replace(month=5)


def test_stakeholders_come_from_the_records_that_name_them(
    ledger: MemoryLedger, folder: Path
) -> None:
    report = bring(ledger, folder, {
        "o.csv": "opportunity_id,opportunity_name,stage,created_date,economic_buyer_contact_id,"
        "champion_contact_id\nD1,A,Alpha,2026-01-01,C1,C1\nD2,B,Alpha,2026-02-01,,C2\n",
        "c.csv": "contact_id,account_id,first_name,last_name,email,job_title\n"
        "C1,A1,Ada,Byron,ada@example.com,CFO\nC2,A1,Bo,Li,nonsense,CTO\nC3,A1,Cy,No,c@x.org,COO\n",
    })  # fmt: skip
    assert ledger.story("D1")[-1] == (
        "2026-02-01 stakeholder-added email=ada@example.com name=Ada Byron role=economic_buyer "
        "stakeholder=C1 title=CFO"
    )
    contacts = next(part for part in report.files if part.kind == "contacts")
    assert (contacts.used, contacts.ignored) == (2, 1)
    assert "not an e-mail address: 1 cells; left out" in report.warnings


def test_accounts_and_people_are_opened_once_and_then_revised(
    ledger: MemoryLedger, folder: Path
) -> None:
    deal = {"o.csv": RECORD + "D1,A,Alpha,1,,U1,,2026-03-01\n"}
    bring(ledger, folder, {
        **deal,
        "a.csv": "Id,Name,Industry,CreatedDate\nA1,Acme,Steel,2025-01-01\n",
        "u.csv": "user_id,full_name,email,role,sales_region,manager_id,start_date\n"
        "U1,Ada Byron,ada@example.com,AE,North,U9,2024-05-01\n",
    })  # fmt: skip
    assert ledger.story("D1")[0].startswith("2026-03-01 deal-opened")
    assert ledger.fact("account:A1", "account-opened")["dimensions"] == {"industry": "Steel"}
    assert ledger.stream("person:U1")[0]["occurred_at"].startswith("2024-05-01")
    grown = {"o.csv": deal["o.csv"] + "D2,B,Alpha,1,,U1,,2026-04-01\n"}
    bring(ledger, folder, {
        **grown,
        "a.csv": "Id,Name,Industry,CreatedDate\nA1,Acme,Glass,2025-01-01\n",
        "u.csv": "user_id,full_name,email,role,sales_region,manager_id,start_date\n"
        "U1,Ada Byron,ada@example.com,AE,South,U9,2024-05-01\n",
    })  # fmt: skip
    assert ledger.fact("account:A1", "account-revised") == {"dimensions": {"industry": "Glass"}}
    assert ledger.fact("person:U1", "person-reassigned") == {"team": "South"}
    assert ledger.stream("person:U1")[-1]["known_at"].startswith("2026-04-01")


def test_an_amount_keeps_the_decimals_that_its_own_row_gave_it() -> None:
    spelt = [
        money_value(Money(Decimal(text), "USD")).model_dump(mode="json")["amount"]
        for text in ("8000", "8000.00", "8000")
    ]
    assert spelt == ["8000", "8000.00", "8000"]
