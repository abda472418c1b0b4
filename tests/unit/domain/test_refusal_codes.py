"""Every stable error code of the domain can be met, and each is met here at least once."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ledger.domain import events
from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.envelope import prepare
from ledger.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    QledgerError,
    Refused,
    Unavailable,
)
from ledger.domain.events import Draft, EventCorrected, Source, parse_payload, upcast
from ledger.domain.ids import event_id_of
from ledger.domain.json_text import parse_object
from ledger.domain.money import parse_amount
from ledger.domain.playbook import parse_playbook
from ledger.domain.streams import decide
from ledger.domain.times import parse_as_of, parse_date, parse_instant, zone
from tests.unit.domain import builders
from tests.unit.domain.builders import PLAYBOOK, given, money, opened, payload, revised

DOMAIN = Path(events.__file__).parent
ERRORS = {"QledgerError", "InvalidInput", "Refused", "Conflict", "NotFound", "Unavailable"}
NOBODY = "00000000-0000-7000-8000-000000000000"


def _codes_in_source() -> set[str]:
    """The codes that the domain raises: first arguments of its errors, and the table of faults."""
    codes = set(events._FAULT_CODES.values())
    for path in DOMAIN.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and _is_error(node) and node.args:
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    codes.add(str(first.value))
                else:
                    assert (path.name, ast.unparse(first)) == ("events.py", "code")
    return codes | {"invalid-payload"}


def _is_error(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id in ERRORS


def _prepare(payload: events.EventPayload) -> object:
    when = builders.at("2026-01-01")
    draft = Draft("deal:D1", payload, event_id_of("a", "b", "c"), "ann", Source("t"), when)
    return prepare(draft, 1)


def _corrected(inner: dict[str, Any]) -> EventCorrected:
    return EventCorrected(target=NOBODY, payload=inner, reason="x")


def _decide(scenario: builders.Scenario, asked: events.EventPayload, **how: Any) -> object:
    decision = scenario.when(asked, **how)
    return decide(decision.events, decision.command)


def _open() -> builders.Scenario:
    return given(opened(owner="ann"))


def _account() -> builders.Scenario:
    return given(payload("account-opened", name="Acme"), stream="account:A1")


def _person() -> builders.Scenario:
    return given(payload("person-joined", name="Ann"), stream="person:ann")


def _playbook() -> builders.Scenario:
    published = payload("playbook-published", playbook=PLAYBOOK.model_dump(mode="json"))
    return given(published, stream="playbook:basic")


def _retracted() -> tuple[builders.Scenario, str]:
    scenario = _open()
    target = scenario.event_id(1)
    act = scenario.log.record(payload("event-retracted", target=target, reason="x"), "2026-02-01")
    return scenario, act["event_id"]


_EVIDENCE = {"stance": "supports", "source_kind": "call"}
_ADJUSTED = {
    "period": "2026-Q2",
    "person": "ann",
    "category": "commit",
    "haircut_percent": 5,
    "reason": "x",
    "expires_at": "2026-07-01T00:00:00Z",
}
_WAIVER = {"criterion": "fit_confirmed", "reason": "x", "ends_at": "2026-03-01T00:00:00Z"}

REFUSALS: dict[str, tuple[type[QledgerError], Callable[[], object]]] = {
    # what can never be accepted
    "amount-too-large": (InvalidInput, lambda: parse_amount("1000000000000000")),
    "ends-before-it-starts": (
        InvalidInput,
        lambda: _decide(_open(), payload("criterion-waived", **_WAIVER), by="mia"),
    ),
    "duplicate-key": (InvalidInput, lambda: parse_object('{"a": 1, "a": 2}', what="it")),
    "event-too-large": (InvalidInput, lambda: _prepare(_corrected({"name": "x" * 70_000}))),
    "invalid-actor": (InvalidInput, lambda: _decide(_open(), revised(name="x"), by="ann ")),
    "invalid-amount": (InvalidInput, lambda: parse_amount("much")),
    "invalid-as-of": (InvalidInput, lambda: parse_as_of("soon")),
    "invalid-date": (InvalidInput, lambda: parse_date("31/03/2026")),
    "invalid-horizon": (InvalidInput, lambda: Basis(builders.EPOCH, builders.EPOCH, -1)),
    "invalid-json": (InvalidInput, lambda: parse_object("[]", what="it")),
    "invalid-instant": (InvalidInput, lambda: parse_instant("2026-03-31T17:00:00")),
    "invalid-payload": (InvalidInput, lambda: parse_payload("deal-opened", {"name": ""})),
    "invalid-period": (InvalidInput, lambda: FiscalCalendar().period("2026-Q5")),
    "invalid-playbook": (InvalidInput, lambda: parse_playbook("key = ", where="x.toml")),
    "invalid-rate": (
        InvalidInput,
        lambda: parse_payload("fx-rate-set", {"currency": "EUR", "to": "USD", "rate": "1_0"}),
    ),
    "invalid-stream": (InvalidInput, lambda: _decide(given(stream="deal"), opened())),
    "missing-field": (InvalidInput, lambda: parse_payload("stage-claimed", {})),
    "money-as-float": (
        InvalidInput,
        lambda: parse_payload("deal-opened", {"amount": {"amount": 1.5, "currency": "USD"}}),
    ),
    "negative-amount": (
        InvalidInput,
        lambda: parse_payload("deal-opened", {"amount": money("-0.01")}),
    ),
    "newer-schema": (InvalidInput, lambda: upcast("deal-opened", 99, {})),
    "not-json": (InvalidInput, lambda: _prepare(_corrected({"probability": 2**64}))),
    "number-not-exact": (InvalidInput, lambda: _prepare(_corrected({"probability": 0.5}))),
    "occurred-after-known": (
        InvalidInput,
        lambda: _decide(given(), opened(), occurred_at="2026-04-01"),
    ),
    "own-manager": (
        InvalidInput,
        lambda: _decide(_person(), payload("person-reassigned", manager="ann")),
    ),
    "text-too-long": (InvalidInput, lambda: parse_payload("deal-opened", {"name": "x" * 301})),
    "too-many-parts": (
        InvalidInput,
        lambda: parse_payload("deal-opened", {"products": ["x"] * 51}),
    ),
    "unknown-criterion": (
        InvalidInput,
        lambda: _decide(_open(), payload("evidence-recorded", criterion="charm", **_EVIDENCE)),
    ),
    "unknown-currency": (
        InvalidInput,
        lambda: parse_payload("reporting-currency-set", {"currency": "BTC"}),
    ),
    "unknown-event-type": (InvalidInput, lambda: parse_payload("deal-dreamt", {})),
    "unknown-field": (InvalidInput, lambda: parse_payload("deal-opened", {"colour": "red"})),
    "unknown-gate": (
        InvalidInput,
        lambda: _decide(_open(), payload("buyer-advanced", gate="moon")),
    ),
    "unknown-role": (
        InvalidInput,
        lambda: _decide(
            _open(),
            payload("stakeholder-added", stakeholder="zoe", name="Zoe", role="oracle"),
            playbooks=builders.PLAYBOOKS_WITH_ROLES,
        ),
    ),
    "unknown-rules": (
        InvalidInput,
        lambda: Basis(builders.EPOCH, builders.EPOCH, 0, rules="0"),
    ),
    "unknown-time-zone": (InvalidInput, lambda: zone("Mars/Olympus")),
    "unknown-value": (
        InvalidInput,
        lambda: parse_payload("category-claimed", {"category": "certain"}),
    ),
    "wrong-layer": (
        InvalidInput,
        lambda: _decide(
            _account(), payload("evidence-recorded", criterion="fit_confirmed", **_EVIDENCE)
        ),
    ),
    "wrong-stream": (InvalidInput, lambda: _decide(_open(), payload("person-left"))),
    # what the state of the ledger forbids
    "account-already-opened": (
        Refused,
        lambda: _decide(_account(), payload("account-opened", name="Acme")),
    ),
    "adjuster-is-caller": (
        Refused,
        lambda: _decide(
            given(stream="period:2026-Q2"),
            payload("forecast-adjusted", **_ADJUSTED, adjuster="ann"),
        ),
    ),
    "already-retracted": (
        Refused,
        lambda: _decide(
            _retracted()[0],
            payload("event-retracted", target=_open().event_id(1), reason="x"),
        ),
    ),
    "assessor-is-person": (
        Refused,
        lambda: _decide(
            _person(), payload("person-assessed", aspect="urgency", score=1, assessor="ann")
        ),
    ),
    "before-opening": (
        Refused,
        lambda: _decide(
            _open(), payload("deal-closed", outcome="won"), occurred_at="2025-12-31"
        ),
    ),
    "cannot-correct-an-act": (
        Refused,
        lambda: _decide(
            _retracted()[0],
            payload("event-corrected", target=_retracted()[1], payload={}, reason="x"),
        ),
    ),
    "deal-already-closed": (
        Refused,
        lambda: _decide(
            given(opened(), payload("deal-closed", outcome="won")),
            payload("deal-closed", outcome="won"),
        ),
    ),
    "deal-already-opened": (Refused, lambda: _decide(_open(), opened())),
    "deal-not-closed": (Refused, lambda: _decide(_open(), payload("deal-reopened"))),
    "deal-removed": (
        Refused,
        lambda: _decide(given(opened(), payload("deal-removed")), revised(name="x")),
    ),
    "no-playbook": (
        Refused,
        lambda: _decide(
            _open(),
            payload("buyer-advanced", gate="decision"),
            playbooks=builders.NO_PLAYBOOKS,
        ),
    ),
    "no-waiver": (
        Refused,
        lambda: _decide(
            _open(), payload("waiver-revoked", criterion="fit_confirmed", reason="x")
        ),
    ),
    "person-already-joined": (
        Refused,
        lambda: _decide(_person(), payload("person-joined", name="Ann")),
    ),
    "no-answers": (
        InvalidInput,
        lambda: _decide(_open(), payload("debrief-held", reviewer="mia")),
    ),
    "answered-twice": (
        InvalidInput,
        lambda: _decide(
            _open(),
            payload(
                "debrief-held",
                reviewer="mia",
                answers=[{"criterion": "fit_confirmed", "answer": "no_answer"}] * 2,
            ),
        ),
    ),
    "reviewer-is-owner": (
        Refused,
        lambda: _decide(_open(), payload("debrief-held", reviewer="ann")),
    ),
    "stakeholder-exists": (
        Refused,
        lambda: _decide(
            given(opened(), payload("stakeholder-added", stakeholder="zoe", name="Zoe")),
            payload("stakeholder-added", stakeholder="zoe", name="Zoe"),
        ),
    ),
    "stakeholder-left-already": (
        Refused,
        lambda: _decide(
            given(
                opened(),
                payload("stakeholder-added", stakeholder="zoe", name="Zoe"),
                payload("stakeholder-left", stakeholder="zoe"),
            ),
            payload("stakeholder-left", stakeholder="zoe"),
        ),
    ),
    "unknown-account": (
        Refused,
        lambda: _decide(given(stream="account:A"), payload("account-revised", name="x")),
    ),
    "unknown-deal": (Refused, lambda: _decide(given(), revised(name="x"))),
    "unknown-event": (
        Refused,
        lambda: _decide(_open(), payload("event-retracted", target=NOBODY, reason="x")),
    ),
    "unknown-person": (
        Refused,
        lambda: _decide(given(stream="person:ann"), payload("person-left")),
    ),
    "unknown-playbook": (
        Refused,
        lambda: _decide(
            given(stream="playbook:basic"), payload("playbook-reviewed", reviewer="mia")
        ),
    ),
    "unknown-stakeholder": (
        Refused,
        lambda: _decide(_open(), payload("stakeholder-left", stakeholder="zoe")),
    ),
    "version-exists": (
        Refused,
        lambda: _decide(
            _playbook(),
            payload("playbook-published", playbook=PLAYBOOK.model_dump(mode="json")),
        ),
    ),
    "waiver-by-owner": (
        Refused,
        lambda: _decide(
            _open(),
            payload("criterion-waived", **{**_WAIVER, "ends_at": "2026-06-01T00:00:00Z"}),
            by="ann",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("code", sorted(REFUSALS))
def test_what_is_refused_says_so_with_its_code_and_class(code: str) -> None:
    kind, attempt = REFUSALS[code]
    with pytest.raises(QledgerError) as caught:
        attempt()
    assert caught.value.code == code
    assert type(caught.value) is kind
    assert caught.value.message
    assert not caught.value.message.endswith(".")


def test_every_code_of_the_domain_is_met() -> None:
    assert _codes_in_source() == set(REFUSALS)


def test_a_code_is_kebab_case() -> None:
    assert all(code == code.lower() and code.replace("-", "").isalpha() for code in REFUSALS)


def test_an_error_tells_where_and_what_to_do() -> None:
    error = InvalidInput("odd", "it is odd", where="a.csv:3:amount", hint="make it even")
    assert str(error) == "it is odd (at a.csv:3:amount); make it even [odd]"
    assert error.as_dict() == {
        "code": "odd",
        "message": "it is odd",
        "where": "a.csv:3:amount",
        "hint": "make it even",
    }
    assert str(NotFound("gone", "it is gone")) == "it is gone [gone]"
    assert Unavailable("away", "it is away").as_dict() == {"code": "away", "message": "it is away"}


def test_a_conflict_is_a_refusal_and_all_are_of_one_tree() -> None:
    assert issubclass(Conflict, Refused)
    for kind in (InvalidInput, Refused, NotFound, Unavailable):
        assert issubclass(kind, QledgerError)
        assert not issubclass(InvalidInput, Refused)
