"""The practice on the command line: agenda, debriefs, queue, waivers, calls, people, decisions."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.store.embedded import EmbeddedServer
from ledger.store.ledger import Ledger
from tests.conftest import TEMPLATE
from tests.e2e import practised
from tests.e2e.practised import ON, PERIOD
from tests.e2e.process import Qledger, basis_options

_numbers = itertools.count(1)
VIEWS = ["agenda", "debriefs", "queue", "ladder", "team", "decisions"]
EVENT_ID = "019a0000-0000-7000-8000-00000000000b"


@pytest.fixture(scope="module")
def practice(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qledger]:
    """The command line on the example, to ask only."""
    name = f"practised_{next(_numbers)}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(
            SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(TEMPLATE))
        )
        url = server.url(name)
        home = tmp_path_factory.mktemp("home")
        with Ledger.open(Settings(home=home, database_url=SecretStr(url), workers=1)) as ledger:
            practised.write(ledger)
        yield Qledger.on(url)
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def ask(qledger: Qledger, view: str, *options: str, on: str = ON) -> dict[str, Any]:
    words = [view, "A"] if view == "agenda" else [view]
    return qledger.ok_here(*words, "--as-of", on, *options, "--format", "json").json


def positions(row: dict[str, Any]) -> list[int]:
    return [event["position"] for event in row["because"]]


def types(row: dict[str, Any]) -> list[str]:
    return [event["type"] for event in row["because"]]


# --- agenda and debriefs --------------------------------------------------------------------------


def test_an_agenda_asks_in_gate_order_up_to_one_gate_beyond(practice: Qledger) -> None:
    answer = ask(practice, "agenda")
    assert (answer["stands_at"], answer["meetings"], answer["debriefs"]) == ("problem", 1, 1)
    fit, options, price = answer["questions"]
    assert [(q["gate"], q["criterion"], q["why"]) for q in (fit, options, price)] == [
        ("problem", "fit", "stale"),
        ("problem", "options", "lapsing"),
        ("decision", "price", "missing"),
    ]
    assert fit["since"] == "2025-02-09T12:00:00.000000Z"  # 20 days once it got through the gate
    assert options["lapses_at"] == "2025-03-21T12:00:00.000000Z"
    assert fit["last_word"]["quote"] == "Yes, fit."
    assert (fit["last_word"]["name"], fit["last_word"]["stance"]) == ("Cho", "supports")
    assert types(fit) == ["evidence-recorded"]
    assert (price["said_by_role"], price["can_say_it"], price["layer"]) == (
        "buyer", [], "stakeholder",
    )  # fmt: skip
    assert price["no_answer"] == {"times": 1, "last_at": "2025-02-10T12:00:00.000000Z"}
    assert types(price) == ["debrief-held"]


def test_an_agenda_looks_ahead_only_as_far_as_it_is_told(practice: Qledger) -> None:
    near = ask(practice, "agenda", "--within-days", "10")
    assert [each["criterion"] for each in near["questions"]] == ["fit", "price"]
    refused = practice.here("agenda", "A", "--within-days", "-1")
    assert (refused.status, refused.code) == (2, "invalid-days")
    assert practice.here("agenda", "Z").code == "unknown-deal"


def test_debrief_coverage_is_a_share_of_the_open_claimed_forecast(practice: Qledger) -> None:
    answer = ask(practice, "debriefs")
    total = answer["total"]
    assert (total["amount"], total["deals"]) == ("155000.00", 2)
    assert (total["recent_amount"], total["recent_percent"]) == ("100000.00", "64.5")
    assert [(c["category"], c["amount"], c["ever_percent"]) for c in answer["categories"]] == [
        ("pipeline", "0.00", None),
        ("best_case", "55000.00", "0.0"),
        ("commit", "100000.00", "100.0"),
    ]
    assert [(o["owner"], o["ever_percent"]) for o in answer["owners"]] == [
        ("ann", "100.0"),
        ("bob", "0.0"),
    ]
    assert answer["first_debrief"] == {
        "deals": 1, "never_debriefed": 4, "median_days": "31", "median_meetings": "2",
    }  # fmt: skip
    deals = {each["deal"]: each for each in answer["deals"]}
    assert (deals["A"]["meetings_from"], types(deals["A"])) == ("debrief", ["debrief-held"])
    assert not deals["C"]["in_forecast"]


def test_a_debrief_covers_for_sixty_days(practice: Qledger) -> None:
    def recent(valid_at: str) -> str:
        answer = practice.ok_here("debriefs", "--valid-at", valid_at, "--known-at", "2025-03-10",
                                  "--period", PERIOD, "--format", "json").json  # fmt: skip
        total: str = answer["total"]["recent_amount"]
        return total

    assert recent("2025-04-11T11:59:59.999999Z") == "100000.00"
    assert recent("2025-04-11T12:00:00Z") == "0.00"


# --- queue ----------------------------------------------------------------------------------------


def test_the_queue_puts_the_largest_amount_first_then_what_lapses_first(practice: Qledger) -> None:
    answer = ask(practice, "queue", "--within-days", "45")
    assert [(r["deal"], r["criterion"], r["why"], r["at_risk"]) for r in answer["rows"]] == [
        ("A", "fit", "stale", "100000.00"),
        ("A", "options", "lapsing", "100000.00"),
        ("B", "fit", "lapsing", "55000.00"),
    ]
    assert answer["total"] == {"criteria": 3, "deals": 2, "at_risk": "155000.00"}
    assert [(o["owner"], o["at_risk"]) for o in answer["owners"]] == [
        ("ann", "100000.00"),
        ("bob", "55000.00"),
    ]
    assert all(types(row) == ["evidence-recorded"] for row in answer["rows"])
    assert len(ask(practice, "queue")["rows"]) == 2  # 30 days by default


def test_a_queue_is_an_owners_or_a_managers_as_they_reported_then(practice: Qledger) -> None:
    def deals(*options: str, on: str = ON) -> list[str]:
        rows = ask(practice, "queue", "--within-days", "45", *options, on=on)["rows"]
        return sorted({row["deal"] for row in rows})

    assert deals("--owner", "bob") == ["B"]
    assert deals("--manager", "mia") == deals("--manager", "dora") == ["A", "B"]
    assert deals("--manager", "max") == []
    assert practice.here("queue", "--manager", "nobody").code == "unknown-person"
    assert practice.here("queue", "--manager", "mia", "--owner", "bob").code == "owner-or-manager"


# --- ladder ---------------------------------------------------------------------------------------


def test_the_ladder_goes_up_the_chain_and_ends_at_what_the_forecast_calls_adjusted(
    practice: Qledger,
) -> None:
    answer = ask(practice, "ladder")
    ann, bob = answer["calls"]
    assert [(s["adjuster"], s["level"], s["kind"], s["difference"]) for s in ann["steps"]] == [
        ("mia", 1, "haircut", "-60000.00"),
        ("dora", 2, "override", "20000.00"),
    ]
    assert ann["adjusted"]["reporting_amount"] == "80000.00"
    assert (bob["called"]["amount"], bob["called"]["reporting_amount"]) == ("55000.00", "60500.00")
    assert types(ann) == ["forecast-called", "forecast-adjusted", "forecast-adjusted"]
    commit = answer["categories"][0]
    assert (commit["called"], commit["adjusted"]) == ("120000.00", "80000.00")
    assert [(each["adjusters"], each["total"]) for each in commit["levels"]] == [
        (["mia"], "60000.00"),
        (["dora"], "80000.00"),
    ]
    forecast = practice.ok_here("forecast", "--as-of", ON, "--format", "json").json
    assert forecast["measures"]["adjusted"]["commit"]["amount"] == "80000.00"


def test_gut_and_evidence_are_scored_against_the_outcome(practice: Qledger) -> None:
    answer = ask(practice, "ladder")
    ann, bob = answer["people"]
    assert {key: ann[key] for key in ("called", "adjusted", "evidenced_commit", "closed")} == {
        "called": "120000.00", "adjusted": "80000.00", "evidenced_commit": "0.00",
        "closed": "30000.00",
    }  # fmt: skip
    assert (ann["outcome"], ann["closest"]) == ("130000.00", "called")
    assert (ann["called_less_outcome"], ann["evidenced_less_outcome"]) == (
        "-10000.00", "-100000.00",
    )  # fmt: skip
    assert (bob["called"], bob["closest"]) == (None, None)
    assert answer["ended"]


# --- team -----------------------------------------------------------------------------------------


def test_a_team_rolls_up_as_it_was_and_as_it_is(practice: Qledger) -> None:
    def rolled(*options: str) -> dict[str, tuple[int, str]]:
        people = ask(practice, "team", *options)["people"]
        return {p["person"]: (p["depth"], p["rolled_up"]["claimed"]["commit"]) for p in people}

    was = {"dora": (0, "100000.00"), "max": (1, "0.00"), "mia": (1, "100000.00"),
           "ann": (2, "100000.00"), "bob": (2, "0.00")}  # fmt: skip
    assert rolled() == rolled("--organisation", "as_was") == was
    assert rolled("--organisation", "as_is") == {
        **was, "max": (1, "100000.00"), "mia": (1, "0.00"),
    }  # fmt: skip
    assert list(rolled("--manager", "mia")) == ["mia", "ann", "bob"]
    assert rolled("--manager", "mia")["ann"][0] == 1


def test_a_team_shows_assessments_and_those_that_are_due(practice: Qledger) -> None:
    answer = ask(practice, "team")
    ann = next(each for each in answer["people"] if each["person"] == "ann")
    aspects = {each["aspect"]: each for each in ann["assessments"]}
    urgency, knowledge = aspects["urgency"], aspects["knowledge"]
    assert (urgency["status"], urgency["score"]) == ("fresh", 4)
    assert urgency["lapses_at"] == "2025-03-31T12:00:00.000000Z"
    assert (knowledge["status"], knowledge["since"]) == ("stale", "2025-02-28T12:00:00.000000Z")
    assert types(urgency) == ["person-assessed"]
    due = [(each["aspect"], each["status"]) for each in answer["due"] if each["person"] == "ann"]
    assert due == [
        ("motivation", "none"), ("confidence", "none"), ("buy_in", "none"), ("knowledge", "stale"),
        ("skills_applied", "none"),
    ]  # fmt: skip
    assert "dora" not in {each["person"] for each in answer["due"]}
    assert answer["faults"] == []


# --- decisions ------------------------------------------------------------------------------------


def test_what_was_won_shows_what_follows_and_what_may_be_regretted(practice: Qledger) -> None:
    (won,) = ask(practice, "decisions")["won"]
    assert [(c["gate"], c["criterion"], c["status"]) for c in won["criteria"]] == [
        ("advocacy", "handover", "unmet"),
        ("advocacy", "review", "unmet"),
    ]
    assert [(r["rule"], types(r)) for r in won["risks"]] == [
        ("no-hand-over", ["deal-closed"]),
        ("champion-left", ["stakeholder-left"]),
    ]


def test_what_was_not_won_shows_the_buyers_reason_beside_the_sellers(practice: Qledger) -> None:
    answer = ask(practice, "decisions")
    none, lost = answer["not_won"]
    assert (none["deal"], none["buyer_reason"], none["seller_reason"]) == (
        "D", "We keep what we have.", "Price.",
    )  # fmt: skip
    assert (lost["deal"], lost["buyer_reason"], lost["missing_reasons"]) == ("E", None, ["buyer"])
    assert types(none) == ["deal-closed"]
    assert (answer["decided"], answer["no_decision_percent"]) == (3, "33.3")
    outcomes = {each["outcome"]: each for each in answer["outcomes"]}
    assert outcomes["no_decision"]["amount_percent"] == "33.3"
    assert (outcomes["won"]["amount"], outcomes["won"]["amount_percent"]) == ("30000.00", "50.0")


# --- every view -----------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_the_stated_basis_repeats_the_bytes(practice: Qledger, view: str) -> None:
    words = [view, "A"] if view == "agenda" else [view]
    options = [] if view in {"agenda", "queue"} else ["--period", PERIOD]
    first = practice.ok_here(*words, "--as-of", ON, *options, "--format", "json")
    again = practice.ok_here(
        *words, *basis_options(first.json["basis"]), *options, "--format", "json"
    )
    assert again.out == first.out


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_a_table_and_a_csv_whose_rows_state_basis_and_events(
    practice: Qledger, view: str
) -> None:
    words = [view, "A"] if view == "agenda" else [view]
    table = practice.ok_here(*words, "--as-of", ON).text
    assert "basis: --valid-at 2025-03-10T23:59:59.999999Z" in table
    text = practice.ok_here(*words, "--as-of", ON, "--format", "csv").text
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows
    assert {row["basis_valid_at"] for row in rows} == {"2025-03-10T23:59:59.999999Z"}
    assert None not in rows[0]
    named = "position" if view == "ladder" else "because"
    silent = [row for row in rows if not row[named]]
    assert not [row for row in rows if {"True", "False"} & {*row.values()}]
    allowed = {"B", "C", "D", "E"} if view == "debriefs" else set()
    assert {row["deal"] for row in silent} == allowed


@pytest.mark.parametrize("view", VIEWS)
def test_an_empty_ledger_has_an_answer(fresh: Qledger, view: str) -> None:
    if view == "agenda":
        assert fresh.here("agenda", "A").code == "unknown-deal"
        return
    assert fresh.ok_here(view).text
    assert fresh.ok_here(view, "--format", "json").json["basis"]["horizon"] == 0
    assert fresh.ok_here(view, "--format", "csv").text


# --- what records ---------------------------------------------------------------------------------


@pytest.fixture
def desk(fresh: Qledger) -> Qledger:
    """A ledger with the shipped playbook, a deal of Ann's, and a champion."""
    fresh.ok_here("playbook", "publish", "buyers_journey", "--actor", "ops")
    for stream, kind, payload in (
        ("deal:D1", "deal-opened", '{"name": "Deal", "owner": "ann"}'),
        ("deal:D1", "stakeholder-added",
         '{"stakeholder": "cho", "name": "Cho", "role": "champion"}'),
        ("person:ann", "person-joined", '{"name": "Ann", "manager": "mia"}'),
    ):  # fmt: skip
        fresh.ok_here("record", stream, kind, payload, "--actor", "ann")
    return fresh


