"""Deciding on accounts, people, playbooks, periods, settings; on times; on corrections."""

from __future__ import annotations

from typing import Any

import pytest

from ledger.domain.command import Command, check_times
from ledger.domain.events import TYPES, EventPayload
from ledger.domain.streams import playbooks_in_force
from ledger.domain.times import MICROSECOND, format_instant
from tests.unit.domain.builders import (
    NO_PLAYBOOKS,
    NOW,
    PLAYBOOK,
    Log,
    at,
    given,
    money,
    opened,
    payload,
    revised,
    spelled,
)
from tests.unit.golden.examples import EXAMPLES

ACCOUNT = "account:A1"
PERSON = "person:ann"
BOOK = "playbook:basic"
PERIOD = "period:2026-Q2"
SETTINGS = "settings:ledger"


def evidence(criterion: str) -> EventPayload:
    return payload(
        "evidence-recorded", criterion=criterion, stance="supports", source_kind="document"
    )


def joined(**fields: Any) -> EventPayload:
    return payload("person-joined", name="Ann", **fields)


def published(version: str = "1", key: str = "basic") -> EventPayload:
    playbook = PLAYBOOK.model_copy(update={"version": version, "key": key})
    return payload("playbook-published", playbook=playbook.model_dump(mode="json"))


def adjusted(**fields: Any) -> EventPayload:
    facts = {
        "period": "2026-Q2",
        "person": "ann",
        "category": "commit",
        "haircut_percent": 50,
        "adjuster": "mia",
        "reason": "No evidence",
        "expires_at": "2026-07-01T00:00:00Z",
    }
    return payload("forecast-adjusted", **{**facts, **fields})


def called(period: str = "2026-Q2") -> EventPayload:
    return payload(
        "forecast-called", period=period, person="ann", category="commit", amount=money("5")
    )


# --- accounts -------------------------------------------------------------------------------------


def test_an_account_is_opened_once_and_first() -> None:
    given(stream=ACCOUNT).when(payload("account-opened", name="Acme")).accepted()
    here = given(payload("account-opened", name="Acme"), stream=ACCOUNT)
    here.when(payload("account-opened", name="Acme")).refused("account-already-opened")
    here.when(payload("account-revised", parent=None)).accepted()
    given(stream=ACCOUNT).when(payload("account-revised", name="B")).refused("unknown-account")


def test_an_accounts_evidence_is_of_the_organization_layer() -> None:
    here = given(payload("account-opened", name="Acme"), stream=ACCOUNT)
    here.when(evidence("policy_known")).accepted()
    here.when(evidence("fit_confirmed")).refused("wrong-layer")
    here.when(evidence("charm")).refused("unknown-criterion", where="evidence-recorded.criterion")
    here.when(evidence("policy_known"), playbooks=NO_PLAYBOOKS).refused("no-playbook")
    given(stream=ACCOUNT).when(evidence("policy_known")).refused("unknown-account")


# --- people ---------------------------------------------------------------------------------------


def test_a_person_joins_and_may_join_again_after_leaving() -> None:
    given(stream=PERSON).when(joined()).accepted()
    given(joined(), stream=PERSON).when(joined()).refused("person-already-joined")
    given(joined(), payload("person-left"), stream=PERSON).when(joined()).accepted()


@pytest.mark.parametrize(
    "asked",
    [
        payload("person-reassigned", team="North"),
        payload("person-left"),
        payload("person-assessed", aspect="urgency", score=3, assessor="mia"),
    ],
)
def test_only_someone_who_is_here_is_reassigned_assessed_or_leaves(asked: EventPayload) -> None:
    given(joined(), stream=PERSON).when(asked).accepted()
    given(stream=PERSON).when(asked).refused("unknown-person")
    given(joined(), payload("person-left"), stream=PERSON).when(asked).refused("unknown-person")


def test_nobody_manages_or_assesses_themselves() -> None:
    given(stream=PERSON).when(joined(manager="ann")).refused("own-manager")
    here = given(joined(), stream=PERSON)
    here.when(payload("person-reassigned", manager="ann")).refused("own-manager")
    here.when(payload("person-assessed", aspect="urgency", score=3, assessor="ann")).refused(
        "assessor-is-person"
    )


# --- playbooks ------------------------------------------------------------------------------------


