"""What each role may do at all: the whole table, as it is told in docs/access.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.access import policy
from api.access.policy import WRITES, Operation, Reach
from api.access.principals import ANYBODY, Principal, Role, is_person_id
from ledger.domain.basis import Basis
from ledger.domain.errors import Forbidden
from projections.fold.people import Chart
from projections.scope import EVERYTHING
from tests.unit.domain.builders import at

PAGE = Path(__file__).parents[3] / "docs" / "access.md"
READ, EVENTS, EXPORT, WRITE, IMPORT, ADMINISTER, OBSERVE = Operation
EXPECTED = {
    Role.REP: {READ, EXPORT, WRITE},
    Role.MANAGER: {READ, EXPORT, WRITE},
    Role.ANALYST: {READ, EXPORT, OBSERVE},
    Role.AUDITOR: {READ, EVENTS, EXPORT, OBSERVE},
    Role.IMPORTER: {IMPORT},
    Role.ADMIN: set(Operation),
}
CHART = Chart({"ann": "mia"})


def who(role: Role) -> Principal:
    return Principal("mia", role, "token:x")


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("operation", Operation)
def test_a_role_may_do_an_operation_or_may_not(role: Role, operation: Operation) -> None:
    allowed = operation in EXPECTED[role]
    assert policy.may(who(role), operation) is allowed
    if allowed:
        policy.check(who(role), operation)
        return
    with pytest.raises(Forbidden) as refusal:
        policy.check(who(role), operation)
    assert refusal.value.code == "forbidden"


def test_whose_deals_each_role_reads() -> None:
    scopes = {role: policy.scope_of(who(role), lambda: CHART) for role in Role}
    assert scopes[Role.REP].owners == frozenset({"mia"})
    assert scopes[Role.MANAGER].owners == frozenset({"mia", "ann"})
    assert scopes[Role.ANALYST].owners is None
    assert not scopes[Role.ANALYST].tells_assessments_of("ann")
    assert scopes[Role.AUDITOR] == scopes[Role.ADMIN] == EVERYTHING
    assert policy.scope_of(ANYBODY, lambda: CHART) == EVERYTHING


def test_the_chart_is_read_for_managers_alone() -> None:
    def unread() -> Chart:
        raise AssertionError("nobody needs it")

    for role in set(Role) - {Role.MANAGER}:
        policy.scope_of(who(role), unread)


def test_reading_without_attested_events_is_for_those_who_see_all() -> None:
    now = at("2026-01-01")
    for role in Role:
        limited = policy.scope_of(who(role), lambda: CHART).is_limited
        policy.check_basis(who(role), Basis(now, now, 1))
        if limited:
            with pytest.raises(Forbidden):
                policy.check_basis(who(role), Basis(now, now, 1, witnessed_only=True))
        else:
            policy.check_basis(who(role), Basis(now, now, 1, witnessed_only=True))


@pytest.mark.parametrize("event_type", WRITES)
def test_who_writes_what(event_type: str) -> None:
    assert policy.reach(who(Role.ADMIN), event_type) is Reach.ALL
    for role in (Role.ANALYST, Role.AUDITOR, Role.IMPORTER):
        with pytest.raises(Forbidden):
            policy.reach(who(role), event_type)
    if Role.REP in WRITES[event_type]:
        assert Role.MANAGER in WRITES[event_type]  # what a rep may, a manager may


@pytest.mark.parametrize("text", ["", " ann", "ann ", "a\nb", "a\x00", "x" * 201, None, 7])
def test_what_is_nobodys_id(text: object) -> None:
    assert not is_person_id(text)


def test_the_page_tells_the_table_as_it_is() -> None:
    rows = {
        cells[0].strip("` "): [cell.strip() for cell in cells[1:]]
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if len(cells := re.split(r"(?<!\\)\|", line.strip("|"))) == 1 + len(Operation)
    }
    for role in Role:
        told = {op for op, cell in zip(Operation, rows[role], strict=True) if cell != "no"}
        assert told == EXPECTED[role], role
