"""A payload has a limit on everything; what is over it is refused with its code and its place."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ledger.domain.errors import InvalidInput
from ledger.domain.events import TYPES, parse_payload
from tests.unit.golden.examples import EXAMPLES


def refusal(event_type: str, fields: dict[str, Any]) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_payload(event_type, fields)
    return caught.value


def filled(event_type: str, **fields: Any) -> dict[str, Any]:
    """The example of a type, with some fields otherwise."""
    return {**EXAMPLES[event_type].payload, **fields}


TEXT_LIMITS = {
    ("account-opened", "name"): 300, ("account-opened", "parent"): 200,
    ("account-revised", "name"): 300, ("account-revised", "parent"): 200,
    ("buyer-advanced", "reason"): 4000, ("buyer-looped", "reason"): 4000,
    ("buyer-regressed", "reason"): 4000, ("criterion-waived", "reason"): 4000,
    ("deal-closed", "buyer_reason"): 4000, ("deal-closed", "seller_reason"): 4000,
    ("deal-opened", "account"): 200, ("deal-opened", "name"): 300, ("deal-opened", "owner"): 200,
    ("deal-removed", "reason"): 4000, ("deal-reopened", "reason"): 4000,
    ("deal-revised", "account"): 200, ("deal-revised", "name"): 300,
    ("deal-revised", "owner"): 200, ("debrief-held", "reviewer"): 200,
    ("event-corrected", "reason"): 4000, ("event-retracted", "reason"): 4000,
    ("evidence-recorded", "link"): 2000, ("evidence-recorded", "quote"): 4000,
    ("evidence-recorded", "said_by"): 200, ("forecast-adjusted", "adjuster"): 200,
    ("forecast-adjusted", "person"): 200, ("forecast-adjusted", "reason"): 4000,
    ("forecast-called", "note"): 4000, ("forecast-called", "person"): 200,
    ("person-assessed", "assessor"): 200, ("person-assessed", "note"): 4000,
    ("person-joined", "manager"): 200, ("person-joined", "name"): 300,
    ("person-joined", "role"): 120, ("person-joined", "team"): 120,
    ("person-left", "reason"): 4000, ("person-reassigned", "manager"): 200,
    ("person-reassigned", "role"): 120, ("person-reassigned", "team"): 120,
    ("playbook-reviewed", "note"): 4000, ("playbook-reviewed", "reviewer"): 200,
    ("post-mortem-recorded", "finding"): 4000, ("post-mortem-recorded", "lesson"): 4000,
    ("post-mortem-recorded", "reviewer"): 200, ("quota-set", "person"): 200,
    ("stage-claimed", "stage"): 120, ("stakeholder-added", "name"): 300,
    ("stakeholder-added", "reports_to"): 200, ("stakeholder-added", "stakeholder"): 200,
    ("stakeholder-added", "title"): 120, ("stakeholder-changed", "name"): 300,
    ("stakeholder-changed", "reports_to"): 200, ("stakeholder-changed", "stakeholder"): 200,
    ("stakeholder-changed", "title"): 120, ("stakeholder-left", "reason"): 4000,
    ("stakeholder-left", "stakeholder"): 200, ("waiver-revoked", "reason"): 4000,
}  # fmt: skip
"""(type, field) -> how many characters at most. E-mails have a limit and a shape, see below."""

EMAILS = [
    ("person-joined", "email"),
    ("stakeholder-added", "email"),
    ("stakeholder-changed", "email"),
]


def test_every_free_text_of_the_catalogue_has_a_limit() -> None:
    unlimited = []
    for event_type, model in TYPES.items():
        for field in model.model_fields:
            value = EXAMPLES[event_type].payload.get(field)
            if not isinstance(value, str) or (event_type, field) in {*TEXT_LIMITS, *EMAILS}:
                continue
            try:
                parse_payload(event_type, filled(event_type, **{field: "x" * 5000}))
            except InvalidInput:
                continue
            unlimited.append((event_type, field))
    assert unlimited == []


@pytest.mark.parametrize(("where", "limit"), TEXT_LIMITS.items())
def test_a_text_is_at_most_so_long(where: tuple[str, str], limit: int) -> None:
    event_type, field = where
    parse_payload(event_type, filled(event_type, **{field: "ü" * limit}))
    error = refusal(event_type, filled(event_type, **{field: "ü" * (limit + 1)}))
    assert (error.code, error.where) == ("text-too-long", f"{event_type}.{field}")
    assert refusal(event_type, filled(event_type, **{field: ""})).code == "invalid-payload"


@pytest.mark.parametrize(("event_type", "field"), [*TEXT_LIMITS, *EMAILS])
@pytest.mark.parametrize("bad", ["a\x00b@c", "a\x1bb@c", "a\x7fb@c", "a\ud800b@c"], ids=ascii)
def test_no_text_holds_a_control_character_or_half_a_character(
    event_type: str, field: str, bad: str
) -> None:
    error = refusal(event_type, filled(event_type, **{field: bad}))
    assert (error.code, error.where) == ("invalid-payload", f"{event_type}.{field}")


def test_a_text_may_have_lines_and_tabs() -> None:
    fields = filled("evidence-recorded", quote="One\r\n\ttwo")
    assert parse_payload("evidence-recorded", fields).to_json()["quote"] == "One\r\n\ttwo"


def test_names_and_ids_lose_their_outer_blanks() -> None:
    spelled = parse_payload("deal-opened", {"name": "  Big deal ", "owner": " ann\n"}).to_json()
    assert spelled == {"name": "Big deal", "owner": "ann"}
    assert refusal("deal-opened", {"name": "   "}).code == "invalid-payload"


@pytest.mark.parametrize(("event_type", "field"), EMAILS)
@pytest.mark.parametrize(
    ("email", "code"),
    [
        ("x" * 250 + "@a.b", None),
        ("x" * 251 + "@a.b", "text-too-long"),
        ("nobody", "invalid-payload"),
        ("a b@c.d", "invalid-payload"),
        ("a@b@c.d", "invalid-payload"),
        ("@", "invalid-payload"),
    ],
)
def test_an_email_has_one_at_sign_no_blanks_and_254_characters(
    event_type: str, field: str, email: str, code: str | None
) -> None:
    fields = filled(event_type, **{field: email})
    if code is None:
        assert parse_payload(event_type, fields).to_json()[field] == email
    else:
        assert refusal(event_type, fields).code == code


# --- money ----------------------------------------------------------------------------------------

MONEY_FIELDS = [
    ("deal-opened", "amount"),
    ("deal-revised", "amount"),
    ("forecast-called", "amount"),
    ("forecast-adjusted", "override"),
    ("quota-set", "amount"),
]
BAD_AMOUNTS = [
    ("-0.01", "negative-amount"),
    (-1, "negative-amount"),
    (0.1, "money-as-float"),
    (float("nan"), "money-as-float"),
    ("NaN", "invalid-amount"),
    ("sNaN", "invalid-amount"),
    ("Infinity", "invalid-amount"),
    ("-inf", "invalid-amount"),
    ("", "invalid-amount"),
    ("12,50", "invalid-amount"),
    ("1_000", "invalid-amount"),
    ("\u0663", "invalid-amount"),
    (True, "invalid-amount"),
    ([1], "invalid-amount"),
    ("1000000000000000", "amount-too-large"),
    ("1e999999", "amount-too-large"),
    ("0.0000001", "amount-too-large"),
    ("1e-7", "amount-too-large"),
]


@pytest.mark.parametrize(("event_type", "field"), MONEY_FIELDS)
@pytest.mark.parametrize(("amount", "code"), BAD_AMOUNTS)
def test_an_amount_is_a_decimal_that_is_not_negative(
    event_type: str, field: str, amount: object, code: str
) -> None:
    money = {"amount": amount, "currency": "USD"}
    error = refusal(event_type, filled(event_type, **{field: money}))
    assert (error.code, error.where) == (code, f"{event_type}.{field}.amount")


@pytest.mark.parametrize(("event_type", "field"), MONEY_FIELDS)
@pytest.mark.parametrize("currency", ["usd", "BTC", "", "US", "XXX", "XAU", "DEM", "USDX"])
def test_a_currency_is_one_that_is_paid_in(event_type: str, field: str, currency: str) -> None:
    money = {"amount": "1", "currency": currency}
    error = refusal(event_type, filled(event_type, **{field: money}))
    assert (error.code, error.where) == ("unknown-currency", f"{event_type}.{field}.currency")


@pytest.mark.parametrize(
    ("given", "spelled"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("0E+50", "0"),
        ("+5", "5"),
        ("1E+5", "100000"),
        ("120000.50", "120000.50"),
        ("1.000000", "1.000000"),
        (7, "7"),
        ("999999999999999", "999999999999999"),
    ],
)
def test_an_amount_is_written_plainly(given: object, spelled: str) -> None:
    money = {"amount": given, "currency": "USD"}
    assert parse_payload("deal-opened", {"amount": money}).to_json() == {
        "amount": {"amount": spelled, "currency": "USD"}
    }


# --- everything else ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event_type", "fields", "code"),
    [
        ("deal-opened", {"close_date": "31/03/2026"}, "invalid-date"),
        ("deal-opened", {"close_date": "2026-02-30"}, "invalid-date"),
        ("deal-opened", {"close_date": "20260331"}, "invalid-date"),
        ("deal-opened", {"playbook": "Not A Key"}, "invalid-payload"),
        ("deal-opened", {"playbook": "k" * 65}, "invalid-payload"),
        ("deal-opened", {"products": ["x"] * 51}, "too-many-parts"),
        ("deal-opened", {"products": ["x" * 301]}, "text-too-long"),
        ("deal-opened", {"dimensions": {f"d{n}": "x" for n in range(33)}}, "too-many-parts"),
        ("deal-opened", {"dimensions": {"segment": "x" * 121}}, "text-too-long"),
        ("deal-opened", {"dimensions": {"Segment": "x"}}, "invalid-payload"),
        ("deal-opened", {"dimensions": {"segment": None}}, "invalid-payload"),
        ("stage-claimed", {"stage": "x", "probability": 101}, "invalid-payload"),
        ("stage-claimed", {"stage": "x", "probability": -1}, "invalid-payload"),
        ("stage-claimed", {"stage": "x", "probability": 50.5}, "invalid-payload"),
        ("stage-claimed", {"stage": "x", "probability": "50"}, "invalid-payload"),
        ("stage-claimed", {"stage": "x", "probability": True}, "invalid-payload"),
        ("category-claimed", {"category": "sure"}, "unknown-value"),
        ("deal-closed", {"outcome": "open"}, "unknown-value"),
        ("debrief-held", {"reviewer": "m", "meetings_before": 10_001}, "invalid-payload"),
        ("debrief-held", {"reviewer": "m", "meetings_before": -1}, "invalid-payload"),
        ("event-retracted", {"target": "not-a-uuid", "reason": "x"}, "invalid-payload"),
        ("fiscal-calendar-set", {"start_month": 0}, "invalid-payload"),
        ("fiscal-calendar-set", {"start_month": 13}, "invalid-payload"),
        ("fiscal-calendar-set", {"start_month": 1, "time_zone": "Mars"}, "unknown-time-zone"),
        ("fiscal-calendar-set", {"start_month": 1, "named_by": "luck"}, "unknown-value"),
        ("reporting-currency-set", {"currency": "BTC"}, "unknown-currency"),
    ],
)  # fmt: skip
def test_what_is_out_of_bounds_is_refused(
    event_type: str, fields: dict[str, Any], code: str
) -> None:
    assert refusal(event_type, fields).code == code


@pytest.mark.parametrize(
    ("event_type", "changed"),
    [
        ("evidence-recorded", {"stance": "likes"}),
        ("evidence-recorded", {"source_kind": "dream"}),
        ("stakeholder-added", {"seniority": "boss"}),
        ("person-assessed", {"aspect": "charm"}),
        ("forecast-called", {"category": "closed"}),
    ],
)
def test_a_word_of_a_list_is_one_of_them(event_type: str, changed: dict[str, Any]) -> None:
    assert refusal(event_type, filled(event_type, **changed)).code == "unknown-value"


@pytest.mark.parametrize(
    ("event_type", "changed"),
    [
        ("person-assessed", {"score": 0}),
        ("person-assessed", {"score": 6}),
        ("evidence-recorded", {"sha256": "F" * 64}),
        ("evidence-recorded", {"sha256": "f" * 63}),
        ("debrief-held", {"answers": [{"criterion": "a", "answer": "no_answer"}] * 101}),
        ("forecast-called", {"period": "2026-Q5"}),
        ("forecast-called", {"period": "2026-13"}),
        ("forecast-called", {"period": "2026-Q1\n"}),
        ("forecast-adjusted", {"override": None, "haircut_percent": None}),
        ("forecast-adjusted", {"haircut_percent": 10}),
        ("forecast-adjusted", {"expires_at": "2026-07-01T00:00:00"}),
        ("forecast-adjusted", {"expires_at": "0001-01-01T00:00:00+14:00"}),
        ("fx-rate-set", {"to": "EUR"}),
        ("fx-rate-set", {"rate": "0"}),
        ("fx-rate-set", {"rate": "-1"}),
        ("fx-rate-set", {"rate": "NaN"}),
        ("fx-rate-set", {"rate": "1000000001"}),
        ("fx-rate-set", {"rate": "0.1234567890123"}),
        ("event-corrected", {"payload": None, "occurred_at": None}),
    ],
)
def test_what_makes_no_sense_is_refused(event_type: str, changed: dict[str, Any]) -> None:
    code = refusal(event_type, filled(event_type, **changed)).code
    assert code in {"invalid-payload", "invalid-instant", "invalid-rate", "too-many-parts"}


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_a_field_that_is_not_in_the_catalogue_is_refused(event_type: str) -> None:
    error = refusal(event_type, filled(event_type, mood="good"))
    assert (error.code, error.where) == ("unknown-field", f"{event_type}.mood")


@pytest.mark.parametrize("event_type", sorted(TYPES))
def test_a_payload_never_changes(event_type: str) -> None:
    made = parse_payload(event_type, EXAMPLES[event_type].payload)
    field = next(iter(type(made).model_fields))
    with pytest.raises(ValidationError):
        setattr(made, field, None)


@pytest.mark.parametrize(
    ("event_type", "fields"),
    [
        ("deal-revised", {}),
        ("account-revised", {}),
        ("person-reassigned", {}),
        ("stakeholder-changed", {"stakeholder": "zoe"}),
    ],
)
def test_a_revision_names_something_that_changes(event_type: str, fields: dict[str, Any]) -> None:
    assert refusal(event_type, fields).code == "invalid-payload"


def test_absent_and_null_differ_in_a_revision_and_nowhere_else() -> None:
    assert parse_payload("deal-revised", {"name": None}).to_json() == {"name": None}
    assert parse_payload("deal-opened", {"name": None}).to_json() == {}


def test_a_fault_names_the_first_place_and_counts_the_others() -> None:
    error = refusal("stage-claimed", {"stage": "", "probability": 200})
    assert error.where == "stage-claimed.stage"
    assert "(and 1 more)" in error.message
