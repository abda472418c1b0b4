"""What a set of deals has in common: gates, time, loops, and what tells the won from the others.

Law: each deal is judged once, at the basis. A set is the deals decided in a window of days, in the
reporting time zone; without a window it is all that are decided, and the open ones, which count for
gates alone. Each share stands with its counts and its interval, each difference with an interval
and, where a group is small, with `few`; see `fold.statistics`. No significance is claimed: many
criteria are looked at at once, and some differ by chance.

    conversion     of the deals that reached a gate, and are not still under way to get through it,
                   how many did (see `fold.stays`). Under way are open deals, also those that fell
                   back since, and won ones at gates after the decision. A deal won while it stood
                   at a gate did not get through it on its evidence.
    days           how long deals stood at a gate in all, of those that stood there and do not now
    regressed      decided deals that fell back to an earlier gate before the decision, by a word
                   against it
    lapsed         the same by a lapse of evidence
    looped         decided deals that passed a gate before the decision again after they lost it
    criteria       of the deals won, and of the others, how many had evidence that met a criterion:
                   when they were decided, or ever. The others are all that were decided and not
                   won, or those of one outcome. Only deals count whose version has the criterion.
    no_decision    of the decided deals, how many ended without a decision
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Outcome
from projections.book import Book
from projections.fold.criterion import Status
from projections.fold.gates import MoveKind, Qualification
from projections.fold.people import Organisation
from projections.fold.rulebook import Rulebook
from projections.fold.statistics import Share, difference, quartiles_as_dict
from projections.fold.stays import Way, falls, loops_before_decision, way
from projections.forecast import Directory, check_group_by, deal_dimension
from projections.qualified import BookDeal
from projections.tally import GroupKey

NOT_WON = "not_won"
AGAINST = (NOT_WON, *(str(outcome) for outcome in Outcome if outcome is not Outcome.WON))
"""What the won deals can be held against."""


class Window(NamedTuple):
    """The days on which a decision counts, both included; None does not limit."""

    first_day: date | None = None
    last_day: date | None = None

    @property
    def limits(self) -> bool:
        return self != ALL_DAYS

    def holds(self, day: date) -> bool:
        """Whether a day lies in it."""
        return (self.first_day is None or self.first_day <= day) and (
            self.last_day is None or day <= self.last_day
        )

    def as_dict(self) -> dict[str, str | None]:
        first, last = self.first_day, self.last_day
        return {
            "first_day": None if first is None else first.isoformat(),
            "last_day": None if last is None else last.isoformat(),
        }


ALL_DAYS = Window()


def window_of(
    book: Book, *, period: str | None = None, first: date | None = None, last: date | None = None
) -> Window:
    """The window asked for.

    Args:
        book: for its fiscal calendar.
        period: a fiscal period; None where days are given, or nothing limits.
        first: the first day.
        last: the last day.

    Raises:
        InvalidInput: `invalid-period`, `period-and-days`, `ends-before-it-starts`.
    """
    if period is not None:
        if first is not None or last is not None:
            raise InvalidInput(
                "period-and-days", "give either a period or days, not both", where="period"
            )
        asked = book.period(period)
        return Window(asked.first_day, asked.last_day)
    if first is not None and last is not None and last < first:
        raise InvalidInput("ends-before-it-starts", f"{last} lies before {first}", where="to")
    return Window(first, last)


class Studied(NamedTuple):
    """What patterns are made of: one deal, judged.

    Args:
        outcome: `open`, or how it ended.
        found: its gates at the basis.
        way: how far it came.
    """

    outcome: str
    found: Qualification
    way: Way

    @property
    def rulebook(self) -> Rulebook | None:
        return self.found.rulebook

    def met_at_decision(self) -> frozenset[str]:
        """The criteria met when it was decided: the decision settled them."""
        return frozenset(each.key for each in self.found.criteria if each.status is Status.MET)

    def ever_met(self) -> frozenset[str]:
        """The criteria that evidence met at any time."""
        changes = self.found.changes
        return frozenset(each.criterion for each in changes if each.after.status is Status.MET)


def studied(deal: BookDeal) -> Studied:
    """Judge one deal."""
    found = deal.qualification
    return Studied(deal.claimed.outcome, found, way(found))


def patterns(
    book: Book,
    window: Window = ALL_DAYS,
    group_by: Iterable[str] = (),
    against: str = NOT_WON,
    organisation: Organisation = Organisation.AS_WAS,
) -> dict[str, Any]:
    """What the deals of a set have in common.

    Args:
        book: the book at the basis.
        window: the days of the decisions; see `window_of`.
        group_by: owner, manager, team, stage, gate, account, or any dimension such as segment.
        against: the deals that those won are held against: `not_won`, or an outcome.
        organisation: by whose manager and team: as it was at the basis, or as it is.

    Returns:
        JSON: `basis`, `organisation`, `decided` (the window), `against`, the pattern of the whole
        set, and `groups[]` with a `key` and the pattern of each.

    Raises:
        InvalidInput: `invalid-dimension`, `too-many-dimensions`, `unknown-outcome`.
    """
    dimensions = check_group_by(group_by)
    if against not in AGAINST:
        raise InvalidInput(
            "unknown-outcome", f"won deals cannot be held against {against!r}", where="against",
            hint=f"it is one of {', '.join(AGAINST)}",
        )  # fmt: skip
    directory = book.directory_of(organisation) if dimensions else Directory()
    groups: defaultdict[GroupKey, list[Studied]] = defaultdict(list)
    for deal in book.deals():
        if _in_window(deal, window, book):
            groups[_key(deal, dimensions, directory)].append(studied(deal))
    keys = sorted(groups, key=lambda key: tuple((part is None, part or "") for part in key))
    book.check_known(dimensions, keys)
    everything = [each for key in keys for each in groups[key]]
    return {
        "basis": book.basis.as_dict(),
        "organisation": str(organisation),
        "decided": window.as_dict(),
        "against": against,
        **pattern_of(everything, against),
        "groups": [
            {
                "key": dict(zip(dimensions, key, strict=True)),
                **pattern_of(groups[key], against),
            }
            for key in (keys if dimensions else [])
        ],
    }


def _in_window(deal: BookDeal, window: Window, book: Book) -> bool:
    if deal.claimed.outcome == OPEN:
        return not window.limits
    if not window.limits:
        return True
    return window.holds(
        book.calendar.day_of(datetime.fromisoformat(deal.claimed.value("closed_at")))
    )


def _key(deal: BookDeal, dimensions: Sequence[str], directory: Directory) -> GroupKey:
    return tuple(
        deal.verdict.gate if name == "gate" else deal_dimension(deal.claimed, name, directory)
        for name in dimensions
    )


def pattern_of(deals: Sequence[Studied], against: str = NOT_WON) -> dict[str, Any]:
    """The pattern of some deals.

    Args:
        deals: judged at one basis.
        against: the deals that those won are held against.

    Returns:
        JSON: `deals`, `outcomes`, `no_decision`, `regressed`, `lapsed`, `looped`, and for each
        playbook its `gates[]` and `criteria[]`.
    """
    decided = [deal for deal in deals if deal.outcome != OPEN]
    outcomes = Counter(deal.outcome for deal in decided)
    judged = [deal for deal in decided if deal.rulebook is not None]
    return {
        "deals": {
            "decided": len(decided),
            "open": len(deals) - len(decided),
            "not_judged": sum(deal.rulebook is None for deal in deals),
        },
        "outcomes": {str(outcome): outcomes[outcome] for outcome in Outcome},
        "no_decision": Share(outcomes[Outcome.NO_DECISION], len(decided)).as_dict(),
        "regressed": _rate(judged, lambda deal: falls(deal.found, MoveKind.REGRESSED)),
        "lapsed": _rate(judged, lambda deal: falls(deal.found, MoveKind.LAPSED)),
        "looped": _rate(judged, lambda deal: loops_before_decision(deal.found)),
        "playbooks": [
            {
                "playbook": playbook,
                "gates": _gates(theirs),
                "criteria": _criteria(theirs, against),
            }
            for playbook, theirs in sorted(_by_playbook(deals).items())
        ],
    }


def _rate(deals: Sequence[Studied], times: Callable[[Studied], int]) -> dict[str, Any]:
    counted = [times(deal) for deal in deals]
    share = Share(sum(count > 0 for count in counted), len(counted))
    return {**share.as_dict(), "times": sum(counted)}


def _by_playbook(deals: Iterable[Studied]) -> dict[str, list[Studied]]:
    found: defaultdict[str, list[Studied]] = defaultdict(list)
    for deal in deals:
        if deal.rulebook is not None:
            found[deal.rulebook.playbook.key].append(deal)
    return dict(found)


def _newest(deals: Iterable[Studied]) -> Rulebook:
    """The version published last of those that judge some deals: gates are told in its order."""
    books = (deal.rulebook for deal in deals if deal.rulebook is not None)
    return max(books, key=lambda rulebook: rulebook.cause)


# --- gates ----------------------------------------------------------------------------------------


def _gates(deals: Sequence[Studied]) -> list[dict[str, Any]]:
    newest = _newest(deals)
    return [
        {
            "gate": gate.key,
            "name": gate.name,
            "after_decision": gate.after_decision,
            "expected_days": gate.expected_days,
            **_gate(gate.key, deals),
        }
        for gate in newest.gates
    ]


class _AtGate(NamedTuple):
    """A deal and the index of a gate in the version that judges it."""

    deal: Studied
    gate: int

    @property
    def through(self) -> bool:
        return self.gate in self.deal.way.through

    @property
    def under_way(self) -> bool:
        rulebook = self.deal.rulebook
        after_decision = rulebook is not None and self.gate >= rulebook.decision
        return not self.through and (self.deal.outcome == OPEN or after_decision)


def _gate(key: str, deals: Sequence[Studied]) -> dict[str, Any]:
    known = [
        _AtGate(deal, deal.rulebook.gate_index[key])
        for deal in deals
        if deal.rulebook is not None and key in deal.rulebook.gate_index
    ]
    reached = [each for each in known if each.gate in each.deal.way.reached]
    under_way = [each for each in reached if each.under_way]
    through = sum(each.through for each in reached)
    ended = Counter(
        each.deal.outcome for each in reached if not each.through and not each.under_way
    )
    loops = sum(loop.gate == key for deal in deals for loop in deal.found.loops)
    return {
        "reached": len(reached),
        "through": through,
        "under_way": len(under_way),
        "ended_there": {str(outcome): ended[outcome] for outcome in Outcome},
        "conversion": Share(through, len(reached) - len(under_way)).as_dict(),
        "days": quartiles_as_dict(_lengths(known)),
        "regressions": sum(each.deal.found.gates[each.gate].regressions for each in known),
        "loops": loops,
    }


def _lengths(known: Iterable[_AtGate]) -> Iterable[timedelta]:
    """How long deals stood at a gate, of those that do not stand there now."""
    for each in known:
        length = each.deal.way.lengths.get(each.gate)
        if length is not None and each.deal.way.standing != each.gate:
            yield length


# --- what separates ---------------------------------------------------------------------------


def _criteria(deals: Sequence[Studied], against: str) -> list[dict[str, Any]]:
    """The criteria before the decision, those that separate most first."""
    newest = _newest(deals)
    sides = [
        [deal for deal in deals if deal.outcome == Outcome.WON],
        [deal for deal in deals if _held_against(deal, against)],
    ]
    rows = [
        {
            "criterion": key,
            "gate": newest.gates[rule.gate].key,
            "mandatory": rule.criterion.mandatory,
            "at_decision": _separates(key, sides, Studied.met_at_decision),
            "ever": _separates(key, sides, Studied.ever_met),
        }
        for key, rule in newest.criteria.items()
        if rule.gate < newest.decision
    ]
    return sorted(rows, key=_by_difference)


def _held_against(deal: Studied, against: str) -> bool:
    if against == NOT_WON:
        return deal.outcome not in {OPEN, Outcome.WON}
    return deal.outcome == against


def _separates(
    key: str, sides: Sequence[Sequence[Studied]], met: Callable[[Studied], frozenset[str]]
) -> dict[str, Any]:
    won, others = (
        Share(sum(key in met(deal) for deal in known), len(known))
        for known in (
            [deal for deal in side if deal.rulebook is not None and key in deal.rulebook.criteria]
            for side in sides
        )
    )
    return {"won": won.as_dict(), "others": others.as_dict(), **difference(won, others)}


def _by_difference(row: dict[str, Any]) -> float:
    found = row["at_decision"]["difference"]
    return 0.0 if found is None else -abs(found)
