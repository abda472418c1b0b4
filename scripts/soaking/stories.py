"""Random histories of a small book: everything that can change a state of a deal, in every order.

Law: the same seed and numbers tell the same story. Days are few and most instants are shared,
so that lapses, departures, decisions and corrections meet at one instant often. Most events are
attested by a source, known some time after they happened; some are recorded long after they became
known; a few are witnessed, known only when they are recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from ledger.domain.events import SETTINGS_STREAM, Draft, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.domain.times import MICROSECOND, Instant, format_instant

START = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = 45
"""The story happens within so many days of the start."""

ACCOUNTS = ("acme", "bolt")
SELLERS = ("ann", "ben", "cat")
QUARTERS = ("2026-Q1", "2026-Q2")
_BUYERS = ("pat", "pat", "pat", "sam", None)
_GATES = ("a", "b", "b", "c", "c", "d", "e", "nowhere")
_CRITERIA = (*["a1", "b1", "c1"] * 4, "b2", "c2", "c3", "d1", "nonsense")
_CLOSE_DATES = ("2025-12-20", "2026-01-20", "2026-03-31", "2026-04-01", "2026-05-20", None)
_ZONES = ("UTC", "Asia/Tokyo", "America/New_York")


def _criterion(key: str, **rules: Any) -> dict[str, Any]:
    return {"key": key, "question": f"Has the buyer done {key}?", **rules}


def _gate(key: str, category: str, *criteria: dict[str, Any], **rules: Any) -> dict[str, Any]:
    return {
        "key": key, "name": key.upper(), "stage": "Stage", "category": category,
        "criteria": criteria, **rules,
    }  # fmt: skip


def _playbook(key: str, version: str, *gates: dict[str, Any]) -> dict[str, Any]:
    return {"key": key, "version": version, "name": f"{key} {version}", "gates": gates}


_FIRST = _playbook(
    "first", "1",
    _gate("a", "pipeline", _criterion("a1", lapses_with_stakeholder=False)),
    _gate(
        "b", "pipeline",
        _criterion("b1", fresh_for_days=9, fresher_at={"c": 5}),
        _criterion("b2", mandatory=False, fresh_for_days=8, layer="organization"),
        weight_percent=25,
    ),
    _gate(
        "c", "best_case",
        _criterion("c1", fresh_for_days=7, said_by_role="payer"),
        _criterion("c2", mandatory=False, source_kinds=["crm", "call"], layer="organization"),
        _criterion("c3", mandatory=False, fresh_for_days=12, said_by_seniority="director"),
        threshold=1, weight_percent=60,
    ),
    _gate(
        "d", "commit", _criterion("d1", fresh_for_days=6), after_decision=True, weight_percent=90
    ),
)  # fmt: skip
_SECOND = _playbook(
    "first", "2",
    _gate(
        "a", "pipeline", _criterion("a1", fresh_for_days=11, fresher_at={"e": 6}),
        weight_percent=15,
    ),
    _gate("e", "best_case", _criterion("b1", fresh_for_days=8), weight_percent=55),
    _gate(
        "c", "commit", _criterion("c1", fresh_for_days=5, said_by_role="payer"), weight_percent=80
    ),
)  # fmt: skip
_OTHER = _playbook(
    "other", "1",
    _gate("c", "best_case", _criterion("c1", fresh_for_days=8), weight_percent=40),
    _gate("a", "commit", _criterion("a1"), weight_percent=75),
)  # fmt: skip

_DELAYS = (0, 0, 0, 0, 0.5, 1, 4)
_RECORDED_LATE = 0.2
_WITNESSED = 0.1

WEIGHTS = {
    "evidence": 34, "against": 4, "account evidence": 5, "waived": 4, "revoked": 1,
    "stakeholder": 4, "left": 2, "back": 3, "advanced": 1, "looped": 1,
    "amount": 6, "currency": 2, "close date": 5, "owner": 4, "account": 3, "dimensions": 2,
    "playbook": 2, "stage": 3, "category": 4, "closed": 3, "reopened": 2, "removed": 1,
    "opened again": 1, "version": 1, "retract": 4, "correct": 4, "move": 3,
    "person": 2, "account record": 1, "rate": 1, "calendar": 1, "called": 2, "adjusted": 1,
}  # fmt: skip


def story(seed: int, deals: int, events: int, *, one_zone: bool = False) -> list[Draft]:
    """A history, in the order in which it is to be recorded.

    Args:
        seed: of all chance.
        deals: how many deals it is about.
        events: how many events it has beside the beginning of each deal.
        one_zone: whether the reporting time zone stays as it is.
    """
    return _Teller(seed, deals).tell(events, one_zone=one_zone)


class _Teller:
    """Makes up one story."""

    def __init__(self, seed: int, deals: int) -> None:
        self._random = Random(seed)
        self._name = f"S{seed}"
        self._deals = [f"{self._name}-{number}" for number in range(1, deals + 1)]
        self._drafts: list[Draft] = []

    def tell(self, events: int, *, one_zone: bool) -> list[Draft]:
        """The whole story; see `story`."""
        self._begin()
        weights = WEIGHTS | ({"calendar": 0} if one_zone else {})
        kinds = self._random.choices(list(weights), list(weights.values()), k=events)
        for kind in kinds:
            self._happen(kind)
        return sorted(self._drafts, key=self._place)

    def _place(self, draft: Draft) -> Instant:
        """When it is recorded, in the story's own days."""
        known = draft.known_at or self._instant()
        late = self._random.random() < _RECORDED_LATE
        return known + timedelta(days=self._random.uniform(0, 20)) if late else known

    def _begin(self) -> None:
        choose = self._random.choice
        for days, playbook in ((-40, _FIRST), (-39, _OTHER)):
            stream = f"playbook:{playbook['key']}"
            first = START + timedelta(days=days)
            self._add(stream, "playbook-published", {"playbook": playbook}, first, first)
        for deal in self._deals:
            stream = f"deal:{deal}"
            opened = START + timedelta(days=choose([0, 0, 0, 1, 5]))
            fields = {"name": f"Deal {deal}", "account": choose(ACCOUNTS), "owner": choose(SELLERS)}
            fields |= self._amount() if choose([True, True, False]) else {}
            known = opened + timedelta(days=choose(_DELAYS))
            self._add(stream, "deal-opened", fields, opened, known)
            for who, role in (("pat", "payer"), ("sam", "user")):
                person = {"stakeholder": who, "name": "X", "role": role}
                self._add(stream, "stakeholder-added", person, opened, known)

    def _happen(self, kind: str) -> None:
        if kind in {"retract", "correct", "move"}:
            self._act(kind)
            return
        stream, event_type, fields = self._event(kind)
        occurred = self._instant()
        known = occurred + timedelta(days=self._random.choice(_DELAYS))
        if kind in {"version", "waived", "rate", "calendar"} and self._random.random() < 0.5:
            known = occurred - timedelta(days=self._random.randrange(8))  # announced
        self._add(stream, event_type, fields, occurred, known)

    def _act(self, kind: str) -> None:
        """Take back or correct something that was told."""
        target = self._random.choice(self._drafts)
        fields: dict[str, Any] = {"target": str(target.event_id), "reason": "it was wrong"}
        if kind == "move" or (kind == "correct" and target.payload.type != "evidence-recorded"):
            known = target.known_at or START + timedelta(days=DAYS)
            fields["occurred_at"] = format_instant(min(self._instant(), known))
        elif kind == "correct":
            fields["payload"] = target.payload.to_json() | {
                "criterion": self._random.choice(_CRITERIA)
            }
        since = target.known_at or START
        known = max(self._instant(), since) if self._random.random() < 0.9 else self._instant()
        event_type = "event-retracted" if kind == "retract" else "event-corrected"
        if kind != "retract" and target.payload.type.startswith("event-"):
            event_type, fields = "event-retracted", {k: fields[k] for k in ("target", "reason")}
        self._add(target.stream, event_type, fields, known, known)

    def _event(self, kind: str) -> tuple[str, str, dict[str, Any]]:
        choose = self._random.choice
        fields: dict[str, Any]
        match kind:
            case "account evidence":
                return f"account:{choose(ACCOUNTS)}", "evidence-recorded", self._evidence()
            case "version":
                return "playbook:first", "playbook-published", {"playbook": _SECOND}
            case "person":
                fields = {"manager": choose(["mia", "max", None]), "team": choose(["east", "west"])}
                if choose([True, False]):
                    return f"person:{choose(SELLERS)}", "person-reassigned", fields
                return f"person:{choose(SELLERS)}", "person-joined", {"name": "X", "team": "north"}
            case "account record":
                segment = {"segment": choose(["smb", "enterprise"])}
                fields = {"name": "An account", "dimensions": segment}
                return f"account:{choose(ACCOUNTS)}", "account-opened", fields
            case "rate":
                fields = {"currency": "EUR", "to": "USD", "rate": choose(["1.1", "1.0842", "0.9"])}
                return SETTINGS_STREAM, "fx-rate-set", fields
            case "calendar":
                fields = {"start_month": choose([1, 1, 2]), "time_zone": choose(_ZONES)}
                return SETTINGS_STREAM, "fiscal-calendar-set", fields
            case "called" | "adjusted":
                return self._called(kind)
            case _:
                return f"deal:{choose(self._deals)}", *self._of_deal(kind)

    def _called(self, kind: str) -> tuple[str, str, dict[str, Any]]:
        choose = self._random.choice
        period = choose(QUARTERS)
        fields = {"period": period, "person": choose(SELLERS), "category": "commit"}
        if kind == "called":
            return f"period:{period}", "forecast-called", fields | self._amount()
        expires_at = format_instant(START + timedelta(days=DAYS * 2))
        cut = {"haircut_percent": 33, "adjuster": "mia", "reason": "x", "expires_at": expires_at}
        return f"period:{period}", "forecast-adjusted", fields | cut

    def _of_deal(self, kind: str) -> tuple[str, dict[str, Any]]:
        simple = _REVISIONS.get(kind)
        if simple is not None:
            return "deal-revised", simple(self._random)
        return self._qualifying(kind)

    def _qualifying(self, kind: str) -> tuple[str, dict[str, Any]]:
        choose = self._random.choice
        match kind:
            case "evidence" | "against":
                stance = "supports" if kind == "evidence" else "contradicts"
                return "evidence-recorded", self._evidence() | {"stance": stance}
            case "waived":
                ends_at = format_instant(self._instant() + timedelta(days=choose([2, 5, 30])))
                fields = {"criterion": choose(_CRITERIA), "reason": "x", "ends_at": ends_at}
                return "criterion-waived", fields
            case "revoked":
                return "waiver-revoked", {"criterion": choose(_CRITERIA), "reason": "x"}
            case "stakeholder":
                fields = {
                    "stakeholder": choose(["pat", "sam"]), "role": choose(["payer", "user"]),
                    "seniority": choose(["c_level", "director", "staff"]),
                }  # fmt: skip
                return "stakeholder-changed", fields
            case "left":
                return "stakeholder-left", {"stakeholder": choose(["pat", "pat", "sam"])}
            case "back" | "advanced":
                event_type = "buyer-regressed" if kind == "back" else "buyer-advanced"
                return event_type, {"gate": choose(_GATES)}
            case "looped":
                return "buyer-looped", {"from_gate": choose(_GATES), "to_gate": choose(_GATES)}
            case _:
                return self._claim(kind)

    def _claim(self, kind: str) -> tuple[str, dict[str, Any]]:
        choose = self._random.choice
        match kind:
            case "stage":
                return "stage-claimed", {"stage": choose(["Proof", "Proposal", "Closing"])}
            case "category":
                return "category-claimed", {"category": choose(["commit", "best_case", "omitted"])}
            case "closed":
                outcome = choose(["won", "won", "lost", "no_decision", "abandoned"])
                return "deal-closed", {"outcome": outcome}
            case "reopened":
                return "deal-reopened", {}
            case "removed":
                return "deal-removed", {}
            case "opened again":
                return "deal-opened", {"name": "Again", "account": choose(ACCOUNTS)}
            case _:
                raise ValueError(kind)

    def _evidence(self) -> dict[str, Any]:
        who = self._random.choice(_BUYERS)
        return {
            "criterion": self._random.choice(_CRITERIA), "stance": "supports",
            "source_kind": self._random.choice(["meeting", "call", "call", "crm"]),
            **({} if who is None else {"said_by": who}),
        }  # fmt: skip

    def _amount(self) -> dict[str, Any]:
        return {"amount": _money(self._random)}

    def _instant(self) -> Instant:
        """Mostly on the half day, sometimes an instant after it."""
        instant = START + timedelta(hours=12 * self._random.randrange(2 * DAYS))
        return instant + self._random.choice([0, 0, 0, 1]) * MICROSECOND

    def _add(
        self, stream: str, event_type: str, fields: dict[str, Any], at: Instant, known: Instant
    ) -> None:
        payload = parse_payload(event_type, fields)
        shared = stream.startswith("playbook:") and event_type == "playbook-published"
        identity = f"{stream}{at}{known}" if shared else f"{self._name}-{len(self._drafts)}"
        chance = self._random.random()
        witnessed = not shared and chance < _WITNESSED
        draft = Draft(
            stream,
            payload,
            event_id_of("story", identity, event_type),
            "teller",
            Source("story"),
            at if payload.announceable else min(at, known),
            None if witnessed else known,
        )
        self._drafts.append(draft)


def _money(random: Random) -> dict[str, str]:
    currency = random.choice(["USD", "USD", "USD", "EUR", "GBP"])
    return {"amount": random.choice(["10.00", "20.50", "1000", "33.33"]), "currency": currency}


_REVISIONS: dict[str, Callable[[Random], dict[str, Any]]] = {
    "amount": lambda random: {"amount": random.choice([_money(random), _money(random), None])},
    "currency": lambda random: {
        "amount": {"amount": "20.50", "currency": random.choice(["EUR", "GBP"])}
    },
    "close date": lambda random: {"close_date": random.choice(_CLOSE_DATES)},
    "owner": lambda random: {"owner": random.choice([*SELLERS, None])},
    "account": lambda random: {"account": random.choice([*ACCOUNTS, "cord", None])},
    "dimensions": lambda random: {"dimensions": {"segment": random.choice(["smb", "mid", None])}},
    "playbook": lambda random: {"playbook": random.choice(["first", "other", "unpublished"])},
}
"""What a revision of a deal says, by kind."""
