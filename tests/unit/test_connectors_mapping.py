"""Mappings: what they may say, what is told when they are wrong, and the shapes that we ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.connectors.calls import import_calls, period_of
from ledger.connectors.columns import RowFault
from ledger.connectors.importer import import_csv
from ledger.connectors.mapping import load_mapping, load_stages, parse_mapping
from ledger.connectors.report import Report
from ledger.connectors.writing import ImportOptions
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Draft, PlaybookPublished, Source
from ledger.domain.ids import event_id_at
from ledger.domain.playbook import Criterion, Gate, Playbook
from tests.unit.connectors_kit import (
    MAPPINGS,
    NOW,
    MemoryLedger,
    bring_csv,
    public_data,
    write_files,
)

DEALS = """
system = "crm"
[[files]]
kind = "deals"
[files.columns]
id = "Id"
name = "Name"
stage = "Stage"
amount = "Value"
opened = "Opened"
"""


STAGES_ONLY = {"preppin_salesforce.toml"}
"""For exports whose files and columns need no mapping."""


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.toml")), ids=lambda path: path.name)
def test_the_mappings_that_we_ship_are_sound(path: Path) -> None:
    if path.name in STAGES_ONLY:
        assert load_stages(path)
    else:
        load_mapping(path)


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ("system = \nx = 1\n", "at line 1", None),
        (DEALS.replace('"crm"', '"a b"'), "system", 2),
        (DEALS.replace('name = "Name"', 'nmae = "Name"'), "no field 'nmae'", 3),
        (DEALS.replace('id = "Id"\n', ""), "needs a column for: id", 3),
        (DEALS + "[stages.X]\ncategory = 'sure'\n", "stages.X.category", 12),
        (DEALS + "[files.known]\nstage = 'closed'\n", "cannot be known only at the close", 3),
        (DEALS.replace('"deals"', '"leads"'), "files.0.kind", 4),
        ('time_zone = "Mars/Base"\n' + DEALS, "Mars/Base", None),
        (DEALS + "[stages.Y]\nweight = 3\n", "stages.Y.weight", 12),
    ],
)
def test_a_wrong_mapping_is_told_where_it_is_wrong(text: str, told: str, line: int | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_mapping(text, where="map.toml")
    assert told in str(refused.value)
    assert refused.value.where == ("map.toml" if line is None else f"map.toml:{line}")


def test_stages_are_mapped_by_name_and_pattern(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    mapping = DEALS + (
        '[stages."Go*"]\ngate = "decision"\ncategory = "commit"\nprobability = 80\n'
        '[stages."Void"]\noutcome = "abandoned"\n'
    )
    report = bring_csv(ledger, tmp_path, mapping, {
        "d.csv": "Id,Name,Stage,Value,Opened\nD1,A,Going,1,2026-01-01\nD2,B,Void,1,2026-01-01\n"
        "D3,C,Strange,1,2026-01-02\n",
    })  # fmt: skip
    assert ledger.story("D1")[1:] == [
        "2026-01-01 stage-claimed gate=decision probability=80 stage=Going",
        "2026-01-01 category-claimed category=commit",
    ]
    assert ledger.story("D2")[-1].endswith("deal-closed outcome=abandoned")
    assert "stage 'Strange' is not mapped: taken as open, 1 times" in report.warnings


def test_a_closed_mapping_rejects_stages_that_it_does_not_know(tmp_path: Path) -> None:
    mapping = 'unknown_stages = "reject"\n' + DEALS + "[stages.Known]\n"
    report = bring_csv(MemoryLedger(), tmp_path, mapping, {
        "d.csv": "Id,Name,Stage,Value,Opened\nD1,A,Known,1,2026-01-01\nD2,B,Odd,1,2026-01-01\n",
    })  # fmt: skip
    assert [(reject.row, reject.code) for reject in report.rejects] == [(3, "unknown-stage")]


def test_misspelt_values_are_replaced_and_unknown_products_told(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    mapping = """
system = "crm"
[[files]]
kind = "deals"
match = "d.csv"
[files.columns]
id = "Id"
products = "Product"
opened = "Opened"
[[files]]
kind = "products"
match = "p.csv"
[files.columns]
name = "Product"
[values.products]
"GTXPro" = "GTX Pro"
"""
    report = bring_csv(ledger, tmp_path, mapping, {
        "d.csv": "Id,Product,Opened\nD1,GTXPro,2026-01-01\nD2,Nimbus,2026-01-01\n",
        "p.csv": "Product\nGTX Pro\n",
    })  # fmt: skip
    assert ledger.fact("deal:D1", "deal-opened")["products"] == ["GTX Pro"]
    assert ledger.fact("deal:D2", "deal-opened")["products"] == ["Nimbus"]
    assert "products: another spelling put in its place: 1 cells" in report.caveats
    assert any("'Nimbus' is not in the list of products: 1" in line for line in report.warnings)


def test_what_is_known_only_at_the_close_is_not_told_before_it(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    bring_csv(ledger, tmp_path, (MAPPINGS / "maven_crm.toml").read_text(), {
        "pipeline.csv": "opportunity_id,sales_agent,product,account,deal_stage,engage_date,"
        "close_date,close_value\n"
        "D1,Ann,P,Acme,Won,2026-01-05,2026-03-01,1054\nD2,Ann,P,,Prospecting,,,\n"
        "D3,Bob,P,Acme,Engaging,2026-02-01,,\n",
    })  # fmt: skip
    assert ledger.story("D1") == [
        "2026-01-05 deal-opened account=Acme dimensions=product=P owner=Ann products=['P']",
        "2026-01-05 stage-claimed gate=engagement stage=Engaging",
        "2026-01-05 category-claimed category=pipeline",
        "2026-03-01 stage-claimed stage=Won",
        "2026-03-01 category-claimed category=closed",
        "2026-03-01 deal-closed outcome=won",
        "2026-03-01 deal-revised amount=1054 USD close_date=2026-03-01",
    ]
    assert [line[:10] for line in ledger.story("D2")] == ["2026-03-01"] * 3
    assert ledger.story("D3")[1] == "2026-02-01 stage-claimed gate=engagement stage=Engaging"


LOG = """case:REG_DATE,case:concept:name,case:AMOUNT_REQ,org:resource,lifecycle:transition,\
concept:name,time:timestamp
2026-01-01T00:38:44.546+02:00,C1,2000,112,COMPLETE,A_SUBMITTED,2026-01-01T00:38:44.546+02:00
2026-01-01T00:38:44.546+02:00,C1,2000,,START,W_Call,2026-01-02T11:36:46.437+02:00
2026-01-01T00:38:44.546+02:00,C1,2000,10,COMPLETE,O_CREATED,2026-01-03T10:00:00.000+02:00
2026-01-01T00:38:44.546+02:00,C1,2000,10,COMPLETE,A_CANCELLED,2026-01-04T10:00:00.000+02:00
2026-01-01T00:38:44.546+02:00,C1,2000,10,COMPLETE,O_CANCELLED,2026-01-04T10:00:00.000+02:00
"""


def test_an_event_log_is_a_history_of_stages(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    mapping = (MAPPINGS / "bpic2012.toml").read_text()
    report = bring_csv(ledger, tmp_path, mapping, {"log.csv": LOG})
    assert ledger.story("C1") == [
        "2025-12-31T22:38 deal-opened amount=2000 EUR",
        "2025-12-31T22:38 stage-claimed gate=application stage=A_SUBMITTED",
        "2025-12-31T22:38 category-claimed category=omitted",
        "2026-01-03T08:00 stage-claimed gate=offer stage=O_CREATED",
        "2026-01-03T08:00 category-claimed category=best_case",
        "2026-01-04T08:00 stage-claimed stage=A_CANCELLED",
        "2026-01-04T08:00 category-claimed category=omitted",
        "2026-01-04T08:00 deal-closed outcome=abandoned",
        "2026-01-04T08:00 stage-claimed gate=offer stage=O_CANCELLED",
    ]
    (part,) = report.files
    assert (part.rows_read, part.used, part.unchanged, part.ignored) == (5, 4, 0, 1)
    assert bring_csv(ledger, tmp_path, mapping, {"log.csv": LOG}).events_added == 0


EVIDENCE = DEALS + '[stages."Proof"]\nevidence = ["fit_confirmed"]\n'
PROVED = {"d.csv": "Id,Name,Stage,Value,Opened\nD1,A,Proof,1,2026-01-01\n"}


def publish(ledger: MemoryLedger, criterion: str) -> None:
    question = Criterion(key=criterion, question="Does it fit?")
    gate = Gate(key="fit", name="Fit", stage="Consideration", criteria=(question,))
    playbook = Playbook(key="new", version="1", name="New business", gates=(gate,))
    ledger.import_events(
        [
            Draft(
                "playbook:new", PlaybookPublished(playbook=playbook), event_id_at(NOW), "me",
                Source("test"), NOW, NOW,
            )
        ]
    )  # fmt: skip


def test_a_stage_may_count_as_attested_evidence(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    publish(ledger, "fit_confirmed")
    bring_csv(ledger, tmp_path, EVIDENCE, PROVED)
    assert (
        "2026-01-01 evidence-recorded criterion=fit_confirmed source_kind=crm stance=supports"
        in (ledger.story("D1"))
    )


@pytest.mark.parametrize(("published", "code"), [(None, "no-playbook"), ("x", "unknown-criterion")])
def test_evidence_needs_a_criterion_that_a_playbook_has(
    tmp_path: Path, published: str | None, code: str
) -> None:
    ledger = MemoryLedger()
    if published:
        publish(ledger, published)
    with pytest.raises(InvalidInput) as refused:
        bring_csv(ledger, tmp_path, EVIDENCE, PROVED)
    assert refused.value.code == code
    assert ledger.story("D1") == []


def test_stakeholders_and_evidence_have_files_of_their_own(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    publish(ledger, "fit_confirmed")
    mapping = DEALS.replace('kind = "deals"', 'kind = "deals"\nmatch = "d.csv"') + """