def test_a_version_of_a_playbook_is_published_once_in_its_own_stream() -> None:
    given(stream=BOOK).when(published()).accepted()
    given(published(), stream=BOOK).when(published("2")).accepted()
    given(published(), stream=BOOK).when(published()).refused("version-exists")
    given(stream=BOOK).when(published(key="renewal")).refused("wrong-stream")


def test_a_version_that_was_retracted_is_published_again() -> None:
    scenario = given(published(), stream=BOOK)
    scenario.log.record(retraction(scenario.event_id(1)), "2026-02-01", stream=BOOK)
    scenario.when(published()).accepted()


def test_a_version_announced_ahead_is_taken_already() -> None:
    ahead = given(stream=BOOK)
    ahead.log.record(published("2"), "2026-06-01", stream=BOOK, recorded_at="2026-01-01")
    for day in (NOW, "2026-09-01"):
        ahead.when(published("2"), occurred_at=day).refused("version-exists")
        ahead.when(published("3"), occurred_at=day).accepted()


def test_only_a_published_playbook_is_reviewed() -> None:
    review = payload("playbook-reviewed", reviewer="mia")
    given(published(), stream=BOOK).when(review).accepted()
    given(stream=BOOK).when(review).refused("unknown-playbook")


def test_the_playbook_in_force_is_the_version_in_effect_last() -> None:
    log = Log()
    log.record(published("1"), "2026-01-01", stream=BOOK)
    log.record(published("1", key="renewal"), "2026-01-02", stream="playbook:renewal")
    log.record(published("2"), "2026-06-01", stream=BOOK, recorded_at="2026-01-03")
    log.record(payload("playbook-reviewed", reviewer="mia"), "2026-01-04", stream=BOOK)

    def versions(day: str) -> dict[str, str]:
        in_force = playbooks_in_force(log.events, spelled(day)).in_force
        return {key: playbook.version for key, playbook in in_force.items()}

    assert versions("2025-12-31") == {}
    assert versions("2026-05-31") == {"basic": "1", "renewal": "1"}
    assert versions("2026-06-01") == {"basic": "2", "renewal": "1"}
    assert next(iter(versions("2026-06-01"))) == "basic", "the first one published stays the first"


# --- periods --------------------------------------------------------------------------------------


def test_calls_quotas_and_adjustments_stand_in_the_stream_of_their_period() -> None:
    quota = payload("quota-set", period="2026-Q2", person="ann", amount=money("9"))
    for asked in (called(), adjusted(), quota):
        given(stream=PERIOD).when(asked).accepted()
        given(stream="period:2026-Q3").when(asked).refused("wrong-stream")


def test_nobody_adjusts_their_own_call() -> None:
    given(stream=PERIOD).when(adjusted(adjuster="ann")).refused("adjuster-is-caller")


def test_an_adjustment_expires_after_it_starts() -> None:
    short = adjusted(expires_at=spelled(NOW))
    given(stream=PERIOD).when(short).refused("ends-before-it-starts")
    before = format_instant(at(NOW) - MICROSECOND)
    given(stream=PERIOD).when(short, occurred_at=before).accepted()


# --- settings -------------------------------------------------------------------------------------


def test_settings_stand_in_the_ledgers_one_stream() -> None:
    asked = payload("reporting-currency-set", currency="EUR")
    given(stream=SETTINGS).when(asked).accepted()
    given(stream="settings:mine").when(asked).refused("wrong-stream")


# --- streams and times ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stream", ["", "deal", "deal:", "Deal:1", "dream:1", "deal:\x00", "deal:\n"]
)
def test_a_stream_is_a_kind_and_an_id(stream: str) -> None:
    given(stream=stream).when(opened()).refused("invalid-stream")


def test_an_id_in_a_stream_is_at_most_200_characters() -> None:
    given(stream="deal:" + "x" * 200).when(opened()).accepted()
    given(stream="deal:" + "x" * 201).when(opened()).refused("invalid-stream")


JUST_AFTER_NOW = format_instant(at(NOW) + MICROSECOND)


AHEAD = sorted(name for name, model in TYPES.items() if model.announceable)


@pytest.mark.parametrize("name", sorted(set(TYPES) - set(AHEAD)))
def test_nothing_happens_after_it_is_known(name: str) -> None:
    example = EXAMPLES[name]
    asked = payload(name, **example.payload)
    given(stream=example.stream).when(asked, occurred_at=JUST_AFTER_NOW).refused(
        "occurred-after-known", where=f"{name}.occurred_at"
    )


