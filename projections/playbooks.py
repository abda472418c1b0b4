"""Playbooks as answers tell them: the list of versions, one in full, and what differs between two.

Law: every answer states its basis and names the events that it rests on. A version is told as it
was published; whether it is in force, and whether anybody has looked at it lately, is told as of
the basis. A journey that was not reviewed for 60 days is to be taken as wrong, and says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ledger.domain.errors import NotFound
from ledger.domain.events import Event, cause_of
from ledger.domain.history import effective
from ledger.domain.playbook import Criterion, Gate, Playbook, Role
from ledger.domain.streams import playbooks_in_force
from projections.book import Book
from projections.fold.rulebook import PlaybookHistory, Review
from projections.fold.versions import (
    FieldChange,
    PartChange,
    Version,
    VersionState,
    changes_between,
    versions_at,
)
from projections.timeline import event_facts


def playbook_list(book: Book) -> dict[str, Any]:
    """All versions of all playbooks that the basis sees.

    Args:
        book: the book at the basis.

    Returns:
        JSON: `basis`, and `versions` in the order in which the playbooks were first in force, each
        with its state, its times, who published it, and - where it is in force - its last review.
    """
    told = _Told(book)
    return {
        "basis": book.basis.as_dict(),
        "versions": [told.version(version) for version in told.versions],
    }


def playbook_as_dict(
    book: Book, key: str | None = None, version: str | None = None
) -> dict[str, Any]:
    """A version in full: roles, gates with their questions, exit criteria.

    Args:
        book: the book at the basis.
        key: which playbook; None is the first one.
        version: which version, in force or not; None is the one in force at `valid_at`.

    Raises:
        Refused: `no-playbook` while none is in force, `unknown-playbook`.
        NotFound: `unknown-version` where the basis sees no such version.
    """
    told = _Told(book)
    if version is None:
        in_force = playbooks_in_force(book.playbook_events, book.valid_at).of_deal(key)
        key, version = in_force.key, in_force.version
    found = told.found(key, version)
    playbook = found.playbook
    return {
        "basis": book.basis.as_dict(),
        **told.version(found),
        "roles": [_role(role) for role in playbook.roles],
        "gates": [_gate(playbook, gate) for gate in playbook.gates],
    }


class Compared(NamedTuple):
    """A version to compare.

    Args:
        playbook: the version.
        name: what it is called: `key@version`, or the file that it stands in.
        cause: the position of the event that answers for it; None where it is not published.
    """

    playbook: Playbook
    name: str
    cause: int | None = None


def published_version(book: Book, label: str) -> Compared:
    """A published version, in force or not.

    Args:
        book: the book at the basis.
        label: `key@version`.

    Raises:
        InvalidInput: `invalid-version`.
        NotFound: `unknown-version`.
    """
    history = PlaybookHistory(book.playbook_events, book.valid_at, under=label)
    rulebook = history.at(None, book.valid_at)
    assert rulebook is not None  # noqa: S101 - asked under one version, it applies at every instant
    return Compared(rulebook.playbook, rulebook.label, rulebook.cause)


def playbook_diff(book: Book | None, old: Compared, new: Compared) -> dict[str, Any]:
    """What differs between two versions.

    Args:
        book: the book at the basis; None where neither version is published.
        old: the version to compare with.
        new: the version that is compared.

    Returns:
        JSON: `basis` (null without a book), `from`, `to`, `same`, and the changes of `playbook`
        (the version's own fields), `roles`, `gates` and `criteria`.
    """
    changes = changes_between(old.playbook, new.playbook)
    causes = {each.cause for each in (old, new) if each.cause is not None}
    events = {} if book is None else book.causes(causes)
    return {
        "basis": None if book is None else book.basis.as_dict(),
        "from": _compared(old, events),
        "to": _compared(new, events),
        "same": not changes.any,
        "playbook": _fields(changes.playbook),
        "roles": [_part("role", change) for change in changes.roles],
        "gates": [_part("gate", change) for change in changes.gates],
        "criteria": [_part("criterion", change) for change in changes.criteria],
    }


class _Told:
    """The versions and reviews at a basis, and the events behind them."""

    def __init__(self, book: Book) -> None:
        events = book.playbook_events
        self.versions: list[Version] = versions_at(events, book.valid_at)
        self._reviews: Mapping[str, Review] = book.reviews
        self._default = PlaybookHistory(events, book.valid_at).first
        self._reviewers = {
            cause_of(event): event["payload"].get("reviewer")
            for event in effective(events, book.valid_at)
        }
        causes = {version.cause for version in self.versions}
        self._events = book.causes(causes | {each.cause for each in self._reviews.values()})

    def found(self, key: str | None, version: str) -> Version:
        """The version of that name that takes effect last; of any playbook where none is named."""
        for each in reversed(self.versions):
            if each.playbook.version == version and key in {None, each.playbook.key}:
                return each
        raise NotFound(
            "unknown-version",
            f"no version {version!r} of {key or 'any playbook'} is published at this basis",
            where="version",
            hint="qledger playbook list shows those that are",
        )

    def version(self, version: Version) -> dict[str, Any]:
        playbook = version.playbook
        in_force = version.state is VersionState.IN_FORCE
        return {
            "playbook": playbook.key,
            "version": playbook.version,
            "label": version.label,
            "name": playbook.name,
            "state": str(version.state),
            "default": in_force and playbook.key == self._default,
            "from": version.from_instant,
            "until": version.until,
            "gate_count": len(playbook.gates),
            "criterion_count": len(playbook.criteria),
            "published": event_facts(self._events[version.cause]),
            "review": self._review(playbook.key) if in_force else None,
        }

    def _review(self, key: str) -> dict[str, Any]:
        review = self._reviews[key]
        return {
            "at": review.at,
            "reviewer": self._reviewers[review.cause],
            "due_at": review.due_at,
            "overdue": review.overdue,
            "because": event_facts(self._events[review.cause]),
        }


def _role(role: Role) -> dict[str, Any]:
    return {"role": role.key, "name": role.name, "authority": role.authority}


def _gate(playbook: Playbook, gate: Gate) -> dict[str, Any]:
    return {
        "gate": gate.key,
        "name": gate.name,
        "stage": gate.stage,
        "after_decision": gate.after_decision,
        "threshold": gate.threshold,
        "expected_days": gate.expected_days,
        "category_before": gate.category,
        "weight_percent_before": gate.weight_percent,
        "buyer_questions": list(gate.buyer_questions),
        "seller_questions": list(gate.seller_questions),
        "criteria": [_criterion(playbook, criterion) for criterion in gate.criteria],
    }


def _criterion(playbook: Playbook, criterion: Criterion) -> dict[str, Any]:
    return {
        "criterion": criterion.key,
        "question": criterion.question,
        "layer": criterion.layer,
        "mandatory": criterion.mandatory,
        "fresh_for_days": criterion.fresh_for_days,
        "fresher_at": playbook.tightening(criterion),
        "said_by_role": criterion.said_by_role,
        "said_by_seniority": criterion.said_by_seniority,
        "source_kinds": list(criterion.source_kinds),
        "lapses_with_stakeholder": criterion.lapses_with_stakeholder,
        "answers": criterion.answers,
    }


def _compared(compared: Compared, events: Mapping[int, Event]) -> dict[str, Any]:
    cause = compared.cause
    return {
        "name": compared.name,
        "playbook": compared.playbook.key,
        "version": compared.playbook.version,
        "published": None if cause is None else event_facts(events[cause]),
    }


def _part(what: str, change: PartChange) -> dict[str, Any]:
    return {
        what: change.key,
        "change": change.change,
        "old_place": change.old_place,
        "new_place": change.new_place,
        "fields": _fields(change.fields),
    }


def _fields(changes: Iterable[FieldChange]) -> list[dict[str, Any]]:
    return [change._asdict() for change in changes]
