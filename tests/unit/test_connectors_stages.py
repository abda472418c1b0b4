"""What a mapping says of stages: gates, attested evidence for and against, and what it leaves open.

And the clocks of an export: nothing that an import brings occurred after it was known.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.connectors.mapping import parse_stages
from ledger.connectors.report import Report
from ledger.connectors.salesforce import import_salesforce
from ledger.connectors.writing import ImportOptions
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Draft, PlaybookPublished, Source
from ledger.domain.ids import event_id_at
from ledger.domain.playbook import Playbook
from projections.fold.criterion import Rule, Status
from projections.fold.gates import GateStatus, MoveKind, Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory
from tests.unit.connectors_kit import MemoryLedger, bring_csv, write_files
from tests.unit.domain.builders import at, spelled

RECORD = "Id,Name,StageName,ForecastCategory,CreatedDate\n"
HISTORY = "Id,OpportunityId,StageName,CreatedDate\n"
OPEN_DEALS = RECORD + "".join(
    f"D{number},A,{stage},{category},2026-01-05\n"
    for number, (stage, category) in enumerate(
        [("Alpha", "Best Case"), ("Beta", "Commit"), ("Closed Won", "Closed")], 1
    )
)


def bring(ledger: MemoryLedger, folder: Path, stages: str, **files: str) -> Report:
    """Import Salesforce files with a file that tells what stages mean."""
    export = write_files(folder / "export", {f"{name}.csv": text for name, text in files.items()})
    (folder / "stages.toml").write_text(stages, encoding="utf-8")
    given = ImportOptions(home=folder / "home")
    return import_salesforce(ledger, export, given, stages=folder / "stages.toml")


def playbook(source_kinds: list[str], fresh_for_days: int | None = None) -> Playbook:
    """Two gates, each with a criterion that admits these kinds of source."""
    return Playbook.model_validate(
        {
            "key": "loans",
            "version": "1",
            "name": "Loans",
            "gates": [
                {
                    "key": gate,
                    "name": gate,
                    "stage": gate,
                    "criteria": [
                        {
                            "key": criterion,
                            "question": "Is it so?",
                            "source_kinds": source_kinds,
                            "fresh_for_days": fresh_for_days,
                        }
                    ],
                }
                for gate, criterion in (("offer", "offer_out"), ("answer", "answered"))
            ],
        }
    )


def publish(ledger: MemoryLedger, version: Playbook) -> None:
    instant = at("2025-01-01")
    draft = Draft(
        f"playbook:{version.key}", PlaybookPublished(playbook=version), event_id_at(instant), "me",
        Source("test"), instant, instant,
    )  # fmt: skip
    ledger.import_events([draft])


def qualified(ledger: MemoryLedger, deal: str, on: str) -> Qualification:
    """A deal's gates on a day, with all that is known."""
    published = ledger.stream("playbook:loans")
    found = qualify(
        deal, ledger.stream(f"deal:{deal}"), spelled(on), PlaybookHistory(published, spelled(on))
    )
    assert found is not None
    return found


# --- stages of a Salesforce export ----------------------------------------------------------------