def events(qledger: Qledger, deal: str = "D1") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = qledger.ok_here("timeline", deal, "--format", "json").json[
        "events"
    ]
    return found


def test_a_debrief_is_recorded_whole_and_recording_it_again_changes_nothing(desk: Qledger) -> None:
    told = (
        '{"stance": "supports", "source_kind": "call", "said_by": "cho", "quote": "On the 5th",'
        ' "occurred_at": "2025-01-05T09:00:00Z"}'
    )
    command = [
        "debrief", "D1", "--reviewer", "mia", "--actor", "mia", "--meetings-before", "2",
        "--answer", f"discovery_meeting_scheduled={told}",
        "--answer", "symptom_in_their_words=no_answer:Ann will ask",
        "--event-id", EVENT_ID,
    ]  # fmt: skip
    said = desk.ok_here(*command).text.splitlines()
    assert [line.split()[1] for line in said] == ["evidence-recorded", "debrief-held"]
    assert said[-1].endswith(f"{EVENT_ID} at position 6")
    again = desk.ok_here(*command).text
    assert again.count("(it was there already)") == 2
    evidence, held = sorted(events(desk), key=lambda event: event["position"])[-2:]
    assert evidence["occurred_at"] == "2025-01-05T09:00:00.000000Z"
    assert held["payload"]["answers"] == [
        {"criterion": "discovery_meeting_scheduled", "answer": "evidence",
         "evidence": evidence["event_id"]},
        {"criterion": "symptom_in_their_words", "answer": "no_answer", "note": "Ann will ask"},
    ]  # fmt: skip
    agenda = desk.ok_here("agenda", "D1", "--format", "json").json
    assert agenda["debriefs"] == 1
    discovery = agenda["questions"][0]
    assert (discovery["criterion"], discovery["last_word"]["quote"]) == (
        "discovery_meeting_scheduled", "On the 5th",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("reviewer", "answer", "status", "code"),
    [
        ("ann", "fit_confirmed=no_answer", 3, "reviewer-is-owner"),
        ("mia", "no_such=no_answer", 2, "unknown-criterion"),
        ("mia", "fit_confirmed", 2, "invalid-answer"),
        ("mia", "fit_confirmed=perhaps", 2, "invalid-answer"),
        ("mia", "=no_answer", 2, "invalid-answer"),
        ("mia", "fit_confirmed={oops", 2, "invalid-json"),
        ("mia", 'fit_confirmed={"stance": "supports"}', 2, "missing-field"),
        ("mia", 'fit_confirmed={"stance": "maybe", "source_kind": "call"}', 2, "unknown-value"),
    ],
)
def test_a_debrief_that_breaks_a_rule_records_nothing(
    desk: Qledger, reviewer: str, answer: str, status: int, code: str
) -> None:
    good = 'champion_committed={"stance": "supports", "source_kind": "call", "said_by": "cho"}'
    refused = desk.here("debrief", "D1", "--reviewer", reviewer, "--answer", good,
                        "--answer", answer)  # fmt: skip
    assert (refused.status, refused.code) == (status, code)
    assert len(events(desk)) == 2


