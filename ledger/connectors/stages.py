"""What a CRM's stages and categories mean.

Law: a mapping's word about a stage goes first; then the stage's name, where it says how a deal
ended; then what the export's own records show (their flags and categories, by majority). A stage
that nothing tells about is an open one in the pipeline. Where records are asked at all, a mapping
that gives a stage neither outcome nor category leaves both to its name and the records.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple, TypeVar

from ledger.domain.events import Category, Outcome

_T = TypeVar("_T")

_NOT_WORD = re.compile(r"[^a-z0-9]+")

_OUTCOMES = {
    "won": Outcome.WON,
    "lost": Outcome.LOST,
    "nodecision": Outcome.NO_DECISION,
    "disqualified": Outcome.DISQUALIFIED,
    "abandoned": Outcome.ABANDONED,
    "cancelled": Outcome.ABANDONED,
    "canceled": Outcome.ABANDONED,
}

_CATEGORIES = {
    "omitted": Category.OMITTED,
    "notforecasted": Category.OMITTED,
    "pipeline": Category.PIPELINE,
    "bestcase": Category.BEST_CASE,
    "upside": Category.BEST_CASE,
    "mostlikely": Category.BEST_CASE,
    "commit": Category.COMMIT,
    "forecast": Category.COMMIT,
    "closed": Category.CLOSED,
    "closedwon": Category.CLOSED,
}


def plain(text: str) -> str:
    """A name without case, blanks and punctuation: `Closed Won` and `closed_won` are one."""
    return _NOT_WORD.sub("", text.lower())


def outcome_named(stage: str) -> Outcome | None:
    """How a deal in a stage of that name has ended; none when the name does not say."""
    return _OUTCOMES.get(plain(stage).removeprefix("closed"))


def category_named(text: str) -> Category | None:
    """The forecast category of that name, by its usual spellings; none for any other text."""
    return _CATEGORIES.get(plain(text))


def says_no_decision(reason: str) -> bool:
    """Whether a loss reason says that the buyer decided nothing."""
    return "nodecision" in plain(reason)


class StageRule(NamedTuple):
    """What it means that a deal is in a stage.

    Args:
        gate: the playbook gate before which it stands.
        category: the forecast category of an open deal there.
        outcome: how the deal has ended; none for an open stage.
        probability: in percent, where the mapping gives one.
        evidence: the criteria for which reaching the stage is attested evidence.
        against: the criteria against which reaching the stage is attested evidence.
        ignore: whether rows with this stage are no stage moves at all.
        reopens: whether an open stage after a close reopens the deal.
        told: whether a mapping, a name or the records told anything about it.
    """

    gate: str | None = None
    category: Category | None = None
    outcome: Outcome | None = None
    probability: int | None = None
    evidence: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    ignore: bool = False
    reopens: bool = True
    told: bool = False


class Learned(NamedTuple):
    """What the records of an export show about a stage, and whether they agree."""

    categories: Mapping[str, Category]
    outcomes: Mapping[str, Outcome]
    split: tuple[str, ...] = ()
    """Sentences on the stages about which the records do not agree."""


NOTHING_LEARNED = Learned({}, {})
"""Records are not asked: stages that the mapping leaves out are told as such."""


class Stages:
    """All stages of one import.

    Args:
        mapped: stage name, or pattern with `*`, to its rule; the first match counts.
        learned: what the export's records show.
    """

    def __init__(self, mapped: Mapping[str, StageRule], learned: Learned = NOTHING_LEARNED) -> None:
        self._exact = {name: rule for name, rule in mapped.items() if "*" not in name}
        self._patterns = [(name, rule) for name, rule in mapped.items() if "*" in name]
        self._learned = learned
        self.learns = learned is not NOTHING_LEARNED
        self._rules: dict[str, StageRule] = {}

    def rule(self, stage: str) -> StageRule:
        """The rule of a stage."""
        rule = self._rules.get(stage)
        if rule is None:
            rule = self._rules[stage] = self._find(stage)
        return rule

    def _find(self, stage: str) -> StageRule:
        rule = self._exact.get(stage)
        if rule is None:
            matches = (rule for name, rule in self._patterns if fnmatchcase(stage, name))
            rule = next(matches, None)
        if rule is not None and (rule.outcome or rule.category or not self.learns):
            return rule._replace(told=True)
        outcome = outcome_named(stage) or self._learned.outcomes.get(stage)
        category = self._learned.categories.get(stage)
        told = rule is not None or outcome is not None or category is not None
        rule = rule or StageRule()
        return rule._replace(category=category, outcome=outcome, told=told)


class StageSample(NamedTuple):
    """What one record shows about its stage."""

    stage: str
    category: Category | None
    is_closed: bool | None
    is_won: bool | None


def learn(samples: list[StageSample]) -> Learned:
    """What records show about their stages, by majority.

    A stage's name goes before the flags of its records; only open records teach a category.
    """
    endings: dict[str, Counter[Outcome | None]] = {}
    for sample in samples:
        if sample.is_closed is not None and outcome_named(sample.stage) is None:
            ending = Outcome.WON if sample.is_won else Outcome.LOST
            endings.setdefault(sample.stage, Counter())[ending if sample.is_closed else None] += 1
    decided = {stage: _majority(votes) for stage, votes in endings.items()}
    outcomes = {stage: outcome for stage, outcome in decided.items() if outcome is not None}
    shown: dict[str, Counter[Category]] = {}
    for sample in samples:
        category = sample.category
        ended = sample.is_closed or outcome_named(sample.stage) or sample.stage in outcomes
        if not ended and category is not None and category is not Category.CLOSED:
            shown.setdefault(sample.stage, Counter())[category] += 1
    split = [
        f"stage {stage!r} stands with categories {_shares(votes)}"
        for stage, votes in shown.items()
        if len(votes) > 1
    ]
    split += [
        f"stage {stage!r} has records that are open and closed, or won and lost"
        for stage, ends in endings.items()
        if len(ends) > 1
    ]
    categories = {stage: _majority(votes) for stage, votes in shown.items()}
    return Learned(categories, outcomes, tuple(split))


def _majority(votes: Counter[_T]) -> _T:
    """The most frequent; of equals, the first in the order of their names."""
    return min(votes, key=lambda value: (-votes[value], str(value)))


def _shares(votes: Counter[Category]) -> str:
    return ", ".join(f"{category} ({count})" for category, count in votes.most_common())
