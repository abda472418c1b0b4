"""Playbooks as a fold uses them: which version judges when, and what it asks at each gate.

Law: the version that applies is the one in force at an instant, among those that the basis sees: of
the playbook that the deal names (by default the first one published) the version that took effect
last. Asked under one version, that version applies at every instant. A version never changes, so it
is compiled once.

How fresh evidence must be depends on the *bar*: how many gates the deal has got through at its
furthest. `fresh[bar]` only tightens as the bar goes up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import NamedTuple

from ledger.domain.errors import InvalidInput, NotFound
from ledger.domain.events import Event, PlaybookPublished, PlaybookReviewed, cause_of
from ledger.domain.history import effective
from ledger.domain.playbook import Criterion, Gate, Playbook
from ledger.domain.times import END_OF_TIME, format_instant

BEGINNING = ""
"""Text before every instant."""

REVIEW_DAYS = 60
"""A journey that nobody checked for so long is to be taken as wrong: buyers change."""

_LAST_DAY = END_OF_TIME.toordinal()
_SPEAKING_KINDS = frozenset({"meeting", "call", "email", "document", "other"})


class CriterionRule(NamedTuple):
    """A criterion, compiled.

    Args:
        criterion: as published.
        gate: index of its gate.
        fresh: by bar, how long its evidence counts; None does not age.
        kinds: the kinds of source that count.
    """

    criterion: Criterion
    gate: int
    fresh: tuple[timedelta | None, ...]
    kinds: frozenset[str]


class Rulebook:
    """One published version, compiled.

    Args:
        playbook: the version.
        cause: the position of the event that published it.
    """

    __slots__ = ("cause", "criteria", "decision", "gate_index", "gates", "of_gate", "playbook")

    def __init__(self, playbook: Playbook, cause: int) -> None:
        self.playbook = playbook
        self.cause = cause
        self.gates: tuple[Gate, ...] = playbook.gates
        self.gate_index = {gate.key: index for index, gate in enumerate(playbook.gates)}
        self.criteria: dict[str, CriterionRule] = {
            criterion.key: _compiled(criterion, index, playbook.gates)
            for index, gate in enumerate(playbook.gates)
            for criterion in gate.criteria
        }
        self.of_gate: tuple[tuple[str, ...], ...] = tuple(
            tuple(criterion.key for criterion in gate.criteria) for gate in playbook.gates
        )
        after = [index for index, gate in enumerate(playbook.gates) if gate.after_decision]
        self.decision: int = after[0] if after else len(playbook.gates)
        """How many gates there are before the decision."""

    @property
    def label(self) -> str:
        """`key@version`."""
        return f"{self.playbook.key}@{self.playbook.version}"

    @property
    def authority_roles(self) -> frozenset[str]:
        """The roles that can spend the money."""
        return frozenset(role.key for role in self.playbook.roles if role.authority)


def _compiled(criterion: Criterion, own_gate: int, gates: tuple[Gate, ...]) -> CriterionRule:
    days = criterion.fresh_for_days
    fresh: list[timedelta | None] = []
    for index, gate in enumerate(gates):
        if index > own_gate:
            days = criterion.fresher_at.get(gate.key, days)
        fresh.append(None if days is None else timedelta(days=days))
    fresh.append(fresh[-1])  # through every gate
    return CriterionRule(
        criterion, own_gate, tuple(fresh), frozenset(criterion.source_kinds) or _SPEAKING_KINDS
    )


def expiry(occurred_at: str, fresh: timedelta | None) -> str | None:
    """The instant at which evidence stops to count: at it, it does not count any more."""
    if fresh is None:
        return None
    day = date.fromisoformat(occurred_at[:10]).toordinal() + fresh.days
    if day > _LAST_DAY:
        return None
    return date.fromordinal(day).isoformat() + occurred_at[10:]  # whole days: the time stays


class _Version(NamedTuple):
    from_instant: str
    rulebook: Rulebook


class PlaybookHistory:
    """All playbook versions that a basis sees, and when each is in force.

    Those announced by `valid_at` for later are among them: what lies ahead is judged by them.

    Args:
        events: the visible events of all playbook streams.
        valid_at: valid time, in the one spelling.
        under: judge everything by this version, `key@version`; the version alone is that of the
            first playbook that has it.
        published: the events among which `under` is looked up, by default `events`: what was
            published later may be asked for too.

    Raises:
        InvalidInput: `invalid-version`.
        NotFound: `unknown-version`.
    """

    def __init__(
        self,
        events: Iterable[Event],
        valid_at: str,
        *,
        under: str | None = None,
        published: Iterable[Event] | None = None,
    ) -> None:
        events = list(events)
        forever = format_instant(END_OF_TIME)
        in_force = _publications(
            event
            for event in effective(events, forever)
            if event["occurred_at"] <= valid_at or event["known_at"] <= valid_at
        )
        self.first: str | None = next(iter(in_force), None)
        self.under: str | None = None
        if under is not None:
            known = _publications(effective(events if published is None else published, forever))
            version = _version_named(under, known)
            self.under = version.rulebook.label
            always = [_Version(BEGINNING, version.rulebook)]
            self.first = version.rulebook.playbook.key
            in_force = {self.first: always}
        self._versions: Mapping[str, list[_Version]] = in_force

    @property
    def any(self) -> bool:
        """Whether any version is in force at all."""
        return bool(self._versions)

    def at(self, key: str | None, instant: str) -> Rulebook | None:
        """The version in force; None while there is none.

        Args:
            key: the playbook that the deal names; None is the first.
            instant: valid time, in the one spelling.
        """
        found = None
        for version in self._of(key):
            if version.from_instant > instant:
                break
            found = version.rulebook
        return found

    def changes(self, key: str | None) -> list[str]:
        """The instants at which versions of a playbook take effect."""
        return [version.from_instant for version in self._of(key)]

    def _of(self, key: str | None) -> list[_Version]:
        if self.under is not None:
            key = self.first
        key = self.first if key is None else key
        return [] if key is None else self._versions.get(key, [])


def version_label(under: str, published: Iterable[Event]) -> str:
    """The full name, `key@version`, of a version as somebody spelt it.

    Args:
        under: `key@version`, or the version alone: that of the first playbook that has it.
        published: the events of all playbook streams.

    Raises:
        InvalidInput: `invalid-version`.
        NotFound: `unknown-version`.
    """
    known = _publications(effective(published, format_instant(END_OF_TIME)))
    return _version_named(under, known).rulebook.label


def _publications(events: Iterable[Event]) -> dict[str, list[_Version]]:
    """Playbook key -> its versions, both in the fold's order."""
    versions: dict[str, list[_Version]] = {}
    for event in events:
        if event["type"] == PlaybookPublished.type:
            playbook = Playbook.model_validate(event["payload"]["playbook"])
            rulebook = Rulebook(playbook, cause_of(event))
            versions.setdefault(playbook.key, []).append(_Version(event["occurred_at"], rulebook))
    return versions