[[files]]
kind = "stakeholders"
match = "s.csv"
[files.columns]
deal = "deal"
id = "contact"
name = "name"
role = "role"
[[files]]
kind = "evidence"
match = "e.csv"
[files.columns]
deal = "deal"
at = "on"
criterion = "criterion"
quote = "words"
said_by = "contact"
"""  # fmt: skip
    files = {
        **PROVED,
        "s.csv": "deal,contact,name,role\nD1,C1,Ada,economic_buyer\nD1,C2,Bo,No Key\n",
        "e.csv": 'deal,on,criterion,words,contact\nD1,2026-01-05,fit_confirmed,"It fits, yes",C1\n',
    }
    report = bring_csv(ledger, tmp_path, mapping, files)
    assert ledger.story("D1")[-2:] == [
        "2026-01-05 stakeholder-added name=Ada role=economic_buyer stakeholder=C1",
        (
            "2026-01-05 evidence-recorded criterion=fit_confirmed quote=It fits, yes said_by=C1 "
            "source_kind=crm stance=supports"
        ),
    ]
    assert [(reject.file, reject.column) for reject in report.rejects] == [("s.csv", "role")]
    assert bring_csv(ledger, tmp_path, mapping, files).events_added == 0


def test_a_file_that_does_not_fit_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    mapping = DEALS.replace('kind = "deals"', 'kind = "deals"\nmatch = "d*.csv"')
    for files, code in (
        ({"d.csv": "Id,Name\n"}, "missing-column"),
        ({"x.csv": "a,b\n"}, "unrecognised-file"),
    ):
        with pytest.raises(InvalidInput) as refused:
            bring_csv(MemoryLedger(), tmp_path, mapping, files)
        assert refused.value.code == code
        assert refused.value.hint


# --- calls, quotas, rates ------------------------------------------------------------------------

CALLS = "submission_week,fiscal_quarter,rep_id,closed_won_qtd,commit_call,best_case_call\n"


def bring_calls(ledger: MemoryLedger, folder: Path, files: dict[str, str]) -> Report:
    write_files(folder, files)
    paths = [folder / name for name in files]
    return import_calls(ledger, MAPPINGS / "weekly_calls.toml", paths, ImportOptions(home=folder))


def test_submissions_quotas_and_rates(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    files = {
        "calls.csv": CALLS + "2026-01-12,Q1 FY26,U1,5,1000,\n2026-01-19,2026-Q1,U1,5,1200,3000\n"
        "2026-01-19,someday,U1,5,1,1\n2026-01-26,2026-Q1,U2,5,,\n",
        "quota.csv": "fiscal_quarter,rep_id,quota,effective_date\n2026-Q1,U1,90000,2026-01-01\n",
        "rates.csv": "currency,to,rate,date\nEUR,USD,1.0812,2026-01-01\nEUR,EUR,1,2026-01-01\n",
    }
    report = bring_calls(ledger, tmp_path, files)
    events = ledger.stream("period:2026-Q1")
    assert [(event["known_at"][:10], event["type"], event["actor"]) for event in events] == [
        ("2026-01-12", "forecast-called", "U1"),
        ("2026-01-19", "forecast-called", "U1"),
        ("2026-01-19", "forecast-called", "U1"),
        ("2026-01-01", "quota-set", "forecast-sheet"),
    ]
    assert ledger.stream("settings:ledger")[0]["payload"]["rate"] == "1.0812"
    assert [(reject.file, reject.row, reject.code) for reject in report.rejects] == [
        ("calls.csv", 4, "invalid-period"),
        ("rates.csv", 3, "invalid-value"),
    ]
    assert (report.total.used, report.total.unchanged) == (4, 1)
    again = bring_calls(ledger, tmp_path, files)
    assert (again.events_added, again.events_known, again.total.used) == (0, 5, 0)
    files["calls.csv"] = files["calls.csv"].replace("1200", "1300")
    changed = bring_calls(ledger, tmp_path, files)
    assert [reject.code for reject in changed.rejects][-1] == "conflicting-change"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("2026-Q1", "2026-Q1"), ("Q3 2026", "2026-Q3"), ("FY26 Q2", "2026-Q2"),
        ("FY2026-Q4", "2026-Q4"), ("2026", "2026"), ("2026-03", "2026-03"), ("Q1 '26", "2026-Q1"),
    ],
)  # fmt: skip
def test_periods_have_many_spellings(text: str, name: str) -> None:
    assert period_of(text) == name


def test_what_is_no_period_is_refused() -> None:
    with pytest.raises(RowFault):
        period_of("spring")


# --- the public shapes ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "mapping", "files", "deals"),
    [
        ("maven_crm", "maven_crm",
         ["sales_pipeline.csv", "accounts.csv", "sales_teams.csv", "products.csv"], 8800),
        ("hubspot_import_shape", "hubspot_export",
         ["hubspot_deals.csv", "hubspot_companies.csv"], 500),
        ("revops_meddicc_history", "revops_history",
         ["opportunities.csv", "opportunity_history.csv", "users.csv"], 400),
    ],
)  # fmt: skip
def test_public_exports_import_by_the_mappings_that_we_ship(
    data: str, mapping: str, files: list[str], deals: int
) -> None:
    folder = public_data(data)
    ledger = MemoryLedger()
    path = MAPPINGS / f"{mapping}.toml"
    report = import_csv(ledger, path, [folder / name for name in files], ImportOptions())
    assert (report.deals, report.total.rejected) == (deals, 0)
