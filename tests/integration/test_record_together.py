"""Several events of one stream in one act: decided in turn, recorded together, or not at all."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from ledger import service
from ledger.domain.errors import Conflict, InvalidInput, Refused
from ledger.domain.events import Event, EventPayload, EvidenceRecorded, PlaybookPublished
from ledger.domain.ids import event_id_of
from ledger.service import Answer, Debrief, Part, hold_debrief, record_together
from ledger.store.ledger import Ledger
from tests.unit.domain.builders import at, payload
from tests.unit.fold.journey_kit import JOURNEY

DEAL = "deal:D1"
DEBRIEF = event_id_of("test", "debrief", "1")


def part(number: int, event_type: str, **fields: Any) -> Part:
    return Part(payload(event_type, **fields), event_id_of("test", "part", str(number)))


def evidence(criterion: str, said_by: str | None = "cho") -> EvidenceRecorded:
    fields = {"said_by": said_by} if said_by else {}
    made: EventPayload = payload(
        "evidence-recorded", criterion=criterion, stance="supports", source_kind="call", **fields
    )
    assert isinstance(made, EvidenceRecorded)
    return made


@pytest.fixture
def deal(ledger: Ledger) -> Ledger:
    """A ledger with the small journey and a deal of Ann's, whose champion is Cho."""
    service.publish_playbook(ledger, PlaybookPublished(playbook=JOURNEY), actor="ops")
    for each in (
        payload("deal-opened", name="Deal", owner="ann"),
        payload("stakeholder-added", stakeholder="cho", name="Cho", role="champion"),
    ):
        service.record(ledger, DEAL, each, actor="ann")
    return ledger


def of_deal(ledger: Ledger) -> list[Event]:
    return ledger.stream(DEAL)


def test_each_part_is_decided_on_what_those_before_it_lead_to(ledger: Ledger) -> None:
    service.publish_playbook(ledger, PlaybookPublished(playbook=JOURNEY), actor="ops")
    receipts = record_together(
        ledger,
        DEAL,
        [
            part(1, "deal-opened", name="Deal", owner="ann"),
            part(2, "stakeholder-added", stakeholder="cho", name="Cho", role="champion"),
            Part(evidence("fit"), event_id_of("test", "part", "3")),
            part(4, "deal-closed", outcome="won"),
            part(5, "deal-reopened"),
        ],
        actor="ann",
    )
    events = of_deal(ledger)
    assert [e["type"] for e in events] == [receipt.type for receipt in receipts]
    assert [e["stream_version"] for e in events] == [r.stream_version for r in receipts]
    assert [e["position"] for e in events] == [r.position for r in receipts]
    assert len({e["recorded_at"] for e in events}) == 1
    assert all(receipt.added for receipt in receipts)


def test_when_one_part_is_refused_nothing_is_recorded(deal: Ledger) -> None:
    before = of_deal(deal)
    with pytest.raises(Refused) as caught:
        record_together(
            deal,
            DEAL,
            [part(1, "deal-closed", outcome="won"), part(2, "deal-closed", outcome="lost")],
            actor="ann",
        )
    assert caught.value.code == "deal-already-closed"
    assert of_deal(deal) == before


def test_a_debrief_is_the_cause_of_its_evidence_and_names_it(deal: Ledger) -> None:
    receipts = hold_debrief(
        deal,
        "D1",
        Debrief(
            "mia",
            [
                Answer("fit", evidence("fit"), at("2026-01-05"), note="from the notes"),
                Answer("price", note="nobody knew"),
                Answer("options", evidence("options")),
            ],
            meetings_before=2,
        ),
        actor="mia",
        event_id=DEBRIEF,
    )
    fit, options, held = of_deal(deal)[-3:]
    assert [r.event_id for r in receipts] == [UUID(e["event_id"]) for e in (fit, options, held)]
    assert held["event_id"] == str(DEBRIEF)
    assert held["payload"] == {
        "reviewer": "mia",
        "meetings_before": 2,
        "answers": [
            {"criterion": "fit", "answer": "evidence", "evidence": fit["event_id"],
             "note": "from the notes"},
            {"criterion": "price", "answer": "no_answer", "note": "nobody knew"},
            {"criterion": "options", "answer": "evidence", "evidence": options["event_id"]},
        ],
    }  # fmt: skip
    assert [e.get("causation_id") for e in (fit, options, held)] == [str(DEBRIEF)] * 2 + [None]
    assert {e["correlation_id"] for e in (fit, options, held)} == {str(DEBRIEF)}
    assert fit["occurred_at"] == "2026-01-05T12:00:00.000000Z"
    assert options["occurred_at"] == held["occurred_at"]