@pytest.mark.parametrize(
    "answer",
    [
        "fit_confirmed: Cho is leaving",
        "fit_confirmed=Cho is leaving",
        "Cho is leaving",
        'fit_confirmed={"quote": "Cho is leaving',
        'fit_confirmed={"stance": "Cho is leaving", "source_kind": "call"}',
        'fit_confirmed={"stance": "supports", "source_kind": "call", "quote": ["Cho is leaving"]}',
    ],
)
def test_what_somebody_said_is_in_no_error(desk: Qledger, answer: str) -> None:
    refused = desk.here(
        "debrief", "D1", "--reviewer", "mia", "--answer", "problem_next_step=no_answer",
        "--answer", answer,
    )  # fmt: skip
    assert refused.status == 2
    assert "Cho" not in refused.err
    assert refused.code != "invalid-answer" or "no. 2 of --answer" in refused.err


def test_a_waiver_holds_until_the_end_of_its_day_and_can_be_ended_before(desk: Qledger) -> None:
    waive = ["waive", "D1", "fit_confirmed", "--reason", "a renewal", "--until", "2099-12-30"]
    assert desk.here(*waive, "--actor", "ann").code == "waiver-by-owner"
    assert "criterion-waived" in desk.ok_here(*waive, "--actor", "mia").text
    waived = events(desk)[-1]
    assert waived["payload"] == {
        "criterion": "fit_confirmed", "reason": "a renewal",
        "ends_at": "2099-12-31T00:00:00.000000Z",
    }  # fmt: skip
    end = ["unwaive", "D1", "fit_confirmed", "--reason", "it is new business", "--actor", "mia"]
    assert "waiver-revoked" in desk.ok_here(*end).text
    assert desk.here(*end).code == "no-waiver"
    past = ["waive", "D1", "fit_confirmed", "--reason", "x", "--actor", "mia", "--until"]
    assert desk.here(*past, "2020-01-01").code == "ends-before-it-starts"
    assert desk.here(*past, "pos:3").code == "invalid-end"
    assert desk.here(*past, "tomorrow").code == "invalid-as-of"


