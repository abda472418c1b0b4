"""Writing over GraphQL: every command as it is recorded, again, and at once.

The tests share a server; each uses deals and people of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest

from api.graphql.commands import COMMANDS
from ledger.config import Settings
from ledger.domain.ids import event_id_of
from ledger.store.ledger import Ledger
from tests.e2e.asking import USD, YES, Client, writing_to
from tests.e2e.process import Qledger


@pytest.fixture(scope="module")
def client(qledger: Qledger) -> Iterator[Client]:
    with writing_to(qledger) as client:
        yield client


@pytest.fixture(scope="module")
def written(worked_settings: Settings) -> Iterator[Ledger]:
    """The same ledger, read directly."""
    with Ledger.open(worked_settings) as ledger:
        yield ledger


# --- every command ------------------------------------------------------------------------------

DEAL = {"deal": "P1", "actor": "kim"}
STORY: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("reviewPlaybook", {"playbook": "buyers_journey", "actor": "mia", "reviewer": "mia"},
     {"reviewer": "mia"}),
    ("joinPerson", {"person": "kim", "actor": "mia", "name": "Kim", "team": "East"},
     {"name": "Kim", "team": "East"}),
    ("reassignPerson", {"person": "kim", "actor": "mia", "manager": "mia", "team": None},
     {"manager": "mia", "team": None}),
    ("assessPerson", {"person": "kim", "actor": "mia", "assessor": "mia", "aspect": "BUY_IN",
                      "score": 4},
     {"assessor": "mia", "aspect": "buy_in", "score": 4}),
    ("openAccount", {"account": "acme", "actor": "kim", "name": "Acme",
                     "dimensions": [{"key": "region", "value": "EMEA"}]},
     {"name": "Acme", "dimensions": {"region": "EMEA"}}),
    ("reviseAccount", {"account": "acme", "actor": "kim",
                       "dimensions": [{"key": "region", "value": None}]},
     {"dimensions": {"region": None}}),
    ("recordAccountEvidence", {"account": "acme", "actor": "kim", **YES,
                               "criterion": "symptom_in_their_words", "quote": "it hurts"},
     {"criterion": "symptom_in_their_words", "stance": "supports", "source_kind": "call",
      "quote": "it hurts"}),
    ("openDeal", {**DEAL, "name": "Pump", "owner": "kim", "account": "acme", "amount": USD,
                  "products": ["pump"], "closeDate": "2026-06-30", "note": None}, {}),
    ("reviseDeal", {**DEAL, "amount": {"amount": "1300", "currency": "EUR"}, "closeDate": None,
                    "dimensions": [{"key": "segment", "value": "SMB"}]},
     {"amount": {"amount": "1300", "currency": "EUR"}, "close_date": None,
      "dimensions": {"segment": "SMB"}}),
    ("claimStage", {**DEAL, "stage": "5", "gate": "investment", "probability": 90},
     {"stage": "5", "gate": "investment", "probability": 90}),
    ("claimCategory", {**DEAL, "category": "BEST_CASE"}, {"category": "best_case"}),
    ("addStakeholder", {**DEAL, "stakeholder": "eve", "name": "Eve", "role": "champion",
                        "seniority": "VICE_PRESIDENT", "influence": "HIGH"},
     {"stakeholder": "eve", "name": "Eve", "role": "champion", "seniority": "vice_president",
      "influence": "high"}),
    ("changeStakeholder", {**DEAL, "stakeholder": "eve", "title": "VP", "influence": None},
     {"stakeholder": "eve", "title": "VP", "influence": None}),
    ("recordEvidence", {**DEAL, **YES, "criterion": "demonstration_next_step", "saidBy": "eve"},
     {"criterion": "demonstration_next_step", "stance": "supports", "source_kind": "call",
      "said_by": "eve"}),
    ("waiveCriterion", {**DEAL, "actor": "mia", "criterion": "fit_confirmed", "reason": "known",
                        "endsAt": "2099-01-01T00:00:00+01:00"},
     {"criterion": "fit_confirmed", "reason": "known", "ends_at": "2098-12-31T23:00:00.000000Z"}),
    ("revokeWaiver", {**DEAL, "criterion": "fit_confirmed", "reason": "not so"},
     {"criterion": "fit_confirmed", "reason": "not so"}),
    ("declareBuyerAdvanced", {**DEAL, "gate": "awareness"}, {"gate": "awareness"}),
    ("declareBuyerRegressed", {**DEAL, "gate": "awareness", "reason": "new boss"},
     {"gate": "awareness", "reason": "new boss"}),
    ("declareBuyerLooped", {**DEAL, "fromGate": "decision", "toGate": "problem"},
     {"from_gate": "decision", "to_gate": "problem"}),
    ("holdDebrief", {**DEAL, "actor": "mia", "reviewer": "mia", "meetingsBefore": 0,
                     "answers": [{"criterion": "options_compared"}]},
     {"reviewer": "mia", "meetings_before": 0,
      "answers": [{"criterion": "options_compared", "answer": "no_answer"}]}),
    ("stakeholderLeft", {**DEAL, "stakeholder": "eve"}, {"stakeholder": "eve"}),
    ("closeDeal", {**DEAL, "outcome": "NO_DECISION", "buyerReason": "no budget"},
     {"outcome": "no_decision", "buyer_reason": "no budget"}),
    ("recordPostMortem", {**DEAL, "actor": "mia", "reviewer": "mia", "finding": "asked too late"},
     {"reviewer": "mia", "finding": "asked too late"}),
    ("reopenDeal", {**DEAL, "reason": "they called"}, {"reason": "they called"}),
    ("removeDeal", {**DEAL}, {}),
    ("callForecast", {"period": "2026-Q2", "person": "kim", "category": "COMMIT", "amount": USD,
                      "actor": "kim"},
     {"period": "2026-Q2", "person": "kim", "category": "commit", "amount": USD}),
    ("adjustForecast", {"period": "2026-Q2", "person": "kim", "category": "COMMIT", "actor": "mia",
                        "haircutPercent": 50, "adjuster": "mia", "reason": "as ever",
                        "expiresAt": "2099-01-01T00:00:00Z"},
     {"period": "2026-Q2", "person": "kim", "category": "commit", "haircut_percent": 50,
      "adjuster": "mia", "reason": "as ever", "expires_at": "2099-01-01T00:00:00.000000Z"}),
    ("setQuota", {"period": "2026", "person": "kim", "amount": USD, "actor": "mia"},
     {"period": "2026", "person": "kim", "amount": USD}),
    ("setFxRate", {"currency": "EUR", "to": "USD", "rate": "1.0842", "actor": "ops",
                   "occurredAt": "2026-01-01T00:00:00Z"},
     {"currency": "EUR", "to": "USD", "rate": "1.0842"}),
    ("setFiscalCalendar", {"startMonth": 2, "actor": "ops", "occurredAt": "2099-02-01T00:00:00Z"},
     {"start_month": 2, "named_by": "start", "time_zone": "UTC"}),
    ("setReportingCurrency", {"currency": "USD", "actor": "ops"}, {"currency": "USD"}),
    ("personLeft", {"person": "kim", "actor": "mia"}, {}),
]  # fmt: skip
"""Mutation, what is given, and what is recorded."""


def test_every_command_records_what_was_given(client: Client, written: Ledger) -> None:
    story = [
        (name, {k: v for k, v in given.items() if k != "note"}, payload)
        for name, given, payload in STORY
    ]
    acts = {"retractEvent", "correctEvent", "publishPlaybook"}
    assert {name for name, _given, _payload in story} | acts == {c.mutation for c in COMMANDS}
    by_name = {command.mutation: command for command in COMMANDS}
    for name, given, payload in story:
        before = client.head()
        done = client.recorded(name, **given)
        assert done["added"], name
        assert done["type"] == by_name[name].payload.type
        assert int(done["position"]) == before + 1 == client.head()
        event = written.event(UUID(done["eventId"]))
        assert event is not None
        assert (event["position"], event["stream_version"], event["recorded_at"]) == (
            before + 1, done["streamVersion"], done["recordedAt"]
        )  # fmt: skip
        assert event["actor"] == given["actor"]
        assert event["source"] == {"system": "qledger"}
        if name != "openDeal":
            assert event["payload"] == payload, name
    (opening, *_rest) = written.stream("deal:P1")
    assert opening["payload"] == {
        "name": "Pump", "owner": "kim", "account": "acme", "amount": USD, "products": ["pump"],
        "close_date": "2026-06-30",
    }  # fmt: skip


def test_an_event_is_corrected_and_retracted_wherever_it_stands(client: Client) -> None:
    deal = client.opened("C1", amount=USD)
    grown = client.recorded("reviseDeal", deal=deal, actor="kim",
                            amount={"amount": "9000", "currency": "USD"})  # fmt: skip
    corrected = client.recorded(
        "correctEvent", target=grown["eventId"], actor="kim", reason="a digit too many",
        payload={"amount": {"amount": "900", "currency": "USD"}},
    )  # fmt: skip
    retracted = client.recorded("retractEvent", target=grown["eventId"], actor="kim",
                                reason="another deal's")  # fmt: skip
    answer = client.ask(
        "query($a: AsOfTime, $b: AsOfTime, $c: AsOfTime) {"
        + " ".join(
            f'{name}: snapshot(asOf: ${name}) {{ deal(id: "C1") {{ amount {{ amount }} }} }}'
            for name in "abc"
        )
        + "}",
        **{
            name: f"pos:{done['position']}"
            for name, done in zip("abc", (grown, corrected, retracted), strict=True)
        },
    )
    assert [answer[name]["deal"]["amount"]["amount"] for name in "abc"] == [
        "9000", "900", "1200.50"
    ]  # fmt: skip
    late = client.recorded("claimStage", deal=deal, stage="2", actor="kim")
    moved = client.recorded("correctEvent", target=late["eventId"], actor="kim", reason="the day",
                            occurredAt="2026-01-12T00:00:00Z")  # fmt: skip
    stage = """{ snapshot(asOf: "2026-01-13", knownAt: "now") { deal(id: "C1") { stage } } }"""
    assert client.ask(stage)["snapshot"]["deal"]["stage"] == "2"
    assert moved["type"] == "event-corrected"


def test_a_person_reads_what_they_wrote(client: Client) -> None:
    deal = client.opened("R1")
    done = client.recorded("recordEvidence", deal=deal, criterion="discovery_meeting_scheduled",
                           **YES, saidBy="eve", actor="kim")  # fmt: skip
    read = """query($at: AsOfTime) { snapshot(asOf: $at) { basis { horizon }
        deal(id: "R1") { standsAt gates { status criteria { criterion status
            because { eventId position } } } } } }"""
    now = client.ask(read, at=f"pos:{done['position']}")["snapshot"]
    before = client.ask(read, at=f"pos:{int(done['position']) - 1}")["snapshot"]
    assert now["basis"]["horizon"] == done["position"]
    assert (before["deal"]["standsAt"], now["deal"]["standsAt"]) == ("awareness", "engagement")
    met = now["deal"]["gates"][0]["criteria"][0]
    assert met == {
        "criterion": "discovery_meeting_scheduled", "status": "met",
        "because": [{"eventId": done["eventId"], "position": done["position"]}],
    }  # fmt: skip


def test_a_debrief_and_its_evidence_are_one_act(client: Client, written: Ledger) -> None:
    deal = client.opened("B1")
    given: dict[str, Any] = {
        "deal": deal, "actor": "mia", "reviewer": "mia", "meetingsBefore": 2,
        "eventId": "018f0000-0000-7000-8000-0000000000b1",
        "occurredAt": "2026-01-20T10:00:00Z",
        "answers": [
            {"criterion": "champion_committed", "note": "on the phone",
             "evidence": {**YES, "saidBy": "eve", "quote": "I will get this fixed"},
             "occurredAt": "2026-01-19T16:00:00Z"},
            {"criterion": "budget_price_confirmed", "evidence": None},
            {"criterion": "problem_next_step", "evidence": {**YES, "saidBy": "eve"}},
        ],
    }  # fmt: skip
    done = client.recorded("holdDebrief", **given)
    assert [each["type"] for each in done["alongside"]] == ["evidence-recorded"] * 2
    debrief = written.event(UUID(done["eventId"]))
    assert debrief is not None
    answers = debrief["payload"]["answers"]
    assert [(answer["criterion"], answer.get("evidence")) for answer in answers] == [
        ("champion_committed", done["alongside"][0]["eventId"]),
        ("budget_price_confirmed", None),
        ("problem_next_step", done["alongside"][1]["eventId"]),
    ]
    assert answers[0]["note"] == "on the phone"
    first = written.event(UUID(done["alongside"][0]["eventId"]))
    assert first is not None
    assert first["occurred_at"] == "2026-01-19T16:00:00.000000Z"
    assert first["payload"]["quote"] == "I will get this fixed"
    again = client.recorded("holdDebrief", **given)
    assert not again["added"]
    assert again["position"] == done["position"]

    before = client.head()
    given["eventId"] = "018f0000-0000-7000-8000-0000000000b2"
    wrong = {"criterion": "fit_confirmed", "evidence": {**YES, "sha256": "short"}}
    refused = client.rejected("holdDebrief", **{**given, "answers": [*given["answers"], wrong]})
    assert refused["where"] == "input.answers.3.evidence.sha256"
    unknown = {"criterion": "hope", "evidence": YES}
    refused = client.rejected("holdDebrief", **{**given, "answers": [*given["answers"], unknown]})
    assert (refused["code"], refused["where"]) == ("unknown-criterion", "input.answers")
    refused = client.rejected("holdDebrief", **{**given, "reviewer": "kim"})
    assert (refused["code"], refused["where"]) == ("reviewer-is-owner", "input.reviewer")
    assert client.head() == before


# --- again, and too late ------------------------------------------------------------------------


def test_recording_the_same_again_changes_nothing(client: Client) -> None:
    deal = client.opened("I1")
    given = {"deal": deal, "actor": "kim", "category": "COMMIT",
             "eventId": "018F0000-0000-7000-8000-000000000001"}  # fmt: skip
    first = client.recorded("claimCategory", **given)
    before = client.head()
    again = client.recorded("claimCategory", **given, expectedVersion=99)
    assert (first["added"], again["added"]) == (True, False)
    assert {**first, "added": False} == again
    other = client.rejected("claimCategory", **{**given, "category": "PIPELINE"})
    assert (other["code"], other["where"]) == ("event-id-taken", "input.eventId")
    assert client.head() == before


def test_a_version_that_has_moved_on_is_a_conflict(client: Client) -> None:
    deal = client.opened("V1")
    claim = {"deal": deal, "actor": "kim", "category": "COMMIT"}
    seen = client.recorded("claimCategory", **claim)["streamVersion"]
    assert client.recorded("claimCategory", **claim, expectedVersion=seen)["streamVersion"] == (
        seen + 1
    )
    late = client.rejected("claimCategory", **claim, expectedVersion=seen)
    assert (late["code"], late["where"]) == ("stream-moved", "input.expectedVersion")
    assert late["hint"]
    fresh = client.rejected("openDeal", deal="V2", actor="kim", expectedVersion=1)
    assert fresh["code"] == "stream-moved"
    assert client.recorded("openDeal", deal="V2", actor="kim", expectedVersion=0)["added"]


def test_many_write_to_one_deal_at_once(client: Client, written: Ledger) -> None:
    deal = client.opened("M1")

    def claim(percent: int) -> dict[str, Any]:
        return client.recorded(
            "claimStage", deal=deal, actor="kim", stage="3", probability=percent,
            eventId=str(event_id_of("test", deal, str(percent))),
        )  # fmt: skip

    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(claim, list(range(30)) * 2))
    assert sum(each["added"] for each in done) == 30
    events = written.stream("deal:M1")
    assert [event["stream_version"] for event in events] == list(range(1, 33))


def test_the_same_command_sent_many_times_at_once_is_one_event(client: Client) -> None:
    given = {"deal": "S1", "actor": "kim", "eventId": "018f0000-0000-7000-8000-0000000000c1"}
    with ThreadPoolExecutor(8) as threads:
        done = list(threads.map(lambda _: client.recorded("openDeal", **given), range(16)))
    assert sum(each["added"] for each in done) == 1
    assert len({each["position"] for each in done}) == 1
