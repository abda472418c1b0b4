"""`post-mortem` and `patterns` over the invented book, checked against its events by hand."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from ledger.store.embedded import EmbeddedServer
from scripts.demo_book.files import write_book
from tests.conftest import TEMPLATE
from tests.e2e.process import Qledger, basis_options

END = "2026-06-01"


@pytest.fixture(scope="module")
def demo(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Qledger]:
    """The command line on the invented book, to ask only."""
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        name = Identifier("demo_reviews")
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(name, Identifier(TEMPLATE)))
        qledger = Qledger.on(server.url("demo_reviews"))
        _bring_in(qledger, tmp_path_factory.mktemp("book"))
        yield qledger
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def _bring_in(qledger: Qledger, book: Path) -> None:
    write_book(book)
    for words in (["salesforce", str(book)], ["events", str(book / "evidence.ndjson")]):
        outcome = qledger.here("import", *words)
        assert outcome.status == 0, outcome


def asked(qledger: Qledger, *words: str) -> dict[str, Any]:
    return qledger.ok_here(*words, "--format", "json").json


def of_type(events: list[dict[str, Any]], *types: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] in types]


class Subject(NamedTuple):
    """A deal, its post-mortem, and its events from another command."""

    deal: str
    answer: dict[str, Any]
    events: list[dict[str, Any]]

    def of_type(self, *types: str) -> list[dict[str, Any]]:
        return of_type(self.events, *types)

    def close_dates(self) -> list[dict[str, Any]]:
        """The events that say when it is to close, as they became known."""
        told = (event for event in self.events if "close_date" in event["payload"])
        return sorted(told, key=lambda event: (event["known_at"], event["position"]))


@pytest.fixture(scope="module")
def subject(demo: Qledger) -> Subject:
    """A lost deal that never claimed more than pipeline; its buyer went back, and nothing that
    speaks for it came after."""
    deals = asked(demo, "deals", "--as-of", END, "--period", "2026-Q1")["deals"]
    for deal in (row["deal"] for row in deals if row["outcome"] == "lost"):
        events = asked(demo, "timeline", deal, "--as-of", END)["events"]
        claims = {event["payload"]["category"] for event in of_type(events, "category-claimed")}
        against = [event for event in events if speaks_against(event)]
        if not against or not claims <= {"pipeline", "omitted"}:
            continue
        first = min(against, key=lambda event: event["known_at"])
        later = [event for event in events if event["occurred_at"] > first["occurred_at"]]
        if first["type"] == "buyer-regressed" and not any(map(speaks_for, later)):
            return Subject(deal, asked(demo, "post-mortem", deal, "--as-of", END), events)
    raise AssertionError("the invented book holds no such deal")


def speaks_for(event: dict[str, Any]) -> bool:
    said = event["payload"].get("stance") == "supports"
    return said or event["type"] in {"criterion-waived", "event-retracted", "event-corrected"}


def speaks_against(event: dict[str, Any]) -> bool:
    return event["type"] in {"buyer-regressed", "buyer-looped"} or (
        event["payload"].get("stance") == "contradicts"
    )


# --- one deal, by hand ----------------------------------------------------------------------------


def test_it_says_how_the_deal_ended_and_why(subject: Subject) -> None:
    answer = subject.answer
    (closed,) = subject.of_type("deal-closed")
    assert (answer["outcome"], answer["decided_at"]) == ("lost", closed["occurred_at"])
    assert answer["reasons"]["seller"] == closed["payload"].get("seller_reason")
    assert answer["reasons"]["buyer"] == closed["payload"].get("buyer_reason")
    assert [event["position"] for event in answer["reasons"]["because"]] == [closed["position"]]


def test_the_first_knowable_date_is_when_the_going_back_became_known(subject: Subject) -> None:
    back = min(
        (event for event in subject.events if speaks_against(event)),
        key=lambda event: event["known_at"],
    )
    dated = [each for each in subject.close_dates() if each["known_at"] <= back["known_at"]][-1]
    first = subject.answer["first_knowable"]
    assert (first["at"], first["rule"]) == (back["known_at"], "contradiction-on-record")
    close_date = dated["payload"]["close_date"]
    assert first["claimed"] == {
        "category": "pipeline", "period": quarter(close_date), "close_date": close_date,
    }  # fmt: skip
    because = {event["position"] for event in first["because"]}
    assert {back["position"], dated["position"]} <= because


def quarter(day: str) -> str:
    return f"{day[:4]}-Q{(int(day[5:7]) + 2) // 3}"


def test_the_forecast_reacted_at_the_first_push_to_a_later_quarter_or_the_close(
    subject: Subject,
) -> None:
    answer = subject.answer
    first = answer["first_knowable"]
    (closed,) = subject.of_type("deal-closed")
    reaction, ended_by, before = closed, "closed", first["claimed"]["period"]
    for event in subject.close_dates():
        if first["at"] < event["known_at"] < closed["known_at"]:
            after = quarter(event["payload"]["close_date"])
            if after > before:
                reaction, ended_by = event, "close_date_pushed"
                break
            before = after
    assert answer["forecast_reacted_at"] == reaction["known_at"]
    waited = datetime.fromisoformat(reaction["known_at"]) - datetime.fromisoformat(first["at"])
    assert answer["days_to_react"] == round(waited / timedelta(days=1), 2)
    ended = answer["contradictions"][0]
    assert ended["ended_by"] == ended_by
    assert [event["position"] for event in ended["ended_because"]] == [reaction["position"]]


def test_each_week_claims_what_the_events_known_by_then_claim(subject: Subject) -> None:
    weeks = subject.answer["weeks"]
    (opened,) = subject.of_type("deal-opened")
    (closed,) = subject.of_type("deal-closed")
    assert weeks[-1]["ends_at"] == closed["occurred_at"]
    start = datetime.fromisoformat(opened["occurred_at"])
    for week in weeks[:-1]:
        ends_at = datetime.fromisoformat(week["ends_at"])
        assert ends_at - start == week["week"] * timedelta(days=7)
    for week in weeks:
        known = [
            event
            for event in subject.events
            if event["known_at"] <= week["ends_at"] and event["occurred_at"] <= week["ends_at"]
        ]
        known.sort(key=lambda event: (event["occurred_at"], event["known_at"], event["position"]))
        stage = of_type(known, "stage-claimed")[-1]["payload"]
        category = of_type(known, "category-claimed")[-1]["payload"]
        amounts = [event["payload"]["amount"] for event in known if "amount" in event["payload"]]
        claimed = week["claimed"]
        assert (claimed["stage"], claimed["probability"]) == (stage["stage"], stage["probability"])
        assert (claimed["category"], claimed["amount"]) == (
            category["category"], amounts[-1]["amount"],
        )  # fmt: skip


@pytest.mark.parametrize("number", [0, 5, -8, -1])
def test_a_week_is_what_the_deal_says_as_known_at_its_end(
    demo: Qledger, subject: Subject, number: int
) -> None:
    week = subject.answer["weeks"][number]
    then = asked(demo, "gates", subject.deal, "--as-of", week["ends_at"])
    assert week["stood_at"] == then["evidenced"]["stands_at"]
    assert week["evidenced"]["category"] == then["evidenced"]["category"]
    assert week["causes"] == [event["position"] for event in then["evidenced"]["because"]]


def test_what_was_never_evidenced_has_no_event_that_supports_it(
    demo: Qledger, subject: Subject
) -> None:
    said = subject.of_type("evidence-recorded")
    supported = {e["payload"]["criterion"] for e in said if e["payload"]["stance"] == "supports"}
    never = {each["criterion"]: each for each in subject.answer["never_evidenced"]}
    unheard = {key for key, each in never.items() if key in supported}
    assert {never[key]["rule"] for key in unheard} <= {
        "nobody-named", "speaker-without-role", "source-does-not-count", "buyer-went-back",
    }  # fmt: skip
    before_decision = {
        criterion["criterion"]
        for gate in playbook_of(demo, subject)["gates"]
        if not gate["after_decision"]
        for criterion in gate["criteria"]
    }
    assert before_decision - supported <= never.keys() <= before_decision


def playbook_of(demo: Qledger, subject: Subject) -> dict[str, Any]:
    key, _at, version = subject.answer["playbook"].partition("@")
    return asked(demo, "playbook", "show", key, "--version", version, "--as-of", END)


def test_evidence_lapsed_when_its_days_were_over(demo: Qledger, subject: Subject) -> None:
    by_position = {event["position"]: event for event in subject.events}
    fresh = {
        criterion["criterion"]: {criterion.get("fresh_for_days"), *criterion["fresher_at"].values()}
        for gate in playbook_of(demo, subject)["gates"]
        for criterion in gate["criteria"]
    }
    aged = [each for each in subject.answer["lapsed"] if each["rule"] == "evidence-aged"]
    assert aged
    for lapse in aged:
        (because,) = lapse["because"]
        said = by_position[because["position"]]
        assert said["payload"]["criterion"] == lapse["criterion"]
        age = datetime.fromisoformat(lapse["at"]) - datetime.fromisoformat(said["occurred_at"])
        tightest = min(days for days in fresh[lapse["criterion"]] if days is not None)
        assert age >= timedelta(days=tightest)
        if len(fresh[lapse["criterion"]]) == 1:
            assert age == timedelta(days=tightest)


def test_the_timeline_lists_every_event_once_and_late_ones_are_late(subject: Subject) -> None:
    answer = subject.answer
    own = [each for each in answer["timeline"] if each["stream"] == f"deal:{subject.deal}"]
    assert sorted(each["position"] for each in own) == sorted(
        event["position"] for event in subject.events
    )
    late = {entry["because"][0]["position"] for entry in answer["late_entries"]}
    for each in own:
        waited = datetime.fromisoformat(each["known_at"]) - datetime.fromisoformat(
            each["occurred_at"]
        )
        if each["kind"] == "evidence" and each["known_at"] <= answer["decided_at"]:
            assert (waited > timedelta(days=2)) == (each["position"] in late) == each["late"]


def test_the_similar_deal_was_won_in_the_same_band_and_came_through_the_same_gates(
    demo: Qledger,
) -> None:
    deals = asked(demo, "deals", "--as-of", END, "--period", "2026-Q1")["deals"]
    for deal in (row["deal"] for row in deals if row["outcome"] == "lost"):
        answer = asked(demo, "post-mortem", deal, "--as-of", END)
        similar = answer["similar_won"]
        if similar is not None:
            break
    other = asked(demo, "post-mortem", similar["deal"], "--as-of", END)
    assert other["outcome"] == "won"
    assert other["amount_band"] == answer["amount_band"] == similar["band"]
    assert other["playbook"].partition("@")[0] == answer["playbook"].partition("@")[0]
    reached = [row for row in similar["gates"] if row["this"] is not None]
    assert reached
    assert all(row["that"] is not None for row in reached)


# --- the commands ---------------------------------------------------------------------------------


def test_a_basis_given_back_repeats_the_post_mortem_byte_for_byte(
    demo: Qledger, subject: Subject
) -> None:
    pin = basis_options(subject.answer["basis"])
    words = ["post-mortem", subject.deal, *pin, "--format", "json"]
    assert demo.ok_here(*words).out == demo.ok_here(*words).out
    assert demo.ok_here(*words).json == subject.answer


def test_a_post_mortem_reads_as_tables(demo: Qledger, subject: Subject) -> None:
    text = demo.ok_here("post-mortem", subject.deal, "--as-of", END).text
    for words in (
        f"first knowable {subject.answer['first_knowable']['at'][:10]}",
        f"the forecast reacted {subject.answer['forecast_reacted_at'][:10]}",
        "Week by week", "Never evidenced", "Lapsed", "won deal", "both time axes", "basis:",
    ):  # fmt: skip
        assert words in text


def test_an_open_deal_has_a_post_mortem_so_far(demo: Qledger, subject: Subject) -> None:
    first = subject.answer["first_knowable"]["at"]
    answer = asked(demo, "post-mortem", subject.deal, "--as-of", first)
    assert (answer["outcome"], answer["decided_at"]) == ("open", None)
    assert (answer["first_knowable"]["at"], answer["forecast_reacted_at"]) == (first, None)
    assert answer["weeks"][-1]["ends_at"] == answer["basis"]["valid_at"] == first
    text = demo.ok_here("post-mortem", subject.deal, "--as-of", first).text
    assert "the forecast did not react" in text
    just_before = datetime.fromisoformat(first) - timedelta(microseconds=1)
    before = asked(demo, "post-mortem", subject.deal, "--as-of", just_before.isoformat())
    assert before["first_knowable"] is None


def test_a_post_mortem_may_be_asked_for_under_a_version(demo: Qledger, subject: Subject) -> None:
    version = subject.answer["playbook"]
    answer = asked(demo, "post-mortem", subject.deal, "--as-of", END, "--under", version)
    assert answer["basis"]["under"] == answer["playbook"] == version


def test_an_unknown_deal_has_no_post_mortem(demo: Qledger) -> None:
    outcome = demo.here("post-mortem", "nobody")
    assert (outcome.status, outcome.code) == (4, "unknown-deal")


def outcomes_of(demo: Qledger, *periods: str) -> Counter[str]:
    """How the deals of some years ended, from another command."""
    return Counter(
        deal["outcome"]
        for period in periods
        for deal in asked(demo, "deals", "--as-of", END, "--period", period)["deals"]
    )


def test_patterns_count_every_deal_of_the_book(demo: Qledger) -> None:
    answer = asked(demo, "patterns", "--as-of", END)
    outcomes = outcomes_of(demo, "2024", "2025", "2026", "2027")
    told = answer["deals"]
    assert told["open"] == outcomes.pop("open")
    assert told["decided"] == sum(outcomes.values())
    assert {name: count for name, count in answer["outcomes"].items() if count} == dict(outcomes)
    first = answer["playbooks"][0]["gates"][0]
    assert first["reached"] == told["open"] + told["decided"] - told["not_judged"]
    for gate in answer["playbooks"][0]["gates"]:
        ended = sum(gate["ended_there"].values())
        assert gate["reached"] == gate["through"] + gate["under_way"] + ended


def test_groups_add_up_to_the_whole_and_a_window_leaves_open_deals_out(demo: Qledger) -> None:
    words = ["patterns", "--as-of", END, "--from", "2026-01-01", "--to", "2026-03-31"]
    answer = asked(demo, *words, "--group-by", "team")
    assert answer["decided"] == {"first_day": "2026-01-01", "last_day": "2026-03-31"}
    assert answer["deals"]["open"] == 0
    groups = answer["groups"]
    assert sum(group["deals"]["decided"] for group in groups) == answer["deals"]["decided"]
    assert sum(group["looped"]["times"] for group in groups) == answer["looped"]["times"]
    quarter = asked(demo, "patterns", "--as-of", END, "--period", "2026-Q1", "--group-by", "team")
    assert quarter["groups"] == groups


def test_patterns_as_csv_hold_the_numbers_of_the_json(demo: Qledger) -> None:
    words = ["patterns", "--as-of", END, "--group-by", "owner"]
    answer = asked(demo, *words)
    pin = basis_options(answer["basis"])
    out = demo.ok_here("patterns", *pin, "--group-by", "owner", "--format", "csv").out.decode()
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    for group in answer["groups"]:
        own = [row for row in rows if row["owner"] == (group["key"]["owner"] or "")]
        (looped,) = [row for row in own if row["statistic"] == "looped"]
        assert (int(looped["count"]), int(looped["of"])) == (
            group["looped"]["count"], group["looped"]["of"],
        )  # fmt: skip
        for playbook in group["playbooks"]:
            for gate in playbook["gates"]:
                (days,) = [
                    row for row in own
                    if (row["statistic"], row["gate"]) == ("days", gate["gate"])
                ]  # fmt: skip
                assert days["median"] == str(gate["days"]["median"] or "")


def test_patterns_read_as_tables(demo: Qledger) -> None:
    text = demo.ok_here("patterns", "--as-of", END, "--against", "lost").text
    for words in ("Outcomes and loops", "Gates: conversion", "beside those lost", "95 %", "few"):
        assert words in text


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--against", "won"], "unknown-outcome"),
        (["--period", "2026-Q1", "--from", "2026-01-01"], "period-and-days"),
        (["--from", "2026-02-01", "--to", "2026-01-01"], "ends-before-it-starts"),
        (["--from", "February"], "invalid-date"),
        (["--group-by", "Owner!"], "invalid-dimension"),
    ],
)
def test_patterns_refuse_what_makes_no_sense(demo: Qledger, words: list[str], code: str) -> None:
    outcome = demo.here("patterns", *words)
    assert (outcome.status, outcome.code) == (2, code)
