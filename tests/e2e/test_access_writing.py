"""What each role writes over GraphQL: every command, by whose deal or person it is about."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from api.access.policy import WRITES
from api.graphql.commands import COMMANDS
from ledger.domain.events import TYPES
from tests.e2e.asking import TOML, USD, YES
from tests.e2e.sales_force import ROLES, House

FAR = "2099-01-01T00:00:00Z"
WRITERS = ["ann", "mia", "zoe", "una", "otto", "imp", "ada"]
"""Today zoe is the manager of ann and cleo, and mia of bob."""

_numbers = itertools.count(1)


ON_DEALS: dict[str, dict[str, Any]] = {
    "reviseDeal": {"name": "New"},
    "claimStage": {"stage": "5"},
    "claimCategory": {"category": "COMMIT"},
    "recordEvidence": {"criterion": "fit_confirmed", **YES},
    "addStakeholder": {"stakeholder": "zed", "name": "Zed"},
    "changeStakeholder": {"stakeholder": "eve", "title": "VP"},
    "stakeholderLeft": {"stakeholder": "eve"},
    "declareBuyerAdvanced": {"gate": "awareness"},
    "declareBuyerRegressed": {"gate": "awareness"},
    "declareBuyerLooped": {"fromGate": "decision", "toGate": "problem"},
    "closeDeal": {"outcome": "LOST"},
}
"""Command -> what it says besides the deal: of an owner and their superiors."""

BY_MANAGERS: dict[str, dict[str, Any]] = {
    "waiveCriterion": {"criterion": "fit_confirmed", "reason": "x", "endsAt": FAR},
    "removeDeal": {},
}
"""The same, of superiors alone."""


def fresh_deal(house: House, owner: str) -> str:
    """A deal of somebody, with somebody at the buyer; an admin opened it."""
    deal = f"d{next(_numbers)}"
    admin = house.as_("ada")
    admin.recorded("openDeal", deal=deal, owner=owner)
    admin.recorded("addStakeholder", deal=deal, stakeholder="eve", name="Eve")
    return deal


def became(house: House, who: str, mutation: str, **given: Any) -> str:
    """`Recorded`, or the code of the refusal."""
    done = house.as_(who).command(mutation, **given)
    return str(done["code"] if done["__typename"] == "Rejected" else "Recorded")


def expected(who: str, owner: str, *, by_managers: bool) -> str:
    role = ROLES[who]
    if role in {"analyst", "auditor", "importer"} or (role == "rep" and by_managers):
        return "forbidden"
    seen = {"ann": {"ann"}, "mia": {"mia", "bob"}, "zoe": {"zoe", "ann", "cleo"}}.get(who)
    return "Recorded" if seen is None or owner in seen else "unknown-deal"


@pytest.mark.parametrize("owner", ["ann", "bob", "cleo"])
@pytest.mark.parametrize("who", WRITERS)
def test_deals_are_written_by_owners_and_their_superiors(
    house: House, who: str, owner: str
) -> None:
    for mutation, given in ON_DEALS.items():
        deal = fresh_deal(house, owner)
        found = became(house, who, mutation, deal=deal, **given)
        assert found == expected(who, owner, by_managers=False), mutation
    for mutation, given in BY_MANAGERS.items():
        deal = fresh_deal(house, owner)
        found = became(house, who, mutation, deal=deal, **given)
        assert found == expected(who, owner, by_managers=True), mutation


@pytest.mark.parametrize("who", ["ann", "mia", "zoe"])
def test_a_deal_out_of_scope_is_refused_in_the_words_for_one_that_is_not_there(
    house: House, who: str
) -> None:
    owner = "cleo" if who != "zoe" else "bob"
    for mutation, given in (ON_DEALS | BY_MANAGERS).items():
        hidden = house.as_(who).command(mutation, deal=fresh_deal(house, owner), **given)
        missing = house.as_(who).command(mutation, deal="no-such", **given)
        assert hidden == missing, mutation


def test_every_event_type_has_its_writers_decided_on() -> None:
    assert set(WRITES) == set(TYPES) - {"event-retracted", "event-corrected"}


def test_the_actor_is_whose_token_it_is_never_what_the_request_says(house: House) -> None:
    deal = fresh_deal(house, "ann")
    recorded = house.as_("ann").recorded("claimStage", deal=deal, stage="5")
    event = house.ledger.stream(f"deal:{deal}")[-1]
    assert (event["event_id"], event["actor"]) == (recorded["eventId"], "ann")
    house.as_("ann").recorded("claimStage", deal=deal, stage="6", actor="ann")
    refused = house.as_("ann").rejected("claimStage", deal=deal, stage="7", actor="zoe")
    assert (refused["code"], refused["where"]) == ("forbidden", "input.actor")


def test_a_retry_is_the_same_event_also_when_the_deal_was_given_away(house: House) -> None:
    deal = fresh_deal(house, "ann")
    event = {"eventId": "019d3000-0000-7000-8000-00000000aaaa", "deal": deal, "stage": "5"}
    first = house.as_("ann").recorded("claimStage", **event)
    house.as_("zoe").recorded("reviseDeal", deal=deal, owner="cleo")
    again = house.as_("ann").recorded("claimStage", **event)
    assert again == {**first, "added": False}
    assert became(house, "ann", "claimStage", deal=deal, stage="6") == "unknown-deal"


# --- who owns it --------------------------------------------------------------------------------


def test_reps_open_deals_of_their_own_and_managers_those_of_their_team(house: House) -> None:
    for who, owner, outcome in (
        ("ann", "ann", "Recorded"),
        ("ann", "bob", "forbidden"),
        ("ann", None, "forbidden"),
        ("zoe", "ann", "Recorded"),
        ("zoe", "bob", "forbidden"),
        ("ada", None, "Recorded"),
    ):
        deal = f"o{next(_numbers)}"
        assert became(house, who, "openDeal", deal=deal, owner=owner) == outcome, (who, owner)


def test_a_deal_is_given_away_by_managers_within_their_team(house: House) -> None:
    deal = fresh_deal(house, "ann")
    assert became(house, "ann", "reviseDeal", deal=deal, owner="cleo") == "forbidden"
    assert became(house, "ann", "reviseDeal", deal=deal, owner=None) == "forbidden"
    assert became(house, "ann", "reviseDeal", deal=deal, owner="ann", name="N") == "Recorded"
    assert became(house, "zoe", "reviseDeal", deal=deal, owner="bob") == "forbidden"
    assert became(house, "zoe", "reviseDeal", deal=deal, owner="cleo") == "Recorded"
    assert became(house, "ann", "reviseDeal", deal=deal, name="M") == "unknown-deal"


def test_nobody_makes_a_deal_their_own_in_the_past(house: House) -> None:
    house.as_("ada").recorded("openDeal", deal="past", owner="bob",
                              occurredAt="2026-01-01T00:00:00Z")  # fmt: skip
    house.as_("ada").recorded("reviseDeal", deal="past", owner="ann",
                              occurredAt="2026-01-05T00:00:00Z")  # fmt: skip
    back = {"deal": "past", "owner": "ann", "occurredAt": "2026-01-02T00:00:00Z"}
    assert became(house, "ann", "reviseDeal", **back) == "forbidden"


def test_a_deal_of_somebody_else_cannot_be_opened_again(house: House) -> None:
    deal = fresh_deal(house, "bob")
    assert became(house, "ann", "openDeal", deal=deal, owner="ann") == "deal-already-opened"


# --- who acts -----------------------------------------------------------------------------------


def test_debriefs_waivers_and_post_mortems_name_who_asks(house: House) -> None:
    deal = fresh_deal(house, "ann")
    debrief = {"deal": deal, "answers": [{"criterion": "fit_confirmed"}]}
    assert became(house, "ann", "holdDebrief", reviewer="zoe", **debrief) == "forbidden"
    assert became(house, "zoe", "holdDebrief", reviewer="vp", **debrief) == "forbidden"
    assert became(house, "mia", "holdDebrief", reviewer="mia", **debrief) == "unknown-deal"
    assert became(house, "zoe", "holdDebrief", reviewer="zoe", **debrief) == "Recorded"
    own = fresh_deal(house, "zoe")
    waiver = {"criterion": "fit_confirmed", "reason": "x", "endsAt": FAR}
    assert became(house, "zoe", "waiveCriterion", deal=own, **waiver) == "waiver-by-owner"
    assert became(house, "vp", "waiveCriterion", deal=own, **waiver) == "Recorded"
    assert became(house, "ann", "revokeWaiver", deal=deal, criterion="fit_confirmed",
                  reason="x") == "forbidden"  # fmt: skip
    assert became(house, "vp", "revokeWaiver", deal=own, criterion="fit_confirmed",
                  reason="x") == "Recorded"  # fmt: skip
    house.as_("ann").recorded("closeDeal", deal=deal, outcome="LOST")
    assert became(house, "ann", "recordPostMortem", deal=deal, reviewer="zoe",
                  finding="x") == "forbidden"  # fmt: skip
    assert became(house, "ann", "recordPostMortem", deal=deal, reviewer="ann",
                  finding="x") == "Recorded"  # fmt: skip
    assert became(house, "ann", "reopenDeal", deal=deal) == "Recorded"


def test_calls_are_made_for_oneself_and_adjusted_for_people_below(house: House) -> None:
    call = {"period": "2026-Q4", "category": "COMMIT", "amount": USD}
    for who, person, outcome in (
        ("ann", "ann", "Recorded"),
        ("ann", "bob", "forbidden"),
        ("zoe", "zoe", "Recorded"),
        ("zoe", "ann", "forbidden"),
        ("ada", "bob", "Recorded"),
        ("otto", "otto", "forbidden"),
    ):
        assert became(house, who, "callForecast", person=person, **call) == outcome, (who, person)
    cut = {"period": "2026-Q4", "category": "COMMIT", "haircutPercent": 50, "reason": "x",
           "expiresAt": FAR}  # fmt: skip
    for who, person, adjuster, outcome in (
        ("ann", "bob", "ann", "forbidden"),
        ("zoe", "ann", "zoe", "Recorded"),
        ("zoe", "ann", "vp", "forbidden"),
        ("zoe", "bob", "zoe", "forbidden"),
        ("vp", "ann", "vp", "Recorded"),
        ("vp", "zoe", "vp", "Recorded"),
    ):
        given = {"person": person, "adjuster": adjuster, **cut}
        assert became(house, who, "adjustForecast", **given) == outcome, (who, person)


def test_people_are_assessed_by_those_above_them(house: House) -> None:
    for who, person, assessor, outcome in (
        ("ann", "cleo", "ann", "forbidden"),
        ("zoe", "ann", "zoe", "Recorded"),
        ("zoe", "ann", "vp", "forbidden"),
        ("zoe", "bob", "zoe", "forbidden"),
        ("zoe", "zoe", "zoe", "forbidden"),
        ("vp", "ann", "vp", "Recorded"),
        ("ada", "bob", "mia", "Recorded"),
    ):
        given = {"person": person, "assessor": assessor, "aspect": "URGENCY", "score": 3}
        assert became(house, who, "assessPerson", **given) == outcome, (who, person)


def test_accounts_are_written_by_who_has_a_deal_of_theirs(house: House) -> None:
    fact = {"criterion": "symptom_in_their_words", **YES}
    assert became(house, "ann", "recordAccountEvidence", account="acme", **fact) == "Recorded"
    assert became(house, "zoe", "reviseAccount", account="acme", name="Acme 2") == "Recorded"
    hidden = house.as_("mia").command("reviseAccount", account="acme", name="Acme 3")
    missing = house.as_("mia").command("reviseAccount", account="no-such", name="Acme 3")
    assert hidden == missing
    assert hidden["code"] == "unknown-account"
    assert became(house, "ann", "openAccount", account="new", name="New") == "Recorded"
    assert became(house, "ann", "reviseAccount", account="new", name="Newer") == "Recorded"
    assert became(house, "otto", "openAccount", account="new2", name="New") == "forbidden"


OF_ADMINS: dict[str, dict[str, Any]] = {
    "joinPerson": {"person": "new", "name": "New"},
    "reassignPerson": {"person": "bob", "team": "East"},
    "publishPlaybook": {"toml": TOML.replace('version = "', 'version = "9', 1)},
    "reviewPlaybook": {"playbook": "buyers_journey", "reviewer": "ada"},
    "setQuota": {"period": "2026-Q4", "person": "ann", "amount": USD},
    "setFxRate": {"currency": "EUR", "to": "USD", "rate": "1.1"},
    "setFiscalCalendar": {"startMonth": 1},
    "setReportingCurrency": {"currency": "USD"},
    "personLeft": {"person": "bob"},
}


@pytest.mark.parametrize("mutation", OF_ADMINS)
def test_people_playbooks_quotas_and_settings_are_for_an_admin(house: House, mutation: str) -> None:
    for who in WRITERS:
        outcome = "Recorded" if who == "ada" else "forbidden"
        assert became(house, who, mutation, **OF_ADMINS[mutation]) == outcome, who


def test_every_command_is_tried_here() -> None:
    tried = {
        *ON_DEALS, *BY_MANAGERS, *OF_ADMINS, "openDeal", "holdDebrief", "revokeWaiver",
        "recordPostMortem", "reopenDeal", "openAccount", "reviseAccount", "recordAccountEvidence",
        "callForecast", "adjustForecast", "assessPerson", "retractEvent", "correctEvent",
    }  # fmt: skip
    assert {command.mutation for command in COMMANDS} == tried


# --- corrections and retractions ----------------------------------------------------------------


def test_a_rep_takes_back_what_they_said_and_nothing_else(house: House) -> None:
    deal = fresh_deal(house, "ann")
    fact = {"deal": deal, "criterion": "fit_confirmed", **YES}
    own = house.as_("ann").recorded("recordEvidence", **fact)["eventId"]
    of_zoe = house.as_("zoe").recorded("recordEvidence", **fact)["eventId"]
    better = {"payload": {"criterion": "fit_confirmed", "stance": "contradicts",
                          "source_kind": "call"}}  # fmt: skip
    assert became(house, "ann", "correctEvent", target=own, reason="x", **better) == "Recorded"
    assert became(house, "ann", "correctEvent", target=of_zoe, reason="x", **better) == "forbidden"
    assert became(house, "ann", "retractEvent", target=of_zoe, reason="x") == "forbidden"
    assert became(house, "zoe", "retractEvent", target=of_zoe, reason="x") == "Recorded"
    assert became(house, "otto", "retractEvent", target=own, reason="x") == "forbidden"


def test_an_event_out_of_scope_is_refused_in_the_words_for_one_that_is_not_there(
    house: House,
) -> None:
    deal = fresh_deal(house, "cleo")
    admin = house.as_("ada")
    hidden = [
        admin.recorded("claimStage", deal=deal, stage="5")["eventId"],
        admin.recorded("callForecast", period="2027-Q1", person="cleo", category="COMMIT",
                       amount=USD)["eventId"],
        admin.recorded("assessPerson", person="cleo", assessor="zoe", aspect="BUY_IN",
                       score=1)["eventId"],
    ]  # fmt: skip
    missing = "019d3000-0000-7000-8000-00000000bbbb"
    for target in hidden:
        for mutation, given in (
            ("retractEvent", {}),
            ("correctEvent", {"occurredAt": "2026-01-01T00:00:00Z"}),
        ):
            for who in ("ann", "mia"):
                client = house.as_(who)
                told = client.command(mutation, target=target, reason="x", **given)
                other = client.command(mutation, target=missing, reason="x", **given)
                assert told == {**other, "message": other["message"].replace(missing, target)}


def test_a_correction_is_judged_as_what_is_to_stand_instead(house: House) -> None:
    deal = f"o{next(_numbers)}"
    opening = house.as_("ann").recorded("openDeal", deal=deal, owner="ann")["eventId"]
    given_away = {"target": opening, "reason": "x", "payload": {"owner": "bob"}}
    assert became(house, "ann", "correctEvent", **given_away) == "forbidden"
    assert became(house, "ann", "retractEvent", target=opening, reason="x") == "forbidden"
    call = {"period": "2027-Q2", "person": "ann", "category": "commit", "amount": USD}
    called = house.as_("ann").recorded("callForecast", **{**call, "category": "COMMIT"})["eventId"]
    of_bob = {"target": called, "reason": "x", "payload": {**call, "person": "bob"}}
    assert became(house, "ann", "correctEvent", **of_bob) == "forbidden"
    raised = {**call, "amount": {"amount": "1300.00", "currency": "USD"}}
    assert became(house, "ann", "correctEvent", target=called, reason="x",
                  payload=raised) == "Recorded"  # fmt: skip
    assert became(house, "zoe", "retractEvent", target=called, reason="x") == "forbidden"


def test_a_waiver_is_taken_back_by_a_manager_alone(house: House) -> None:
    deal = fresh_deal(house, "ann")
    waiver = house.as_("zoe").recorded(
        "waiveCriterion", deal=deal, criterion="fit_confirmed", reason="x", endsAt=FAR
    )["eventId"]
    assert became(house, "ann", "retractEvent", target=waiver, reason="x") == "forbidden"
    assert became(house, "zoe", "retractEvent", target=waiver, reason="x") == "Recorded"
