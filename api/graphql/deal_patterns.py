"""What many deals have in common as the schema shows it; see `projections.patterns`.

Law: no share is told without its counts and its interval, and no difference without an interval.
"""

from __future__ import annotations

from typing import Any

import strawberry

from api.graphql.forecasts import GroupKey
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
from api.graphql.scalars import Date
from api.graphql.told import told
from projections.fold.statistics import CONFIDENCE_PERCENT, FEW_BELOW

_LOW = f"The low end of its {CONFIDENCE_PERCENT} % interval; null where there is none."
_HIGH = f"The high end of its {CONFIDENCE_PERCENT} % interval; null where there is none."


@strawberry.type(description="A share, with its counts and how far it can be trusted.")
class Share:
    count: int = strawberry.field(description="So many ...")
    of: int = strawberry.field(description="... of so many deals.")
    share: float | None = strawberry.field(
        description="The one by the other, 0 to 1, to four decimals; null of none."
    )
    low: float | None = strawberry.field(description=_LOW)
    high: float | None = strawberry.field(description=_HIGH)
    few: bool = strawberry.field(
        description=f"Whether it is of fewer than {FEW_BELOW} deals: then it shows a direction, "
        "and proves nothing."
    )


@strawberry.type(description="A share of deals to which something happened, and how often.")
class Happening(Share):
    times: int = strawberry.field(description="How often it happened in all of them together.")


@strawberry.type(description="How many deals ended in each way.")
class OutcomeCounts:
    won: int = strawberry.field(description="The buyer bought from us.")
    lost: int = strawberry.field(description="The buyer bought elsewhere.")
    no_decision: int = strawberry.field(description="The buyer decided to do nothing.")
    disqualified: int = strawberry.field(description="We found that it is none of ours.")
    abandoned: int = strawberry.field(description="We stopped, or the buyer fell silent.")


@strawberry.type(description="How many deals a pattern is made of.")
class DealCounts:
    decided: int = strawberry.field(description="How many had ended.")
    open: int = strawberry.field(description="How many were open; they count for gates alone.")
    not_judged: int = strawberry.field(description="How many of both no playbook judged.")


@strawberry.type(description="Durations in days to two decimals; null without any.")
class DaysSpread:
    count: int = strawberry.field(description="How many durations.")
    least: float | None = strawberry.field(description="The shortest.")
    q1: float | None = strawberry.field(description="The first quartile.")
    median: float | None = strawberry.field(description="The median.")
    q3: float | None = strawberry.field(description="The third quartile.")
    greatest: float | None = strawberry.field(description="The longest.")
    few: bool = strawberry.field(description=f"Whether there are fewer than {FEW_BELOW}.")


@strawberry.type(description="What became of the deals that came to a gate.")
class GatePattern:
    gate: str = strawberry.field(description="The gate's key.")
    name: str = strawberry.field(description="Its name.")
    after_decision: bool = strawberry.field(description="Whether it comes after the decision.")
    expected_days: int | None = strawberry.field(description="How long a deal should need for it.")
    reached: int = strawberry.field(description="How many deals came to it.")
    through: int = strawberry.field(description="How many got through it.")
    under_way: int = strawberry.field(description="How many are still under way to do so.")
    ended_there: OutcomeCounts = strawberry.field(description="How the others ended.")
    conversion: Share = strawberry.field(
        description="How many got through, of those that came to it and are not under way."
    )
    days: DaysSpread = strawberry.field(
        description="How long deals stood at it in all, of those that do not stand there now."
    )
    regressions: int = strawberry.field(description="How often it was lost again.")
    loops: int = strawberry.field(description="How often it was passed again after that.")


@strawberry.type(description="How much more often won deals met a criterion than the others.")
class Separation:
    won: Share = strawberry.field(description="Of the won deals.")
    others: Share = strawberry.field(description="Of the deals that they are held against.")
    difference: float | None = strawberry.field(
        description="The first share less the second, to four decimals; null where either side "
        "has no deals."
    )
    low: float | None = strawberry.field(description=_LOW)
    high: float | None = strawberry.field(description=_HIGH)
    few: bool = strawberry.field(
        description=f"Whether either side has fewer than {FEW_BELOW} deals."
    )


@strawberry.type(description="A criterion, and how it tells the won deals from the others.")
class CriterionPattern:
    criterion: str = strawberry.field(description="The criterion's key.")
    gate: str = strawberry.field(description="The key of its gate.")
    mandatory: bool = strawberry.field(description="False for one of the optional criteria.")
    at_decision: Separation = strawberry.field(description="Met when the deal was decided.")
    ever: Separation = strawberry.field(description="Met at any time.")


@strawberry.type(description="What the deals of one playbook have in common.")
class PlaybookPattern:
    playbook: str = strawberry.field(description="The playbook's key.")
    gates: list[GatePattern] = strawberry.field(
        description="Its gates, in the order of the version published last."
    )
    criteria: list[CriterionPattern] = strawberry.field(
        description="Its criteria before the decision, those that separate most first."
    )


@strawberry.type(description="What some deals have in common.")
class Pattern:
    deals: DealCounts = strawberry.field(description="How many deals.")
    outcomes: OutcomeCounts = strawberry.field(description="How the decided ones ended.")
    no_decision: Share = strawberry.field(
        description="The decided deals that ended without a decision."
    )
    regressed: Happening = strawberry.field(
        description="The decided deals that fell back before the decision by a word against them."
    )
    lapsed: Happening = strawberry.field(
        description="The decided deals that fell back before the decision by a lapse of evidence."
    )
    looped: Happening = strawberry.field(
        description="The decided deals that passed a gate again after they lost it."
    )
    playbooks: list[PlaybookPattern] = strawberry.field(description="By playbook.")


@strawberry.type(description="What the deals of a group have in common.")
class GroupPattern(Pattern):
    key: list[GroupKey] = strawberry.field(description="The group.")

    @classmethod
    def of(cls, facts: dict[str, Any]) -> GroupPattern:
        """A group as `projections.patterns.patterns` tells it."""
        key = [{"dimension": name, "value": value} for name, value in facts["key"].items()]
        return told(cls, {**facts, "key": key})


@strawberry.type(description="The days on which a decision counts, both included.")
class DecidedWindow:
    first_day: Date | None = strawberry.field(description="Null where nothing limits it.")
    last_day: Date | None = strawberry.field(description="Null where nothing limits it.")


@strawberry.type(description="What many deals have in common.")
class Patterns(Pattern):
    book: strawberry.Private[Opener]
    listed: strawberry.Private[tuple[Any, ...]]
    answer: strawberry.Private[dict[str, Any]]
    organisation: str = strawberry.field(
        description="as_was or as_is: by whose manager and team it is grouped."
    )
    decided: DecidedWindow = strawberry.field(description="When the deals were decided.")
    against: str = strawberry.field(description="What the won deals are held against.")

    @strawberry.field(description="By group, in their order; empty where none were asked for.")
    def groups(
        self,
        first: FirstArgument = None,
        after: AfterArgument = None,
        last: LastArgument = None,
        before: BeforeArgument = None,
    ) -> Connection[GroupPattern]:
        paging = Paging(first, after, last, before)
        return page(self.book, self.listed, paging, self.answer["groups"], GroupPattern.of)

    @classmethod
    def at(cls, opener: Opener, listed: tuple[Any, ...], answer: dict[str, Any]) -> Patterns:
        """Patterns.

        Args:
            opener: of the snapshot.
            listed: what was asked, as JSON.
            answer: see `projections.patterns.patterns`.
        """
        return told(cls, {**answer, "book": opener, "listed": listed, "answer": answer})
