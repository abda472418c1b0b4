"""One exit criterion at one instant: met or not, by which rule, because of which events.

Law, in the order in which it is asked:

1. A waiver in force sets the criterion aside: `waived`.
2. Among the pieces of evidence that support it and are newer than the last word against it, those
   count whose source kind the criterion admits and whose speaker may be heard. The newest that
   counts decides: `met` while it is fresh, `stale` from the instant on at which its age reaches
   the freshness that the bar asks for.
3. A word against it that nothing newer outweighs leaves it `contradicted`: evidence to the
   contrary, whoever gave it, or the buyer's own going back to its gate or one before it. Of two
   opposite words about one instant, the one against counts.
4. What was met once and is not now, because its speaker left or lost the role, is `stale`.
5. Everything else is `unmet`.

A speaker may be heard for what they are at that instant: they must be named, have been there when
they spoke, be there still (unless the criterion outlives their leaving), and have the role and the
seniority asked for.
Evidence that says nobody is only a claim; the word of a CRM, for it or against it, counts where the
criterion names `crm`.
What stands on the account counts for criteria of the organization layer, and for no others.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping
from enum import StrEnum
from operator import attrgetter
from typing import NamedTuple, TypeVar

from ledger.domain.playbook import SENIORITIES, Seniority
from projections.fold.rulebook import CriterionRule, expiry


class Status(StrEnum):
    """What a criterion is at an instant."""

    UNMET = "unmet"
    MET = "met"
    STALE = "stale"
    CONTRADICTED = "contradicted"
    WAIVED = "waived"


class Rule(StrEnum):
    """Why a criterion is what it is; stable names."""

    EVIDENCE_COUNTS = "evidence-counts"
    WAIVER_IN_FORCE = "waiver-in-force"
    EVIDENCE_AGED = "evidence-aged"
    SPEAKER_LEFT = "speaker-left"
    EVIDENCE_AGAINST = "evidence-against"
    BUYER_WENT_BACK = "buyer-went-back"
    NO_EVIDENCE = "no-evidence"
    NOBODY_NAMED = "nobody-named"
    SPEAKER_WITHOUT_ROLE = "speaker-without-role"
    SPEAKER_TOO_JUNIOR = "speaker-too-junior"
    SOURCE_DOES_NOT_COUNT = "source-does-not-count"
    WRONG_LAYER = "wrong-layer"


class Stakeholder(NamedTuple):
    """Somebody at the buyer, as of an instant.

    Args:
        stakeholder_id: as the deal's events name them.
        role: a role of the playbook.
        left_at: when they left last; they may have come back since.
        here: whether they are there now.
        away: each time that they were away: from when until when, None for still.
        cause: the position of the last event about them.
    """

    stakeholder_id: str
    name: str | None = None
    title: str | None = None
    role: str | None = None
    seniority: Seniority | None = None
    influence: str | None = None
    reports_to: str | None = None
    left_at: str | None = None
    here: bool = True
    cause: int = 0
    away: tuple[tuple[str, str | None], ...] = ()

    def was_there(self, instant: str) -> bool:
        """Whether they were there at an instant; at that of leaving or coming back, they were."""
        return not any(
            left < instant and (back is None or instant < back) for left, back in self.away
        )


class Piece(NamedTuple):
    """A piece of evidence: when it was said, by whom, in which kind of source.

    Args:
        event_id: orders pieces of one instant, whichever became known first.
        of_account: whether it stands on the account, and so counts only for its organization.
    """

    occurred_at: str
    event_id: str
    kind: str
    said_by: str | None
    cause: int
    of_account: bool = False


class Word(NamedTuple):
    """A word against a criterion: when, by which rule, and the event; see `Piece`."""

    occurred_at: str
    event_id: str
    rule: Rule
    cause: int
    of_account: bool = False
    of_crm: bool = False


class Waiver(NamedTuple):
    """A criterion set aside until an instant, at which it is so no more."""

    ends_at: str
    cause: int


_place = attrgetter("occurred_at", "event_id")
_Said = TypeVar("_Said", Piece, Word)


def _put(said: list[_Said], one: _Said) -> None:
    """Put what was said at its place in time; it mostly comes last."""
    if not said or said[-1].occurred_at < one.occurred_at:
        said.append(one)
    else:
        insort(said, one, key=_place)


class Track:
    """All that was said of one criterion so far, in the fold's order."""

    __slots__ = ("against", "for_it", "waiver", "was_met")

    def __init__(self) -> None:
        self.for_it: list[Piece] = []
        self.against: list[Word] = []
        self.waiver: Waiver | None = None
        self.was_met = False

    def supported(self, piece: Piece) -> None:
        """Take a piece of evidence for it, at its place in time."""
        _put(self.for_it, piece)

    def contradicted(self, word: Word) -> None:
        """Take a word against it."""
        _put(self.against, word)

    def without(self, causes: frozenset[int]) -> None:
        """Forget some pieces: the deal belongs to another account now."""
        self.for_it = [piece for piece in self.for_it if piece.cause not in causes]
        self.against = [word for word in self.against if word.cause not in causes]