def _version_named(under: str, known: Mapping[str, list[_Version]]) -> _Version:
    key, at, version = under.rpartition("@")
    if not version or (at and not key):
        raise InvalidInput(
            "invalid-version",
            f"{under!r} is not a playbook version",
            where="under",
            hint="write it like buyers_journey@2",
        )
    keys = [key] if key else list(known)
    for each in keys:
        for candidate in reversed(known.get(each, [])):
            if candidate.rulebook.playbook.version == version:
                return candidate
    raise NotFound(
        "unknown-version",
        f"no playbook version {under!r} is published",
        where="under",
        hint="qledger playbook list shows those that are",
    )


class Review(NamedTuple):
    """When somebody last checked a playbook.

    Args:
        at: the last publication or review.
        cause: its position.
        due_at: the instant from which the journey is to be taken as wrong.
        overdue: whether that is so now.
    """

    at: str
    cause: int
    due_at: str | None
    overdue: bool


def reviews_at(events: Iterable[Event], valid_at: str) -> dict[str, Review]:
    """Playbook key -> its last review.

    Args:
        events: the visible events of all playbook streams.
        valid_at: valid time, in the one spelling.
    """
    reviews: dict[str, Review] = {}
    for event in effective(events, valid_at):
        if event["type"] in {PlaybookPublished.type, PlaybookReviewed.type}:
            key = event["stream"].partition(":")[2]
            due_at = expiry(event["occurred_at"], timedelta(days=REVIEW_DAYS))
            overdue = due_at is not None and due_at <= valid_at
            reviews[key] = Review(event["occurred_at"], cause_of(event), due_at, overdue)
    return reviews
