"""People, accounts, settings and calls at a basis."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.money import Money, conversion_rate
from projections.fold.calls import Call, calls_at
from projections.fold.people import Account, Person, accounts_at, people_at
from projections.fold.settings import LedgerSettings, settings_at
from tests.unit.domain.builders import Log, basis_of, money, payload, spelled

ANN, BEN, ACME = "person:ann", "person:ben", "account:acme"
SETTINGS, PERIOD = "settings:ledger", "period:2026-Q1"


# --- people and accounts --------------------------------------------------------------------------


def test_a_persons_manager_and_team_are_those_of_the_time() -> None:
    log = Log()
    joined = payload("person-joined", name="Ann", role="AE", manager="mia", team="North")
    log.record(joined, "2026-01-01", stream=ANN)
    log.record(payload("person-joined", name="Ben"), "2026-01-01", stream=BEN)
    moved = payload("person-reassigned", team="South", manager=None)
    log.record(moved, "2026-03-01", recorded_at="2026-02-01", stream=ANN)
    log.record(payload("person-left"), "2026-05-01", stream=ANN)

    def ann(day: str) -> Person:
        return people_at(log.events, spelled(day))["ann"]

    assert ann("2026-02-28") == Person("ann", "Ann", "AE", "mia", "North")
    assert ann("2026-03-01") == Person("ann", "Ann", "AE", None, "South")
    assert ann("2026-05-01") == Person("ann", "Ann", "AE", None, "South", left=True)
    assert people_at(log.events, spelled("2025-12-31")) == {}
    assert people_at(log.events, spelled("2026-01-01"))["ben"] == Person("ben", "Ben")


def test_a_person_who_comes_back_has_not_left() -> None:
    log = Log()
    for day, each in enumerate(("person-joined", "person-left", "person-joined"), 1):
        fields = {"name": "Ann"} if each == "person-joined" else {}
        log.record(payload(each, **fields), f"2026-01-0{day}", stream=ANN)
    assert people_at(log.events, spelled("2026-01-02"))["ann"].left
    assert not people_at(log.events, spelled("2026-01-03"))["ann"].left


def test_an_assessment_changes_nothing_in_the_chart() -> None:
    log = Log()
    log.record(payload("person-joined", name="Ann"), "2026-01-01", stream=ANN)
    log.record(payload("person-left"), "2026-01-02", stream=ANN)
    assessed = payload("person-assessed", aspect="urgency", score=2, assessor="mia")
    log.record(assessed, "2026-01-03", stream=ANN)
    assert people_at(log.events, spelled("2026-02-01"))["ann"].left


def test_an_account_is_known_by_its_last_name_with_dimensions_merged() -> None:
    log = Log()
    first = payload("account-opened", name="Acme", parent="top", dimensions={"segment": "mid"})
    log.record(first, "2026-01-01", stream=ACME)
    second = payload("account-revised", parent=None, dimensions={"industry": "steel"})
    log.record(second, "2026-02-01", stream=ACME)
    third = payload("account-revised", name="Acme AG", dimensions={"segment": None})
    log.record(third, "2026-03-01", stream=ACME)
    assert accounts_at(log.events, spelled("2026-02-01"))["acme"] == Account(
        "acme", "Acme", None, {"segment": "mid", "industry": "steel"}
    )
    assert accounts_at(log.events, spelled("2026-03-01"))["acme"] == Account(
        "acme", "Acme AG", None, {"industry": "steel"}
    )


# --- settings -------------------------------------------------------------------------------------


def test_until_set_the_year_is_the_calendars_and_the_currency_the_first_deals() -> None:
    assert settings_at([], spelled("2026-01-01"), first_currency="EUR") == LedgerSettings(
        FiscalCalendar(1, "start", "UTC"), "EUR", {}
    )
    assert settings_at([], spelled("2026-01-01"), first_currency=None).reporting_currency is None


def test_what_is_set_last_and_in_effect_holds() -> None:
    log = Log()

    def record(event_type: str, day: str, **fields: Any) -> None:
        log.record(payload(event_type, **fields), day, recorded_at="2026-01-01", stream=SETTINGS)

    record("fiscal-calendar-set", "2026-01-01", start_month=2, named_by="end")
    record("fiscal-calendar-set", "2026-06-01", start_month=7, time_zone="Europe/Berlin")
    record("reporting-currency-set", "2025-06-01", currency="EUR")
    record("fx-rate-set", "2026-01-01", currency="USD", to="EUR", rate="0.9")
    record("fx-rate-set", "2026-02-01", currency="USD", to="EUR", rate="0.8")

    may = settings_at(log.events, spelled("2026-05-31"), first_currency="USD")
    june = settings_at(log.events, spelled("2026-06-01"), first_currency="USD")
    assert may.calendar == FiscalCalendar(2, "end", "UTC")
    assert june.calendar == FiscalCalendar(7, "start", "Europe/Berlin")
    assert may.reporting_currency == "EUR"
    january = settings_at(log.events, spelled("2026-01-31"), first_currency=None)
    assert january.rates == {("USD", "EUR"): Decimal("0.9")}
    assert may.rates == {("USD", "EUR"): Decimal("0.8")}


def test_a_rate_set_the_other_way_round_replaces_the_older_one() -> None:
    log = Log()
    for day, pair, rate in (("2026-01-01", "USD EUR", "0.9"), ("2026-02-01", "EUR USD", "1.25")):
        currency, to = pair.split()
        log.record(
            payload("fx-rate-set", currency=currency, to=to, rate=rate), day, stream=SETTINGS
        )
    rates = settings_at(log.events, spelled("2026-03-01"), first_currency=None).rates
    assert conversion_rate("USD", "EUR", rates) == Decimal("0.8")


# --- calls ----------------------------------------------------------------------------------------


def called(amount: str, person: str = "ann", category: str = "commit") -> Any:
    return payload(
        "forecast-called",
        period="2026-Q1",
        person=person,
        category=category,
        amount=money(amount),
    )


def adjusted(expires_at: str = "2026-04-01", **fields: Any) -> Any:
    return payload(
        "forecast-adjusted",
        period="2026-Q1",
        person="ann",
        category="commit",
        adjuster="mia",
        reason="x",
        expires_at=spelled(expires_at),
        **fields,
    )


def calls(*dated: tuple[str, Any], valid_at: str = "2026-03-01") -> list[Call]:
    log = Log()
    for day, each in dated:
        log.record(each, day, stream=PERIOD)
    return calls_at(log.visible(basis_of(valid_at, "2030-01-01")), spelled(valid_at))


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def test_the_last_call_is_the_call_and_without_adjustment_it_stands() -> None:
    (call,) = calls(("2026-01-01", called("100")), ("2026-01-02", called("80")))
    assert call == Call("ann", "commit", usd("80"), usd("80"), 2, None)


def test_calls_are_of_a_person_and_a_category_in_that_order() -> None:
    found = calls(
        ("2026-01-01", called("1", "ben")),
        ("2026-01-01", called("2", "ann", "commit")),
        ("2026-01-01", called("3", "ann", "best_case")),
    )
    assert [(call.person, call.category) for call in found] == [
        ("ann", "best_case"),
        ("ann", "commit"),
        ("ben", "commit"),
    ]


def test_an_override_replaces_the_call_and_a_haircut_cuts_it() -> None:
    first = ("2026-01-01", called("100.01"))
    (over,) = calls(first, ("2026-01-02", adjusted(override=money("7", "EUR"))))
    (cut,) = calls(first, ("2026-01-02", adjusted(haircut_percent=50)))
    (all_of_it,) = calls(first, ("2026-01-02", adjusted(haircut_percent=100)))
    assert (over.called, over.adjusted) == (usd("100.01"), Money(Decimal(7), "EUR"))
    assert (cut.adjusted, cut.called_by, cut.adjusted_by) == (usd("50.005"), 1, 2)
    assert all_of_it.adjusted == usd("0")


def test_a_haircut_also_cuts_a_later_call() -> None:
    (call,) = calls(
        ("2026-01-01", called("100")),
        ("2026-01-02", adjusted(haircut_percent=25)),
        ("2026-01-03", called("200")),
    )
    assert call.adjusted == usd("150")


@pytest.mark.parametrize(
    ("valid_at", "amount"),
    [
        ("2026-02-01T11:59:59.999999Z", "100"),
        ("2026-02-01T12:00:00Z", "50"),
        ("2026-02-20T11:59:59.999999Z", "50"),
        ("2026-02-20T12:00:00Z", "100"),
    ],
)
def test_an_adjustment_holds_from_its_start_until_it_expires_to_the_microsecond(
    valid_at: str, amount: str
) -> None:
    (call,) = calls(
        ("2026-01-01", called("100")),
        ("2026-02-01", adjusted("2026-02-20", haircut_percent=50)),
        valid_at=valid_at,
    )
    assert call.adjusted == usd(amount)


def test_when_a_passing_adjustment_expires_the_one_before_it_holds_again() -> None:
    dated = (
        ("2026-01-01", called("100")),
        ("2026-01-02", adjusted("2026-04-01", haircut_percent=50)),
        ("2026-01-03", adjusted("2026-02-01", override=money("1"))),
    )
    assert [call.adjusted for call in calls(*dated, valid_at="2026-01-31")] == [usd("1")]
    assert [call.adjusted for call in calls(*dated, valid_at="2026-02-01")] == [usd("50")]


def test_a_haircut_of_a_call_that_was_never_made_is_nothing_and_an_override_is_its_amount() -> None:
    (cut,) = calls(("2026-01-02", adjusted(haircut_percent=50)))
    assert cut._replace(steps=()) == Call("ann", "commit", None, None, None, 1)
    (over,) = calls(("2026-01-02", adjusted(override=money("5"))))
    assert over._replace(steps=()) == Call("ann", "commit", None, usd("5"), None, 1)
    assert calls(("2026-01-02", adjusted("2026-02-01", haircut_percent=50))) == []


def test_a_quota_is_not_a_call() -> None:
    quota = payload("quota-set", period="2026-Q1", person="ann", amount=money("5"))
    assert calls(("2026-01-01", quota)) == []