def test_calls_and_adjustments_make_a_ladder(desk: Qledger) -> None:
    desk.ok_here("call", "2099-Q1", "ann", "commit", "120000.00", "USD", "--actor", "ann",
                 "--note", "sure")  # fmt: skip
    adjust = ["adjust", "2099-Q1", "ann", "commit", "--reason", "by habit", "--expires-at",
              "2099-04-01T00:00:00Z", "--actor", "mia"]  # fmt: skip
    desk.ok_here(*adjust, "--haircut", "50")
    desk.ok_here(*adjust, "--override", "90000.00", "USD", "--adjuster", "dora")
    ladder = desk.ok_here("ladder", "--period", "2099-Q1", "--format", "json").json
    assert [(s["adjuster"], s["after"]["amount"]) for s in ladder["calls"][0]["steps"]] == [
        ("mia", "60000.00"),
        ("dora", "90000.00"),
    ]
    assert desk.here(*adjust).code == "invalid-payload"
    assert desk.here(*adjust, "--haircut", "5", "--adjuster", "ann").code == "adjuster-is-caller"
    late = desk.here("adjust", "2099-Q1", "ann", "commit", "--reason", "x", "--haircut", "5",
                     "--expires-at", "2020-01-01", "--actor", "mia")  # fmt: skip
    assert late.code == "ends-before-it-starts"
    assert desk.here("call", "2099-Q1", "ann", "closed", "1", "USD").code == "unknown-value"


