"""A deal as it was known then: what was claimed of it and what its evidence supported, at every
instant at which that could change.

Law: as known at T a deal is folded at valid time T from what was known by T - its own events, the
evidence of its accounts, the playbook versions (or the one version asked under). No T lies outside
the basis: valid time stops at that of the basis, and so does knowledge. What is known changes only
when an event becomes known, and what holds only when something said earlier takes effect or when
evidence lapses, which the fold announces. So the moments found here are all there are: between two
of them nothing changes. Nothing is sampled, and nothing is read again from the log.

Debriefs and post-mortems say nothing of claims or gates, so they make no moments. The deal is
folded anew at every moment: the work grows with moments times events. So a deal that is folded from
more than `EVENTS_MAX` events is refused, and a moment keeps only where the deal stood (`Standing`),
never how it came there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from ledger.domain.errors import Refused
from ledger.domain.events import DebriefHeld, Event, PostMortemRecorded
from projections.fold.claims import ClaimedDeal, claimed_deal
from projections.fold.criterion import Rule
from projections.fold.gates import CriterionState, GateState, Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory, Rulebook
from projections.fold.verdict import Verdict, no_evidence_no_revenue

EVENTS_MAX = 1_000
"""Of the deal, the evidence of its accounts, and the playbooks, without those that say nothing of
claims or gates; a deal of the busiest kind has a few hundred."""

_SILENT_TYPES = frozenset({DebriefHeld.type, PostMortemRecorded.type})
"""What no fold of claims or gates takes."""


class Standing(NamedTuple):
    """Where a deal stood at an instant, and what its criteria and gates were.

    Args:
        rulebook: the playbook version that judged; None where none was in force.
        stands_at: the first gate that was not passed; None when all were, or none was judged.
        criteria: in gate order.
        gates: in order.
        went_back: position -> gate: the goings back of the buyer on which a criterion rests.
    """

    rulebook: Rulebook | None
    stands_at: str | None
    criteria: tuple[CriterionState, ...]
    gates: tuple[GateState, ...]
    went_back: Mapping[int, str]

    @classmethod
    def of(cls, found: Qualification) -> Standing:
        """What a fold says of its last instant."""
        causes = {
            cause
            for state in found.criteria
            if state.judgement.rule is Rule.BUYER_WENT_BACK
            for cause in state.judgement.causes
        }
        went_back = {word.cause: word.gate for word in found.declared if word.cause in causes}
        return cls(found.rulebook, found.stands_at, found.criteria, found.gates, went_back)

    def criterion(self, key: str) -> CriterionState | None:
        """The state of a criterion; None where the version does not have it."""
        return next((each for each in self.criteria if each.key == key), None)

    def gate_state(self, key: str) -> GateState | None:
        """The state of a gate; None where the version does not have it."""
        return next((each for each in self.gates if each.key == key), None)


class Known(NamedTuple):
    """A deal as it was known at an instant: claimed, evidenced, and what may be projected."""

    claimed: ClaimedDeal
    standing: Standing
    verdict: Verdict


class Moment(NamedTuple):
    """From an instant on, until the next moment, this was known.

    Args:
        at: the instant, on both time axes.
        deal: the deal; None where it was not known to be in the book.
    """

    at: str
    deal: Known | None


class Sources(NamedTuple):
    """All that a deal is folded from, as the basis sees it.

    Args:
        deal_id: the deal's own id.
        events: its visible events.
        account_events: account id -> the visible evidence of that account's stream.
        playbook_events: the visible events of all playbook streams.
        playbooks: the versions that the basis sees.
        valid_at: valid time of the basis, in the one spelling.
    """

    deal_id: str
    events: Sequence[Event]
    account_events: Mapping[str, Sequence[Event]]
    playbook_events: Sequence[Event]
    playbooks: PlaybookHistory
    valid_at: str


class KnownThen:
    """Folds one deal as it was known at any instant.

    Args:
        sources: what it is folded from.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        mentioned = accounts_mentioned(sources.events)
        self.account_events: dict[str, Sequence[Event]] = {
            account: events
            for account, events in sources.account_events.items()
            if account in mentioned
        }
        self._histories: dict[int, PlaybookHistory] = {}

    def at(self, instant: str, *, told_early: frozenset[int] = frozenset()) -> Known | None:
        """The deal as it was known at an instant; None where it was not known to be there.

        Args:
            instant: both time axes, in the one spelling.
            told_early: positions of events to take as known then, whenever they became known.
        """
        return self._fold(instant, instant, None, told_early).known

    def in_hindsight(self, valid_at: str) -> Known | None:
        """The deal at an instant of valid time, from all that the basis knows."""
        sources = self._sources
        found = qualify(
            sources.deal_id, sources.events, valid_at, sources.playbooks, self.account_events
        )
        return self._known(sources.events, valid_at, found)

    def moments(self, until: str) -> list[Moment]:
        """Every moment at which what is known could change, in the order of time.

        Args:
            until: the last instant looked at, on both time axes.

        Raises:
            Refused: `too-many-events`.
        """
        found: list[Moment] = []
        instants = [each for each in self._instants() if each <= until]
        for instant, following in pairwise([*instants, None]):
            assert instant is not None  # noqa: S101 - only the last of the list is None
            folded = self._fold(instant, instant, following or until)
            found.append(Moment(instant, folded.known))
            found += [
                Moment(lapse, self._fold(lapse, instant).known)
                for lapse in folded.lapses
                if following is None or lapse < following
            ]
        return found

    def _instants(self) -> list[str]:
        """When something became known, or took effect after it was known; none before the deal."""
        sources = self._sources
        of_accounts = (event for events in self.account_events.values() for event in events)
        told = [
            event
            for event in (*sources.events, *of_accounts, *sources.playbook_events)
            if event["type"] not in _SILENT_TYPES
        ]
        if len(told) > EVENTS_MAX:
            raise Refused(
                "too-many-events",
                f"the deal is told by {len(told)} events, and a post-mortem folds at most "
                f"{EVENTS_MAX} again and again",
                where=f"deal:{sources.deal_id}",
                hint="ask as of an earlier instant, or for explain and timeline, which fold once",
            )
        found = {instant for event in told for instant in _instants_of(event)}
        first = min((event["known_at"] for event in sources.events), default="")
        return sorted(each for each in found if each >= first)

    def _fold(
        self,
        valid_at: str,
        known_at: str,
        ahead_until: str | None = None,
        told_early: frozenset[int] = frozenset(),
    ) -> _Folded:
        valid_at = min(valid_at, self._sources.valid_at)
        if ahead_until is not None:
            ahead_until = min(ahead_until, self._sources.valid_at)

        def known(events: Sequence[Event]) -> list[Event]:
            return [
                event
                for event in events
                if event["known_at"] <= known_at or event["position"] in told_early
            ]

        events = known(self._sources.events)
        accounts: dict[str, Sequence[Event]] = {
            account: known(theirs) for account, theirs in self.account_events.items()
        }
        found = qualify(
            self._sources.deal_id,
            events,
            valid_at,
            self._playbooks(known_at),
            accounts,
            ahead_until=ahead_until,
        )
        return _Folded(self._known(events, valid_at, found), _lapses(found))

    def _known(
        self, events: Sequence[Event], valid_at: str, found: Qualification | None
    ) -> Known | None:
        claimed = claimed_deal(self._sources.deal_id, events, valid_at)
        if claimed is None or found is None:
            return None
        return Known(claimed, Standing.of(found), no_evidence_no_revenue(found))

    def _playbooks(self, known_at: str) -> PlaybookHistory:
        """The versions known at an instant; each set of them is compiled once."""
        if self._sources.playbooks.under is not None:
            return self._sources.playbooks
        events = [event for event in self._sources.playbook_events if event["known_at"] <= known_at]
        if len(events) == len(self._sources.playbook_events):
            return self._sources.playbooks
        history = self._histories.get(len(events))
        if history is None:
            history = PlaybookHistory(events, self._sources.valid_at)
            self._histories[len(events)] = history
        return history


def _instants_of(event: Event) -> Iterator[str]:
    yield event["known_at"]
    taking_effect = [event["occurred_at"], event["payload"].get("occurred_at")]  # an act's, too
    yield from (each for each in taking_effect if each is not None and each > event["known_at"])


class _Folded(NamedTuple):
    """A deal folded once, and the announced instants at which its evidence lapses."""

    known: Known | None
    lapses: Sequence[str]


def _lapses(found: Qualification | None) -> list[str]:
    if found is None:
        return []
    changes = {change.at for change in found.upcoming}
    return sorted(changes | {move.at for move in found.upcoming_moves})


def accounts_mentioned(events: Iterable[Event]) -> frozenset[str]:
    """The accounts that a deal's events, or corrections of them, say that it belongs to."""
    said = (event["payload"] for event in events)
    named = (
        (payload.get("account"), (payload.get("payload") or {}).get("account")) for payload in said
    )
    return frozenset(account for both in named for account in both if account)


def moment_at(moments: Sequence[Moment], instant: str) -> Known | None:
    """What was known at an instant, which lies at or before the end of the moments."""
    index = bisect_right(moments, instant, key=attrgetter("at"))
    return moments[index - 1].deal if index else None
