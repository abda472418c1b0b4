"""Who may do what: the one place that knows.

Law: a role either may do an operation or may not; what it may not is refused as `forbidden` before
anything is read. What it reads and writes is then limited to its scope: `scope_of` says whose deals
are read, `WRITES` whose are written. Nothing outside this module compares roles.

    rep       reads and records on their own deals, and makes their own calls
    manager   the same for all who report to them, directly or through others, at the basis asked
              about; waives criteria, holds debriefs, adjusts calls and assesses people below them
    analyst   reads all deals and numbers, without what names or quotes people at the buyer and
              without assessments of people; exports
    auditor   reads everything, raw events too, and exports; writes nothing; is logged
    importer  brings history in, and nothing else
    admin     everything
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from api.access.principals import Principal, Role
from ledger.domain import events as ev
from ledger.domain.basis import Basis
from ledger.domain.errors import Forbidden
from projections.fold.people import Chart
from projections.scope import EVERYTHING, Scope


class Operation(StrEnum):
    """What is asked for, as a sentence can say it."""

    READ = "read the ledger"
    READ_EVENTS = "read raw events"
    EXPORT = "export tables"
    WRITE = "record events"
    IMPORT = "import events"
    ADMINISTER = "administer the ledger"
    """Trusted documents, and whatever else is set up for others."""
    OBSERVE = "read the metrics of the server"


_MAY: Mapping[Role, frozenset[Operation]] = {
    Role.REP: frozenset({Operation.READ, Operation.EXPORT, Operation.WRITE}),
    Role.MANAGER: frozenset({Operation.READ, Operation.EXPORT, Operation.WRITE}),
    Role.ANALYST: frozenset({Operation.READ, Operation.EXPORT, Operation.OBSERVE}),
    Role.AUDITOR: frozenset(
        {Operation.READ, Operation.READ_EVENTS, Operation.EXPORT, Operation.OBSERVE}
    ),
    Role.IMPORTER: frozenset({Operation.IMPORT}),
    Role.ADMIN: frozenset(Operation),
}

_LOGGED = frozenset({Role.AUDITOR})
_DISCREET = frozenset({Role.ANALYST})


def may(principal: Principal, operation: Operation) -> bool:
    """Whether a principal may do an operation at all."""
    return operation in _MAY[principal.role]


def check(principal: Principal, operation: Operation) -> None:
    """Refuse what a role may not do.

    Raises:
        Forbidden: `forbidden`.
    """
    if not may(principal, operation):
        raise forbidden(f"{_a(principal.role)} may not {operation}")


def forbidden(message: str, *, where: str = "") -> Forbidden:
    """The refusal of what somebody may not do."""
    return Forbidden(
        "forbidden", message, where=where, hint="docs/access.md tells what each role may do"
    )


def _a(role: Role) -> str:
    return f"{'an' if role.value[0] in 'aeiou' else 'a'} {role}"


# --- reading ------------------------------------------------------------------------------------


def scope_of(principal: Principal, chart: Callable[[], Chart]) -> Scope:
    """Whose deals, calls and assessments a principal reads.

    Args:
        principal: who asks.
        chart: who reported to whom at the basis; read only where need be.
    """
    match principal.role:
        case Role.REP | Role.IMPORTER:
            return Scope.of_person(principal.person)
        case Role.MANAGER:
            return Scope.of_team(principal.person, chart())
        case Role.ANALYST:
            return Scope(assessed=frozenset())
        case Role.AUDITOR | Role.ADMIN:
            return EVERYTHING


def check_basis(principal: Principal, basis: Basis) -> None:
    """Refuse a basis whose answer could show more than the scope.

    What was only witnessed may not tell who owns a deal: without the attested events a deal would
    still look like that of somebody who gave it away.

    Raises:
        Forbidden: `forbidden`.
    """
    if basis.witnessed_only and principal.role in {Role.REP, Role.MANAGER, Role.IMPORTER}:
        raise forbidden(
            f"{_a(principal.role)} may not leave out what sources attested: who owns a deal is "
            "told by it"
        )


def reads_personal_data(principal: Principal) -> bool:
    """Whether a principal reads what names, reaches or quotes people at the buyer."""
    return principal.role not in _DISCREET


def is_logged(principal: Principal) -> bool:
    """Whether all that a principal reads is logged. Exports are, whoever asks for them."""
    return principal.role in _LOGGED


# --- writing ------------------------------------------------------------------------------------


class Reach(StrEnum):
    """On whose behalf something may be recorded."""

    NOBODY = "nobody"
    OWN = "own"
    """Deals that the writer owns, accounts of such deals, their own calls."""
    TEAM = "team"
    """The same of all who report to the writer, too."""
    BELOW = "below"
    """Of those who report to the writer, and not of the writer."""
    ALL = "all"


_OF_DEALS = {Role.REP: Reach.OWN, Role.MANAGER: Reach.TEAM}
_BY_MANAGERS = {Role.MANAGER: Reach.TEAM}
_OF_PEOPLE_BELOW = {Role.MANAGER: Reach.BELOW}
_BY_ADMINS: Mapping[Role, Reach] = {}

WRITES: Mapping[str, Mapping[Role, Reach]] = {
    ev.DealOpened.type: _OF_DEALS,
    ev.DealRevised.type: _OF_DEALS,
    ev.StageClaimed.type: _OF_DEALS,
    ev.CategoryClaimed.type: _OF_DEALS,
    ev.EvidenceRecorded.type: _OF_DEALS,
    ev.StakeholderAdded.type: _OF_DEALS,
    ev.StakeholderChanged.type: _OF_DEALS,
    ev.StakeholderLeft.type: _OF_DEALS,
    ev.BuyerAdvanced.type: _OF_DEALS,
    ev.BuyerRegressed.type: _OF_DEALS,
    ev.BuyerLooped.type: _OF_DEALS,
    ev.DealClosed.type: _OF_DEALS,
    ev.DealReopened.type: _OF_DEALS,
    ev.PostMortemRecorded.type: _OF_DEALS,
    ev.CriterionWaived.type: _BY_MANAGERS,
    ev.WaiverRevoked.type: _BY_MANAGERS,
    ev.DebriefHeld.type: _BY_MANAGERS,
    ev.DealRemoved.type: _BY_MANAGERS,
    ev.AccountOpened.type: {Role.REP: Reach.ALL, Role.MANAGER: Reach.ALL},
    ev.AccountRevised.type: _OF_DEALS,
    ev.ForecastCalled.type: {Role.REP: Reach.OWN, Role.MANAGER: Reach.OWN},
    ev.ForecastAdjusted.type: _OF_PEOPLE_BELOW,
    ev.PersonAssessed.type: _OF_PEOPLE_BELOW,
    ev.QuotaSet.type: _BY_ADMINS,
    ev.PersonJoined.type: _BY_ADMINS,
    ev.PersonReassigned.type: _BY_ADMINS,
    ev.PersonLeft.type: _BY_ADMINS,
    ev.PlaybookPublished.type: _BY_ADMINS,
    ev.PlaybookReviewed.type: _BY_ADMINS,
    ev.FxRateSet.type: _BY_ADMINS,
    ev.FiscalCalendarSet.type: _BY_ADMINS,
    ev.ReportingCurrencySet.type: _BY_ADMINS,
}
"""Event type -> role -> on whose behalf; roles that are not named record it on nobody's, an admin
on everybody's. A correction or retraction is judged as the event that it acts on, and a correction
also as the event that is to stand in its place."""


def reach(principal: Principal, event_type: str) -> Reach:
    """On whose behalf a principal may record an event of some type.

    Raises:
        Forbidden: `forbidden`, where it is nobody's.
    """
    check(principal, Operation.WRITE)
    if principal.role is Role.ADMIN:
        return Reach.ALL
    found = WRITES[event_type].get(principal.role, Reach.NOBODY)
    if found is Reach.NOBODY:
        raise forbidden(f"{_a(principal.role)} may not record {event_type}")
    return found


def acts_only_on_their_own(principal: Principal) -> bool:
    """Whether a principal corrects and retracts only what they recorded themselves."""
    return principal.role is Role.REP
