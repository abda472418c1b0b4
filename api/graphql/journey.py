"""The buyer's journey of a deal as the schema shows it: gates, criteria, moves, findings, lapses.

Law: every status names its rule, a sentence, and its events, as `projections.journey` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import strawberry

from api.graphql.opener import Opener
from api.graphql.relay import (
    AfterArgument,
    BeforeArgument,
    Connection,
    FirstArgument,
    LastArgument,
    Paging,
    page,
)
from api.graphql.told import told
from api.graphql.types import LedgerEvent

BECAUSE = "The events that it rests on."
SINCE = "Valid time from which it has been so, an instant in UTC."
RULE = "The name of the rule that decided; it never changes its meaning."


@strawberry.type(description="What the evidence supports, and why the amount is in or out.")
class Evidenced:
    category: str = strawberry.field(
        description="The forecast category that the evidence supports: omitted, pipeline, "
        "best_case, commit or closed. It is omitted where nothing counts: no evidence, no revenue."
    )
    weight_percent: int = strawberry.field(
        description="The share of the amount in the measure weighted, in percent."
    )
    counts: bool = strawberry.field(description="Whether the amount is projected at all.")
    stands_at: str | None = strawberry.field(
        description="The key of the first gate that does not pass now; null when all pass, or no "
        "playbook judges."
    )
    since: str = strawberry.field(description="Since when it has stood there, an instant in UTC.")
    furthest: int = strawberry.field(description="How many gates it got through at its furthest.")
    rule: str = strawberry.field(description=RULE)
    summary: str = strawberry.field(description="Why the amount is in or out, as a person says it.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="When a journey was last checked against what buyers do.")
class JourneyReview:
    at: str = strawberry.field(
        description="The last review, or the publication, an instant in UTC."
    )
    due_at: str | None = strawberry.field(description="When the next review is due.")
    overdue: bool = strawberry.field(
        description="Whether that is past: a journey not reviewed for 60 days is to be taken as "
        "wrong."
    )


@strawberry.type(description="The playbook version that judged a deal.")
class JudgedBy:
    key: str = strawberry.field(description="The playbook, such as buyers_journey.")
    version: str = strawberry.field(description="Its version.")
    published_by: LedgerEvent = strawberry.field(description="The event that published it.")
    review: JourneyReview | None = strawberry.field(
        description="Null for a playbook that is not in force."
    )


@strawberry.type(description="A time during which a stakeholder was not at the buyer.")
class Absence:
    from_: str = strawberry.field(name="from", description="From when, an instant in UTC.")
    until: str | None = strawberry.field(description="Until when; null while it lasts.")

    @classmethod
    def of(cls, facts: tuple[str, str | None]) -> Absence:
        return cls(from_=facts[0], until=facts[1])


@strawberry.type(description="Somebody at the buyer, as of validAt.")
class Stakeholder:
    stakeholder_id: strawberry.ID = strawberry.field(description="Unique within the deal.")
    name: str | None = strawberry.field(description="Their name.")
    title: str | None = strawberry.field(description="The title on their card.")
    role: str | None = strawberry.field(
        description="The part they play, a role of the playbook, such as economic_buyer."
    )
    seniority: str | None = strawberry.field(
        description="c_level, vice_president, director, manager or staff."
    )
    influence: str | None = strawberry.field(description="high, medium or low.")
    reports_to: str | None = strawberry.field(
        description="The id of the stakeholder to whom they report."
    )
    here: bool = strawberry.field(description="False once they left; their word lapses.")
    left_at: str | None = strawberry.field(description="When they left last.")
    away: list[Absence] = strawberry.field(description="Each time that they were away.")
    because: LedgerEvent = strawberry.field(description="The last event about them.")


@strawberry.type(description="Why a status is what it is: what an auditor needs to follow it.")
class Explanation:
    rule: str = strawberry.field(description=RULE)
    playbook: str = strawberry.field(
        description="The playbook version whose rule it is, key@version."
    )
    summary: str = strawberry.field(description="Why, as a person says it.")
    missing: list[str] = strawberry.field(
        description="The keys of the criteria that would have to be met, or met again."
    )
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="An exit criterion of a deal: what the buyer must have done or said.")
class Criterion:
    criterion: str = strawberry.field(description="Its key in the playbook.")
    question: str = strawberry.field(description="The question to ask in a debrief.")
    layer: str = strawberry.field(description="organization, opportunity or stakeholder.")
    mandatory: bool = strawberry.field(description="False for one of the optional criteria.")
    said_by_role: str | None = strawberry.field(
        description="The role of the stakeholder whose word counts; null is anybody at the buyer."
    )
    said_by_seniority: str | None = strawberry.field(
        description="How senior the stakeholder must be at the least whose word counts."
    )
    answers: str | None = strawberry.field(
        description="Which of the buyer's three questions it answers: why_change, why_now or "
        "why_this."
    )
    status: str = strawberry.field(
        description="unmet, met, stale (its freshness ran out, or who said it left), contradicted "
        "or waived."
    )
    rule: str = strawberry.field(description=RULE)
    said_by: str | None = strawberry.field(description="The stakeholder whose word decides.")
    since: str = strawberry.field(description=SINCE)
    summary: str = strawberry.field(description="Why, as a person says it.")
    lapses_at: str | None = strawberry.field(
        description="The instant at which it lapses if nothing happens; null where it does not age."
    )
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)
    explain: Explanation = strawberry.field(description="Why its status is what it is.")


@strawberry.type(description="A gate of the buyer's journey, for one deal.")
class Gate:
    gate: str = strawberry.field(description="Its key in the playbook.")
    name: str = strawberry.field(description="Its name, such as Consideration: investment.")
    stage: str = strawberry.field(description="The stage of the buyer's journey it belongs to.")
    status: str = strawberry.field(
        description="pending, passed or regressed (had passed, does not now)."
    )
    since: str = strawberry.field(description=SINCE)
    rule: str = strawberry.field(description=RULE)
    summary: str = strawberry.field(description="Why, and what is missing, as a person says it.")
    missing: list[str] = strawberry.field(
        description="The keys of the mandatory criteria that are not met now."
    )
    optional_missing: int = strawberry.field(
        description="How many more of the optional criteria have to be met."
    )
    too_old: list[str] = strawberry.field(
        description="The keys of criteria that hold here and are too old for the next gate."
    )
    passes: int = strawberry.field(description="How often it was passed.")
    regressions: int = strawberry.field(description="How often it was lost again.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)
    criteria: list[Criterion] = strawberry.field(
        description="Its exit criteria, in the playbook's order."
    )
    explain: Explanation = strawberry.field(description="Why its status is what it is.")

    @classmethod
    def explained(cls, facts: dict[str, Any], playbook: str) -> Gate:
        """A gate and its criteria, each with its explanation.

        Args:
            facts: see `projections.journey.gates_as_dict`.
            playbook: the version that judged, key@version.
        """
        criteria = [
            {**each, "explain": _explained(each, playbook, _missing(each))}
            for each in facts["criteria"]
        ]
        missing = [*facts["missing"], *facts["too_old"]]
        explained = {**facts, "explain": _explained(facts, playbook, missing)}
        return told(cls, {**explained, "criteria": criteria})


def _missing(criterion: dict[str, Any]) -> list[str]:
    return [] if criterion["status"] in {"met", "waived"} else [criterion["criterion"]]


def _explained(facts: dict[str, Any], playbook: str, missing: list[str]) -> dict[str, Any]:
    told_of = {name: facts[name] for name in ("rule", "summary", "because")}
    return {**told_of, "playbook": playbook, "missing": missing}


@strawberry.type(description="A change of where a deal stands.")
class Move:
    at: str = strawberry.field(description="When, an instant in UTC, exact to the microsecond.")
    kind: str = strawberry.field(
        description="opened, advanced, regressed, lapsed (evidence aged, nobody did anything), "
        "decided, reopened or playbook_changed."
    )
    from_gate: str | None = strawberry.field(description="Where it stood before.")
    to_gate: str | None = strawberry.field(
        description="Where it stood then; null when it was through all gates."
    )
    summary: str = strawberry.field(description="What happened, as a person says it.")
    criteria: list[str] = strawberry.field(description="The keys of the criteria that moved it.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A gate that was passed, lost, and passed again.")
class Loop:
    gate: str = strawberry.field(description="The gate's key.")
    lost_at: str = strawberry.field(description="When it was lost, an instant in UTC.")
    again_at: str = strawberry.field(description="When it was passed again, an instant in UTC.")
    lost_by: list[LedgerEvent] = strawberry.field(description="The events by which it was lost.")
    again_by: list[LedgerEvent] = strawberry.field(
        description="The events by which it was passed again."
    )


@strawberry.type(
    description="What somebody declared of the buyer's way: an advance, a regression or a loop."
)
class Declared:
    at: str = strawberry.field(description="When, an instant in UTC.")
    type: str = strawberry.field(description="The type of the event, such as buyer-advanced.")
    gate: str = strawberry.field(description="The gate's key; of a loop, the one gone back to.")
    cause: LedgerEvent = strawberry.field(description="The event that declares it.")


@strawberry.type(description="A claim held against the evidence: an inflation, a contradiction.")
class Finding:
    rule: str = strawberry.field(description=RULE)
    sentence: str = strawberry.field(description="The finding, as a person says it.")
    criteria: list[str] = strawberry.field(description="The keys of the criteria it is about.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="A change of a criterion that will come if nothing happens.")
class Change:
    at: str = strawberry.field(description="When, an instant in UTC.")
    criterion: str = strawberry.field(description="The criterion's key.")
    gate: str | None = strawberry.field(description="The key of its gate.")
    before: str = strawberry.field(description="Its status until then.")
    status: str = strawberry.field(description="Its status from then on.")
    rule: str = strawberry.field(description=RULE)
    said_by: str | None = strawberry.field(description="The stakeholder whose word decides then.")
    lapses_at: str | None = strawberry.field(description="When it changes again by itself.")
    because: list[LedgerEvent] = strawberry.field(description=BECAUSE)


@strawberry.type(description="What will change in a deal until an instant if nothing happens.")
class Upcoming:
    until: str = strawberry.field(description="Until when, an instant in UTC.")
    changes: list[Change] = strawberry.field(description="The criteria that lapse or come back.")
    moves: list[Move] = strawberry.field(description="Where the deal falls back to.")


@strawberry.type(description="A finding, and the deal that it is about.")
class BookFinding(Finding):
    deal: strawberry.ID = strawberry.field(description="The deal's id in the CRM.")
    name: str | None = strawberry.field(description="The deal's name.")
    owner: str | None = strawberry.field(description="The id of the person who owns the deal.")

    @classmethod
    def of(cls, facts: dict[str, Any]) -> BookFinding:
        """A finding as `projections.journey.findings_rows` tells it."""
        return told(cls, facts)


@strawberry.type(description="A criterion that will lapse, and the deal that it belongs to.")
class Lapse(Change):
    deal: strawberry.ID = strawberry.field(description="The deal's id in the CRM.")
    name: str | None = strawberry.field(description="The deal's name.")
    owner: str | None = strawberry.field(description="The id of the person who owns the deal.")
    stands_at_before: str | None = strawberry.field(
        description="Where the deal stands until then, when it falls back by this."
    )
    stands_at_after: str | None = strawberry.field(
        description="Where the deal falls back to by this; null when it stays where it is."
    )


@strawberry.type(description="What will fall in the whole book until an instant.")
class Lapses:
    pages: strawberry.Private[Callable[[Paging], Connection[Lapse]]]
    until: str = strawberry.field(description="Until when, an instant in UTC.")

    @strawberry.field(description="By time, then by deal.")
    def lapses(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[Lapse]:
        return self.pages(Paging(first, after, last, before))

    @classmethod
    def at(cls, opener: Opener, listed: Sequence[Any], answer: dict[str, Any]) -> Lapses:
        """What will fall.

        Args:
            opener: of the snapshot.
            listed: what was asked, as JSON.
            answer: see `projections.journey.lapses_rows`.
        """

        def pages(paging: Paging) -> Connection[Lapse]:
            return page(opener, listed, paging, answer["lapses"], lambda each: told(Lapse, each))

        return cls(pages=pages, until=answer["until"])