def test_a_stage_gets_its_gate_and_keeps_what_names_and_records_tell(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    stages = '[stages."Alpha"]\ngate = "offer"\n[stages."Closed Won"]\nprobability = 100\n'
    bring(ledger, tmp_path, stages, o=OPEN_DEALS)
    assert ledger.fact("deal:D1", "stage-claimed") == {"stage": "Alpha", "gate": "offer"}
    assert ledger.fact("deal:D1", "category-claimed") == {"category": "best_case"}
    assert ledger.fact("deal:D3", "deal-closed")["outcome"] == "won"
    assert ledger.fact("deal:D3", "stage-claimed")["probability"] == 100


def test_what_the_mapping_says_of_a_stage_goes_first(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    history = HISTORY + "H1,D1,Beta,2026-01-06\nH2,D1,Closed Won,2026-01-07\n"
    stages = '[stages."Closed Won"]\ncategory = "commit"\n[stages."B*"]\ncategory = "pipeline"\n'
    bring(ledger, tmp_path, stages, o=RECORD + "D1,A,Closed Won,,2026-01-05\n", h=history)
    said = [line.partition(" ")[2] for line in ledger.story("D1")]
    assert said == [
        "deal-opened name=A",
        "stage-claimed stage=Beta",
        "category-claimed category=pipeline",
        "stage-claimed stage=Closed Won",
        "category-claimed category=commit",
    ]


def test_a_second_import_with_other_gates_keeps_the_first(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    files = {"o": OPEN_DEALS, "h": HISTORY + "H1,D1,Alpha,2026-01-06\n"}
    bring(ledger, tmp_path, '[stages."Alpha"]\ngate = "offer"\n', **files)
    report = bring(ledger, tmp_path, '[stages."Alpha"]\ngate = "answer"\n', **files)
    assert report.events_added == 0
    assert ledger.fact("deal:D1", "stage-claimed")["gate"] == "offer"
    assert any(line.startswith("what was inferred") for line in report.warnings)


@pytest.mark.parametrize(
    ("text", "told", "line"),
    [
        ("", "stages", None),
        ("[stages]\n", "stages", 1),
        ('system = "crm"\n[stages.A]\ngate = "offer"\n', "system", 1),
        ('[stages.A]\ngate = "No Key"\n', "stages.A.gate", 2),
        ('[stages.A]\nstage = "x"\n', "stages.A.stage", 2),
        ('[stages.A]\nevidence = ["x"]\nagainst = ["x"]\n', "under evidence and under against", 1),
        ("[stages.A\n", "not TOML", None),
    ],
)
def test_a_file_of_stages_says_nothing_else(text: str, told: str, line: int | None) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_stages(text, where="stages.toml")
    assert refused.value.code == "invalid-mapping"
    assert told in str(refused.value)
    assert refused.value.where == ("stages.toml" if line is None else f"stages.toml:{line}")


@pytest.mark.parametrize(
    ("gate", "published", "told"),
    [("offer", True, False), ("ofer", True, True), ("offer", False, True)],
)
def test_gates_that_no_playbook_has_are_claimed_and_told(
    tmp_path: Path, gate: str, published: bool, told: bool
) -> None:
    ledger = MemoryLedger()
    if published:
        publish(ledger, playbook(["crm"]))
    report = bring(ledger, tmp_path, f'[stages."Alpha"]\ngate = "{gate}"\n', o=OPEN_DEALS)
    sentence = f"no published playbook has the gates {gate}:"
    assert any(line.startswith(sentence) for line in report.caveats) is told
    assert ledger.fact("deal:D1", "stage-claimed")["gate"] == gate


# --- stages as attested evidence ------------------------------------------------------------------

OFFERS = """
[stages."Sent"]
evidence = ["offer_out"]
[stages."Answered"]
evidence = ["answered"]
[stages."Withdrawn"]
against = ["offer_out", "answered"]
"""
STORY = ("Sent", "Answered", "Withdrawn", "Sent", "Answered")
ONE_DEAL = RECORD + "D1,A,Answered,,2026-01-01\n"
ONE_HISTORY = HISTORY + "".join(
    f"H{day},D1,{stage},2026-01-{day:02}\n" for day, stage in enumerate(STORY, 2)
)


def test_attested_stages_regress_and_loop_where_the_playbook_admits_the_crm(
    tmp_path: Path,
) -> None:
    ledger = MemoryLedger()
    publish(ledger, playbook(["crm", "call"]))
    bring(ledger, tmp_path, OFFERS, o=ONE_DEAL, h=ONE_HISTORY)
    deal = qualified(ledger, "D1", "2026-02-01")
    assert [(move.at[:10], move.kind, move.to_gate) for move in deal.moves] == [
        ("2026-01-01", MoveKind.OPENED, "offer"),
        ("2026-01-02", MoveKind.ADVANCED, "answer"),
        ("2026-01-03", MoveKind.ADVANCED, None),
        ("2026-01-04", MoveKind.REGRESSED, "offer"),
        ("2026-01-05", MoveKind.ADVANCED, "answer"),
        ("2026-01-06", MoveKind.ADVANCED, None),
    ]
    assert [(loop.gate, loop.lost_at[:10], loop.again_at[:10]) for loop in deal.loops] == [
        ("offer", "2026-01-04", "2026-01-05"),
        ("answer", "2026-01-04", "2026-01-06"),
    ]


def test_attested_stages_are_only_claims_where_it_does_not(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    publish(ledger, playbook(["call", "meeting"]))
    bring(ledger, tmp_path, OFFERS, o=ONE_DEAL, h=ONE_HISTORY)
    deal = qualified(ledger, "D1", "2026-02-01")
    assert [(move.kind, move.to_gate) for move in deal.moves] == [(MoveKind.OPENED, "offer")]
    assert deal.loops == ()
    assert [(gate.status, gate.passes, gate.regressions) for gate in deal.gates] == [
        (GateStatus.PENDING, 0, 0),
        (GateStatus.PENDING, 0, 0),
    ]
    before = qualified(ledger, "D1", "2026-01-03").criterion("offer_out")
    assert before is not None
    assert (before.status, before.judgement.rule) == (Status.UNMET, Rule.SOURCE_DOES_NOT_COUNT)


def test_attested_evidence_ages_and_reaching_the_stage_again_is_a_loop(tmp_path: Path) -> None:
    ledger = MemoryLedger()
    publish(ledger, playbook(["crm"], fresh_for_days=10))
    history = HISTORY + "".join(
        f"H{number},D1,{stage},{day}\n"
        for number, (stage, day) in enumerate(
            [("Sent", "2026-01-02"), ("Waiting", "2026-01-05"), ("Sent", "2026-01-20")]
        )
    )
    bring(ledger, tmp_path, OFFERS, o=RECORD + "D1,A,Sent,,2026-01-01\n", h=history)
    deal = qualified(ledger, "D1", "2026-01-25")
    assert [(move.at[:10], move.kind) for move in deal.moves] == [
        ("2026-01-01", MoveKind.OPENED),
        ("2026-01-02", MoveKind.ADVANCED),
        ("2026-01-12", MoveKind.LAPSED),
        ("2026-01-20", MoveKind.ADVANCED),
    ]
    assert [loop.gate for loop in deal.loops] == ["offer"]


# --- clocks that disagree -------------------------------------------------------------------------

SKEWED = """
system = "crm"
[[files]]
kind = "deals"
match = "d.csv"
[files.columns]
id = "id"
stage = "stage"
opened = "opened"
closed = "closed"
close_date = "close"
[[files]]
kind = "evidence"
match = "e.csv"
[files.columns]
deal = "deal"
at = "at"
criterion = "criterion"
[[files]]
kind = "event_log"
match = "l.csv"
[files.columns]
deal = "deal"
at = "at"
stage = "stage"
opened = "opened"
"""


@pytest.mark.parametrize(
    ("files", "story"),
    [
        (
            {"d.csv": "id,stage,opened,closed,close\nD1,Won,2026-03-05,2026-03-01,\n"
                      "D2,Alpha,2026-04-01,,\n"},
            [
                "2026-03-05 deal-opened",
                "2026-04-01 stage-claimed stage=Won",
                "2026-04-01 category-claimed category=closed",
                "2026-04-01 deal-closed outcome=won",
            ],
        ),
        (
            {"d.csv": "id,stage,opened,closed,close\nD1,Alpha,2026-03-05,,\n",
             "e.csv": "deal,at,criterion\nD1,2026-02-01,offer_out\n"},
            [
                "2026-03-05 deal-opened",
                "2026-03-05 stage-claimed stage=Alpha",
                "2026-03-05 category-claimed category=pipeline",
                "2026-02-01 evidence-recorded criterion=offer_out source_kind=crm stance=supports",
            ],
        ),
        (
            {"l.csv": "deal,at,stage,opened\nD1,2026-03-01,Alpha,2026-03-05\n"},
            [
                "2026-03-01 stage-claimed stage=Alpha",
                "2026-03-01 category-claimed category=pipeline",
                "2026-03-05 deal-opened",
            ],
        ),
    ],
    ids=["closed before it was opened", "evidence before the opening", "a row before the opening"],
)  # fmt: skip
def test_where_clocks_disagree_nothing_occurs_after_it_was_known(
    tmp_path: Path, files: dict[str, str], story: list[str]
) -> None:
    ledger = MemoryLedger()
    publish(ledger, playbook(["crm"]))
    report = bring_csv(ledger, tmp_path, SKEWED, files)
    assert report.rejects == []
    assert ledger.story("D1") == story
    assert all(event["occurred_at"] <= event["known_at"] for event in ledger.stream("deal:D1"))
