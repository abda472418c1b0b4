"""What was said of a deal so far: its events taken in the fold's order, nothing judged yet.

Law: hearing depends on the events alone, not on a playbook: what a version cannot place is kept
and counts when a version can. Of all said about one instant the order does not matter, but for
facts of which the last one holds (a stakeholder's role, a waiver, the playbook a deal follows).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from ledger.domain.deal import OPEN
from ledger.domain.events import Event, cause_of, stream_id
from projections.fold.criterion import Piece, Rule, Stakeholder, Track, Waiver, Word
from projections.fold.gates import Declared

_STAKEHOLDER_FIELDS = ("name", "title", "role", "seniority", "influence", "reports_to")


class GoingBack(NamedTuple):
    """The buyer went back to a gate.

    Args:
        gate: to which.
        from_gate: from which, when it was said to be a loop.
        word: when, and the event.
        outcome: of the deal at that time.
    """

    gate: str
    from_gate: str | None
    word: Word
    outcome: str


class WhileDecided(NamedTuple):
    """Evidence that was given while the deal was decided."""

    criterion: str
    outcome: str
    cause: int


class Heard:
    """All that was said of a deal up to an instant.

    Args:
        opened_at: when the deal opened; what was said before counts from then on.
    """

    def __init__(self, opened_at: str) -> None:
        self.opened_at = opened_at
        self.playbook: str | None = None
        self.account: str | None = None
        self.outcome = OPEN
        self.removed = False
        self.tracks: dict[str, Track] = {}
        self.stakeholders: dict[str, Stakeholder] = {}
        self.goings_back: list[GoingBack] = []
        self.declared: list[Declared] = []
        self.about: list[tuple[str, int]] = []
        """(criterion or gate, position) of whatever a version may be unable to place."""
        self.while_decided: list[WhileDecided] = []
        self.before_opening: list[int] = []
        self.touched: set[str] = set()
        """The criteria to judge again; whoever judges clears it."""
        self._voices: dict[str, set[str]] = {}
        self._of_accounts: list[Event] = []

    def take(self, event: Event) -> None:
        """Take one more event; those of other kinds say nothing of gates."""
        handler = _HANDLERS.get(event["type"])
        if handler is not None:
            handler(self, event)

    def track(self, criterion: str) -> Track:
        """What was said of a criterion."""
        track = self.tracks.get(criterion)
        if track is None:
            track = self.tracks[criterion] = Track()
        return track

    def _fields(self, event: Event) -> None:
        payload = event["payload"]
        if "playbook" in payload:
            self.playbook = payload["playbook"]
        if "account" in payload and payload["account"] != self.account:
            self._leave_account()
            self.account = payload["account"]
            for each in self._of_accounts:
                if account_of(each) == self.account:
                    self._hear(each, of_account=True)

    def _leave_account(self) -> None:
        theirs = frozenset(
            cause_of(event) for event in self._of_accounts if account_of(event) == self.account
        )
        if not theirs:
            return
        for key, track in self.tracks.items():
            track.without(theirs)
            self.touched.add(key)
        self.about = [each for each in self.about if each[1] not in theirs]
        self.while_decided = [each for each in self.while_decided if each.cause not in theirs]

    def _evidence(self, event: Event) -> None:
        account = account_of(event)
        if account is None:
            self._hear(event, of_account=False)
            if event["occurred_at"] < self.opened_at:
                self.before_opening.append(cause_of(event))
            return
        self._of_accounts.append(event)
        if account == self.account:
            self._hear(event, of_account=True)

    def _hear(self, event: Event, *, of_account: bool) -> None:
        payload, cause = event["payload"], cause_of(event)
        key, at, event_id = payload["criterion"], event["occurred_at"], event["event_id"]
        if payload["stance"] == "supports":
            said_by = payload.get("said_by")
            piece = Piece(at, event_id, payload["source_kind"], said_by, cause, of_account)
            self.track(key).supported(piece)
            if said_by is not None:
                self._voices.setdefault(said_by, set()).add(key)
        else:
            of_crm = payload["source_kind"] == "crm"
            word = Word(at, event_id, Rule.EVIDENCE_AGAINST, cause, of_account, of_crm)
            self.track(key).contradicted(word)
        self.touched.add(key)
        self.about.append((key, cause))
        if self.outcome != OPEN:
            self.while_decided.append(WhileDecided(key, self.outcome, cause))

    def _waived(self, event: Event) -> None:
        payload = event["payload"]
        key = payload["criterion"]
        self.track(key).waiver = Waiver(payload["ends_at"], cause_of(event))
        self.touched.add(key)
        self.about.append((key, cause_of(event)))

    def _waiver_revoked(self, event: Event) -> None:
        key = event["payload"]["criterion"]
        self.track(key).waiver = None
        self.touched.add(key)

    def _stakeholder(self, event: Event) -> None:
        payload = event["payload"]
        given = {key: payload[key] for key in _STAKEHOLDER_FIELDS if key in payload}
        who = payload["stakeholder"]
        known = self.stakeholders.get(who)
        if event["type"] == "stakeholder-added" and known is not None and not known.here:
            *before, (left, _still) = known.away
            given |= {"here": True, "away": (*before, (left, event["occurred_at"]))}
        self._known(who, cause=cause_of(event), **given)

    def _stakeholder_left(self, event: Event) -> None:
        who, at = event["payload"]["stakeholder"], event["occurred_at"]
        known = self.stakeholders.get(who) or Stakeholder(who)
        away = (*known.away, (at, None)) if known.here else known.away
        self._known(who, left_at=at, here=False, away=away, cause=cause_of(event))

    def _known(self, who: str, **facts: object) -> None:
        known = self.stakeholders.get(who) or Stakeholder(who)
        self.stakeholders[who] = known._replace(**facts)  # type: ignore[arg-type]
        self.touched |= self._voices.get(who, set())

    def _advanced(self, event: Event) -> None:
        self._declare(event, event["payload"]["gate"])

    def _regressed(self, event: Event) -> None:
        self._go_back(event, event["payload"]["gate"], None)

    def _looped(self, event: Event) -> None:
        payload = event["payload"]
        self._go_back(event, payload["to_gate"], payload["from_gate"])

    def _go_back(self, event: Event, gate: str, from_gate: str | None) -> None:
        self._declare(event, gate)
        at, event_id = event["occurred_at"], event["event_id"]
        word = Word(at, event_id, Rule.BUYER_WENT_BACK, cause_of(event))
        self.goings_back.append(GoingBack(gate, from_gate, word, self.outcome))

    def _declare(self, event: Event, gate: str) -> None:
        self.about.append((gate, cause_of(event)))
        self.declared.append(Declared(event["occurred_at"], event["type"], gate, cause_of(event)))

    def _removed(self, event: Event) -> None:  # noqa: ARG002 - handlers share one signature
        self.removed = True


_HANDLERS: Mapping[str, Callable[[Heard, Event], None]] = {
    "deal-opened": Heard._fields,
    "deal-revised": Heard._fields,
    "evidence-recorded": Heard._evidence,
    "criterion-waived": Heard._waived,
    "waiver-revoked": Heard._waiver_revoked,
    "stakeholder-added": Heard._stakeholder,
    "stakeholder-changed": Heard._stakeholder,
    "stakeholder-left": Heard._stakeholder_left,
    "buyer-advanced": Heard._advanced,
    "buyer-regressed": Heard._regressed,
    "buyer-looped": Heard._looped,
    "deal-removed": Heard._removed,
}


def account_of(event: Event) -> str | None:
    """The account on which evidence stands; None when it stands on the deal itself."""
    stream = event["stream"]
    return stream_id(stream) if stream.startswith("account:") else None