@pytest.mark.parametrize("name", AHEAD)
def test_what_is_announced_may_take_effect_later(name: str) -> None:
    example = EXAMPLES[name]
    asked = payload(name, **example.payload)
    check_times(Command(example.stream, asked, "mia", at("2030-01-01"), at(NOW)))


def test_what_happens_as_it_is_known_is_accepted() -> None:
    given().when(opened(), occurred_at=NOW, now=NOW).accepted()


# --- corrections and retractions ------------------------------------------------------------------


def retraction(target: str) -> EventPayload:
    return payload("event-retracted", target=target, reason="Wrong deal")


def correction(target: str, **fields: Any) -> EventPayload:
    return payload("event-corrected", target=target, reason="A typing error", **fields)


NOBODY = "00000000-0000-7000-8000-000000000000"


def test_an_event_of_the_stream_is_retracted_once() -> None:
    scenario = given(opened(), revised(name="Big"))
    scenario.when(retraction(scenario.event_id(2))).accepted()
    scenario.log.record(retraction(scenario.event_id(2)), "2026-02-01")
    scenario.when(retraction(scenario.event_id(2))).refused("already-retracted")
    fix = correction(scenario.event_id(2), payload={"name": "Bigger"})
    scenario.when(fix).refused("already-retracted")


def test_what_is_not_there_is_neither_retracted_nor_corrected() -> None:
    given(opened()).when(retraction(NOBODY)).refused(
        "unknown-event", where="event-retracted.target"
    )
    given(opened()).when(correction(NOBODY, payload={})).refused("unknown-event")


def test_a_retraction_is_undone_by_retracting_it() -> None:
    scenario = given(opened(), revised(name="Big"))
    act = scenario.log.record(retraction(scenario.event_id(2)), "2026-02-01")
    scenario.when(retraction(act["event_id"])).accepted()
    scenario.log.record(retraction(act["event_id"]), "2026-02-02")
    scenario.when(retraction(scenario.event_id(2))).accepted()


def test_an_act_is_retracted_and_never_corrected() -> None:
    scenario = given(opened(), revised(name="Big"))
    act = scenario.log.record(retraction(scenario.event_id(2)), "2026-02-01")
    scenario.when(correction(act["event_id"], payload={"name": "x"})).refused(
        "cannot-correct-an-act"
    )


def test_a_corrected_payload_is_one_of_the_targets_type_in_canonical_form() -> None:
    scenario = given(opened(), revised(name="Big"))
    opening, revision = scenario.event_id(1), scenario.event_id(2)
    scenario.when(correction(revision, payload={"name": None})).then(
        correction(revision, payload={"name": None}, payload_version=1)
    )
    scenario.when(correction(opening, payload={"name": None, "owner": " ann "})).then(
        correction(opening, payload={"owner": "ann"}, payload_version=1)
    )
    scenario.when(correction(opening, payload={"stage": "x"})).refused("unknown-field")
    scenario.when(correction(revision, payload={})).refused("invalid-payload")
    negative = {"amount": money("-1")}
    scenario.when(correction(opening, payload=negative)).refused("negative-amount")


def test_a_corrected_time_lies_before_the_event_became_known() -> None:
    scenario = given(opened(), revised(name="Big"))
    known_at = scenario.log.events[1]["known_at"]
    late = format_instant(at(known_at) + MICROSECOND)
    scenario.when(correction(scenario.event_id(2), occurred_at=known_at)).accepted()
    scenario.when(correction(scenario.event_id(2), occurred_at=late)).refused(
        "occurred-after-known", where="event-corrected.occurred_at"
    )


def test_the_time_of_what_is_announced_may_be_corrected_to_a_later_one() -> None:
    rate = payload("fx-rate-set", currency="EUR", to="USD", rate="1.1")
    scenario = given(rate, stream=SETTINGS)
    late = correction(scenario.event_id(1), occurred_at="2027-01-01T00:00:00Z")
    scenario.when(late).accepted()


def test_corrections_are_decided_alike_in_every_stream() -> None:
    for stream, first in (
        (ACCOUNT, payload("account-opened", name="Acme")),
        (PERSON, joined()),
        (BOOK, published()),
        (PERIOD, called()),
        (SETTINGS, payload("reporting-currency-set", currency="EUR")),
    ):
        scenario = given(first, stream=stream)
        scenario.when(retraction(scenario.event_id(1))).accepted()
        scenario.when(retraction(NOBODY)).refused("unknown-event")