def test_a_manager_assesses_somebody_else(desk: Qledger) -> None:
    assess = ["assess", "ann", "urgency", "4", "--note", "calls back within the hour"]
    assert "person-assessed" in desk.ok_here(*assess, "--assessor", "mia").text
    team = desk.ok_here("team", "--format", "json").json
    ann = next(each for each in team["people"] if each["person"] == "ann")
    urgency = next(each for each in ann["assessments"] if each["aspect"] == "urgency")
    assert (urgency["status"], urgency["score"], urgency["assessor"]) == ("fresh", 4, "mia")
    assert urgency["note"] == "calls back within the hour"
    assert desk.here(*assess, "--assessor", "ann").code == "assessor-is-person"
    assert desk.here("assess", "ann", "mood", "4", "--assessor", "mia").code == "unknown-value"
    assert desk.here("assess", "zoe", "urgency", "4", "--assessor", "mia").code == "unknown-person"


def test_reporting_lines_in_a_circle_are_a_fault_that_is_named(desk: Qledger) -> None:
    desk.ok_here("record", "person:mia", "person-joined", '{"name": "Mia", "manager": "ann"}')
    answer = desk.ok_here("team", "--format", "json").json
    (fault,) = answer["faults"]
    assert (fault["fault"], fault["people"], fault["cut_at"]) == (
        "reporting-cycle", ["ann", "mia"], "ann",
    )  # fmt: skip
    assert types(fault) == ["person-joined", "person-joined"]
    assert [(each["person"], each["depth"]) for each in answer["people"]] == [
        ("ann", 0),
        ("mia", 1),
    ]
    assert "ann reports to mia reports to ann" in desk.ok_here("team").text.replace("\n", " ")