def test_a_retry_with_the_same_id_is_the_same_debrief(deal: Ledger) -> None:
    def hold(note: str = "nobody knew") -> list[service.Receipt]:
        return hold_debrief(
            deal,
            "D1",
            Debrief("mia", [Answer("fit", evidence("fit")), Answer("price", note=note)]),
            actor="mia",
            event_id=DEBRIEF,
        )

    first = hold()
    service.record(deal, DEAL, payload("deal-closed", outcome="won"), actor="ann")
    again = hold()
    assert [r.added for r in again] == [False, False]
    assert [r._replace(added=True) for r in again] == first
    with pytest.raises(Conflict) as caught:
        hold("somebody knew")
    assert caught.value.code == "event-id-taken"


def test_a_debrief_decided_on_another_version_than_the_caller_saw_is_refused(deal: Ledger) -> None:
    def hold(expected_version: int) -> list[service.Receipt]:
        return hold_debrief(
            deal,
            "D1",
            Debrief("mia", [Answer("fit", evidence("fit"))]),
            actor="mia",
            expected_version=expected_version,
        )

    seen = len(of_deal(deal))
    for version in (seen - 1, seen + 1):
        with pytest.raises(Conflict) as caught:
            hold(version)
        assert caught.value.code == "stream-moved"
    assert len(of_deal(deal)) == seen
    assert [receipt.stream_version for receipt in hold(seen)] == [seen + 1, seen + 2]


def test_a_retry_that_asks_for_more_than_the_first_time_is_refused(deal: Ledger) -> None:
    one = part(1, "stage-claimed", stage="Proposal")
    record_together(deal, DEAL, [one], actor="ann")
    with pytest.raises(Conflict) as caught:
        record_together(deal, DEAL, [one, part(2, "stage-claimed", stage="Won")], actor="ann")
    assert caught.value.code == "event-id-taken"
    assert of_deal(deal)[-1]["payload"] == {"stage": "Proposal"}


@pytest.mark.parametrize(
    ("reviewer", "answer", "code"),
    [
        ("ann", Answer("fit", evidence("fit")), "reviewer-is-owner"),
        ("mia", Answer("no_such"), "unknown-criterion"),
        ("mia", Answer("fit", evidence("fit", "stranger")), "unknown-stakeholder"),
        ("mia", Answer("fit", note="x" * 4001), "text-too-long"),
    ],
)
def test_a_debrief_that_breaks_a_rule_records_nothing(
    deal: Ledger, reviewer: str, answer: Answer, code: str
) -> None:
    before = of_deal(deal)
    with pytest.raises((Refused, InvalidInput)) as caught:
        hold_debrief(
            deal,
            "D1",
            Debrief(reviewer, [Answer("options", evidence("options")), answer]),
            actor="mia",
        )
    assert caught.value.code == code
    assert of_deal(deal) == before


def test_acts_of_several_writers_never_mix(deal: Ledger) -> None:
    def hold(number: int) -> list[service.Receipt]:
        return hold_debrief(
            deal,
            "D1",
            Debrief(
                "mia", [Answer("fit", evidence("fit")), Answer("options", evidence("options"))]
            ),
            actor="mia",
            event_id=event_id_of("test", "debrief", str(number)),
        )

    before = len(of_deal(deal))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hold, range(8)))
    acts = [e["correlation_id"] for e in of_deal(deal)[before:]]
    assert len(acts) == 24
    assert [acts[n : n + 3] for n in range(0, 24, 3)] == [[act] * 3 for act in acts[::3]]