class Judgement(NamedTuple):
    """What a criterion is at an instant, and why.

    Args:
        status: what it is.
        rule: the rule that says so.
        causes: the positions of the events that it rests on.
        lapses_at: when it ceases to hold if nothing happens; None never.
        said_by: whose word it rests on.
        held_to: the gate to whose strictness its age was held.
        lapsed_at: when its age reached that.
    """

    status: Status
    rule: Rule
    causes: tuple[int, ...] = ()
    lapses_at: str | None = None
    said_by: str | None = None
    held_to: int | None = None
    lapsed_at: str | None = None

    @property
    def holds(self) -> bool:
        """Whether the criterion counts as fulfilled."""
        return self.status is Status.MET or self.status is Status.WAIVED


UNMET = Judgement(Status.UNMET, Rule.NO_EVIDENCE)


def judge(
    rule: CriterionRule,
    track: Track,
    bar: int,
    now: str,
    stakeholders: Mapping[str, Stakeholder],
    went_back: Word | None,
) -> Judgement:
    """Judge one criterion.

    Args:
        rule: the criterion, as its playbook version says.
        track: what was said of it so far.
        bar: how many gates the deal got through at its furthest; the gate it is held to.
        now: valid time, in the one spelling.
        stakeholders: who is at the buyer now.
        went_back: the buyer's last going back to the criterion's gate or one before it.
    """
    if track.waiver is not None and now < track.waiver.ends_at:
        return Judgement(
            Status.WAIVED, Rule.WAIVER_IN_FORCE, (track.waiver.cause,), track.waiver.ends_at
        )
    against = _last_against(rule, track)
    if went_back is not None and (against is None or against.occurred_at < went_back.occurred_at):
        against = went_back
    unheard: Judgement | None = None
    for piece in reversed(track.for_it):
        if against is not None and piece.occurred_at <= against.occurred_at:
            break
        why_not = _why_unheard(rule, piece, stakeholders)
        if why_not is None:
            return _by_age(piece, rule, bar, now)
        found = _unheard(why_not, piece, track, stakeholders)
        if unheard is None or (unheard.status, found.status) == (Status.UNMET, Status.STALE):
            unheard = found
    if against is not None:
        return Judgement(Status.CONTRADICTED, against.rule, (against.cause,))
    return unheard or UNMET


def _last_against(rule: CriterionRule, track: Track) -> Word | None:
    shared = rule.criterion.layer == "organization"
    admits_crm = "crm" in rule.kinds
    for word in reversed(track.against):
        if (shared or not word.of_account) and (admits_crm or not word.of_crm):
            return word
    return None


def _by_age(piece: Piece, rule: CriterionRule, bar: int, now: str) -> Judgement:
    lapses_at = expiry(piece.occurred_at, rule.fresh[bar])
    if lapses_at is None or now < lapses_at:
        return Judgement(
            Status.MET, Rule.EVIDENCE_COUNTS, (piece.cause,), lapses_at, piece.said_by, bar
        )
    return Judgement(
        Status.STALE, Rule.EVIDENCE_AGED, (piece.cause,), None, piece.said_by, bar, lapses_at
    )


def _why_unheard(
    rule: CriterionRule, piece: Piece, stakeholders: Mapping[str, Stakeholder]
) -> Rule | None:
    """Why a piece does not count at all; None when it does."""
    if piece.of_account and rule.criterion.layer != "organization":
        return Rule.WRONG_LAYER
    if piece.kind not in rule.kinds:
        return Rule.SOURCE_DOES_NOT_COUNT
    if piece.said_by is None:
        return None if piece.kind == "crm" else Rule.NOBODY_NAMED
    speaker = stakeholders.get(piece.said_by)
    criterion = rule.criterion
    if speaker is not None and speaker.left_at is not None:
        left_since = piece.occurred_at <= speaker.left_at
        if left_since and criterion.lapses_with_stakeholder:
            return Rule.SPEAKER_LEFT
        if not speaker.was_there(piece.occurred_at):
            return Rule.SPEAKER_LEFT
    wanted = criterion.said_by_role
    if wanted is not None and (speaker is None or speaker.role != wanted):
        return Rule.SPEAKER_WITHOUT_ROLE
    if not _senior_enough(speaker, criterion.said_by_seniority):
        return Rule.SPEAKER_TOO_JUNIOR
    return None


def _senior_enough(speaker: Stakeholder | None, wanted: Seniority | None) -> bool:
    if wanted is None:
        return True
    known = None if speaker is None else speaker.seniority
    return known is not None and SENIORITIES.index(known) <= SENIORITIES.index(wanted)


_SPEAKER_LOST = frozenset({Rule.SPEAKER_LEFT, Rule.SPEAKER_WITHOUT_ROLE, Rule.SPEAKER_TOO_JUNIOR})


def _unheard(
    rule: Rule, piece: Piece, track: Track, stakeholders: Mapping[str, Stakeholder]
) -> Judgement:
    lost = track.was_met and rule in _SPEAKER_LOST
    causes = [piece.cause]
    if lost or rule is Rule.SPEAKER_LEFT:
        speaker = stakeholders.get(piece.said_by or "")
        causes += [] if speaker is None else [speaker.cause]
    return Judgement(
        Status.STALE if lost else Status.UNMET, rule, tuple(causes), None, piece.said_by
    )
