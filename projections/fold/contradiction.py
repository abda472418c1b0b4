"""When the evidence in hand contradicted the forecast, and when the forecast came down to it.

Law, applied at every moment of a deal as it was known then (see `known_then`):

What is *forecast* is the claim of an open deal: its category, and the fiscal quarter that holds its
close date. Nothing is forecast of a deal claimed `omitted`, or whose amount is zero or was cleared.
Where no playbook was in force nothing could be judged, and nothing is contradicted.

The evidence *contradicts* the forecast, by the first of these rules that applies:

    contradiction-on-record   a close in a quarter, or commit or best case, is claimed while a
                              mandatory criterion before the decision is contradicted by evidence,
                              or while the buyer has gone back to a gate before the decision and
                              has not passed it again
    claimed-above-evidence    commit or best case is claimed while the category of the evidence is
                              a lower one (omitted < pipeline < best_case < commit)

A contradiction lasts from the first moment at which a rule applies to the first at which the
forecast *came down*, the deal ended, or no rule applies any more. It ends, in this order:

    removed              the deal was taken out of the book
    won                  the deal was won: the forecast came true against the evidence in hand
    closed               the deal ended in any other way
    amount_withdrawn     the amount went to zero, or was cleared
    evidence_caught_up   the evidence rose to the claim, as it had been before this moment
    category_lowered     the claimed category came down to what the evidence said
    close_date_pushed    the close date went to a later quarter, or was cleared; where the new
                         forecast is contradicted too, another contradiction begins there and then

All but `won` and `evidence_caught_up` are reactions of the forecast. The *first knowable* date is
the beginning of the first contradiction; the forecast reacted to it when that one ended by a
reaction. A category lowered without reaching the evidence is no reaction, nor is a close date that
moves within its quarter.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from ledger.domain.calendar import FiscalCalendar, Period
from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Category, Outcome
from ledger.domain.playbook import in_words
from projections.fold.claims import ClaimedDeal
from projections.fold.criterion import Rule, Status
from projections.fold.gates import CriterionState, GateStatus
from projections.fold.known_then import Known, Moment, Standing
from projections.fold.rulebook import CriterionRule
from projections.fold.statistics import days, duration

_RANK = {category: rank for rank, category in enumerate(Category)}
_PROMISED = frozenset({Category.COMMIT, Category.BEST_CASE})


class Contradicts(StrEnum):
    """By which rule evidence contradicts a forecast; stable names."""

    CONTRADICTION_ON_RECORD = "contradiction-on-record"
    CLAIMED_ABOVE_EVIDENCE = "claimed-above-evidence"


class EndedBy(StrEnum):
    """How a contradiction ended; stable names."""

    REMOVED = "removed"
    WON = "won"
    CLOSED = "closed"
    AMOUNT_WITHDRAWN = "amount_withdrawn"
    EVIDENCE_CAUGHT_UP = "evidence_caught_up"
    CATEGORY_LOWERED = "category_lowered"
    CLOSE_DATE_PUSHED = "close_date_pushed"


REACTIONS = frozenset(EndedBy) - {EndedBy.WON, EndedBy.EVIDENCE_CAUGHT_UP}
"""The endings in which the forecast came down."""


class Claim(NamedTuple):
    """What is forecast of a deal.

    Args:
        category: the claimed category.
        quarter: the fiscal quarter that holds the close date; None without one.
        causes: the positions of the events that say so.
    """

    category: Category
    quarter: Period | None
    causes: tuple[int, ...]

    @property
    def sentence(self) -> str:
        """As a person says it."""
        when = "with no close date" if self.quarter is None else f"closing in {self.quarter.name}"
        return f"{in_words(self.category)} {when}"


class Conflict(NamedTuple):
    """That evidence contradicts a forecast.

    Args:
        rule: by which rule.
        criteria: the criteria that are contradicted, or that keep the deal where it stands.
        causes: the positions of the events on the evidence's side.
    """

    rule: Contradicts
    criteria: tuple[str, ...]
    causes: tuple[int, ...]


class Contradiction(NamedTuple):
    """A time in which the evidence in hand contradicted the forecast.

    Args:
        at: the first moment, on both time axes.
        claim: what was forecast then.
        conflict: what contradicted it then.
        deal: the deal as it was known then.
        until: when it ended; None where it had not.
        ended_by: how.
        ended_causes: the positions of the events that ended it; none where evidence lapsed.
    """

    at: str
    claim: Claim
    conflict: Conflict
    deal: Known
    until: str | None = None
    ended_by: EndedBy | None = None
    ended_causes: tuple[int, ...] = ()

    @property
    def reacted_at(self) -> str | None:
        """When the forecast came down; None where it did not."""
        return self.until if self.ended_by in REACTIONS else None

    @property
    def days(self) -> float | None:
        """How long it lasted, in days; None where it had not ended."""
        return None if self.until is None else days(duration(self.at, self.until))


def contradictions(moments: Iterable[Moment], calendar: FiscalCalendar) -> list[Contradiction]:
    """Every time in which the evidence in hand contradicted the forecast.

    Args:
        moments: the deal as it was known then, in the order of time.
        calendar: the fiscal calendar at the basis.
    """
    found: list[Contradiction] = []
    lasting: Contradiction | None = None
    before: Claim | None = None
    for moment in moments:
        claim = forecast_of(moment.deal, calendar)
        conflict = conflict_of(claim, moment.deal)
        if lasting is not None and before is not None:
            ended_by = _ending(before, claim, conflict, moment.deal)
            if ended_by is not None:
                causes = _ended_causes(ended_by, moment.deal)
                found.append(
                    lasting._replace(until=moment.at, ended_by=ended_by, ended_causes=causes)
                )
                lasting = None
        if lasting is None and claim is not None and conflict is not None:
            assert moment.deal is not None  # noqa: S101 - there is a claim
            lasting = Contradiction(moment.at, claim, conflict, moment.deal)
        before = claim
    return found if lasting is None else [*found, lasting]


def forecast_of(deal: Known | None, calendar: FiscalCalendar) -> Claim | None:
    """What is forecast of a deal; None where nothing is.

    Args:
        deal: the deal as it was known then.
        calendar: the fiscal calendar at the basis.
    """
    if deal is None or deal.claimed.outcome != OPEN:
        return None
    claimed = deal.claimed
    if claimed.category is Category.OMITTED or _withdrawn(claimed):
        return None
    causes = {claimed.cause(field) for field in ("category", "close_date")}
    known = {cause for cause in causes if cause is not None} or {claimed.cause("opened") or 0}
    return Claim(claimed.category, quarter_of(claimed, calendar), tuple(sorted(known)))


def quarter_of(claimed: ClaimedDeal, calendar: FiscalCalendar) -> Period | None:
    """The fiscal quarter that holds a close date; None without one, and at the ends of time."""
    if claimed.close_date is None:
        return None
    try:
        return calendar.quarter_of(claimed.close_date)
    except InvalidInput:
        return None


def _withdrawn(claimed: ClaimedDeal) -> bool:
    """Whether the amount is zero, or was cleared; a deal may do without one from the beginning."""
    amount = claimed.amount
    return claimed.cause("amount") is not None and (amount is None or amount.amount == 0)


def conflict_of(claim: Claim | None, deal: Known | None) -> Conflict | None:
    """By which rule the evidence contradicts a forecast; None where it does not.

    Args:
        claim: what is forecast.
        deal: the deal as it was known then, whose evidence is held against it.
    """
    if claim is None or deal is None or deal.standing.rulebook is None:
        return None
    promised = claim.category in _PROMISED
    against = _contradicted_criteria(deal) if promised or claim.quarter is not None else None
    if against is not None:
        return against
    if promised and _RANK[deal.verdict.category] < _RANK[claim.category]:
        return _below_claim(deal)
    return None


def _contradicted_criteria(deal: Known) -> Conflict | None:
    found, rulebook = deal.standing, deal.standing.rulebook
    assert rulebook is not None  # noqa: S101 - asked only where a version judges
    against = [
        state
        for state in found.criteria
        if state.status is Status.CONTRADICTED
        and rulebook.criteria[state.key].gate < rulebook.decision
        and _speaks_against(state, rulebook.criteria[state.key], found)
    ]
    if not against:
        return None
    causes = {cause for state in against for cause in state.judgement.causes}
    return Conflict(
        Contradicts.CONTRADICTION_ON_RECORD,
        tuple(state.key for state in against),
        tuple(sorted(causes)),
    )


def _speaks_against(state: CriterionState, rule: CriterionRule, found: Standing) -> bool:
    """Whether a contradicted criterion speaks against a close.

    The buyer's going back contradicts every later gate too: what the deal has yet to come to again
    is no more than unmet, so only the gate that the buyer went back to counts.
    """
    if state.judgement.rule is Rule.EVIDENCE_AGAINST:
        return rule.criterion.mandatory
    gate = found.gate_state(state.gate)
    back_to = {found.went_back.get(cause) for cause in state.judgement.causes}
    return gate is not None and state.gate in back_to and gate.status is not GateStatus.PASSED


def _below_claim(deal: Known) -> Conflict:
    found = deal.standing
    gate = None if found.stands_at is None else found.gate_state(found.stands_at)
    missing = () if gate is None else gate.missing + gate.too_old
    causes = {*deal.verdict.causes, *(() if gate is None else gate.causes)}
    return Conflict(Contradicts.CLAIMED_ABOVE_EVIDENCE, missing, tuple(sorted(causes)))


def _ending(
    before: Claim, claim: Claim | None, conflict: Conflict | None, deal: Known | None
) -> EndedBy | None:
    """How a contradiction ended at a moment; None where it goes on."""
    if deal is None:
        return EndedBy.REMOVED
    if deal.claimed.outcome != OPEN:
        return EndedBy.WON if deal.claimed.outcome == Outcome.WON else EndedBy.CLOSED
    if claim is None:
        withdrawn = _withdrawn(deal.claimed)
        return EndedBy.AMOUNT_WITHDRAWN if withdrawn else EndedBy.CATEGORY_LOWERED
    if conflict is None and conflict_of(before, deal) is None:
        return EndedBy.EVIDENCE_CAUGHT_UP
    if conflict is None and _RANK[claim.category] < _RANK[before.category]:
        return EndedBy.CATEGORY_LOWERED
    if _pushed(before.quarter, claim.quarter):
        return EndedBy.CLOSE_DATE_PUSHED
    return None


def _pushed(before: Period | None, after: Period | None) -> bool:
    if before is None:
        return False
    return after is None or after.first_day > before.first_day


_ENDING_FIELDS = {
    EndedBy.WON: "outcome",
    EndedBy.CLOSED: "outcome",
    EndedBy.AMOUNT_WITHDRAWN: "amount",
    EndedBy.CATEGORY_LOWERED: "category",
    EndedBy.CLOSE_DATE_PUSHED: "close_date",
}


def _ended_causes(ended_by: EndedBy, deal: Known | None) -> tuple[int, ...]:
    if deal is None:
        return ()
    if ended_by is EndedBy.EVIDENCE_CAUGHT_UP:
        return deal.verdict.causes
    cause = deal.claimed.cause(_ENDING_FIELDS[ended_by])
    return () if cause is None else (cause,)
