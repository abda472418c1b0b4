"""An independent, naive model of the fold of gates: slow, short, and written from its laws.

At every instant at which anything could change - an event, a version, the end of a waiver, an age
that any version asks for - everything is worked out anew from the events up to then. Carried from
instant to instant is only what the laws say a deal remembers: the bar, the outcome, what the
decision settled, which gates were passed, and what was met once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ledger.domain.events import Event
from ledger.domain.history import effective
from ledger.domain.times import format_instant

Dict = Mapping[str, Any]


class Expected(NamedTuple):
    """What the model says of a deal."""

    version: str | None
    outcome: str
    criteria: dict[str, str]
    gates: dict[str, str]
    too_old: set[str]
    stands_at: str | None
    bar: int
    loops: int
    category: str


def _later(instant: str, days: int) -> str:
    return format_instant(datetime.fromisoformat(instant) + timedelta(days=days))


def _days(criterion: Dict, own: int, gates: Sequence[Dict], bar: int) -> int | None:
    """How many days evidence counts for a deal that got through `bar` gates."""
    days: int | None = criterion.get("fresh_for_days")
    for gate in gates[own + 1 : bar + 1]:
        days = criterion["fresher_at"].get(gate["key"], days)
    return days


class Model:
    """A deal at a valid time.

    Args:
        own: the deal's visible events.
        playbooks: the visible events of all playbook streams.
        accounts: account id -> the visible events of its stream.
        valid_at: valid time, in the one spelling.
    """

    def __init__(
        self,
        own: Sequence[Event],
        playbooks: Sequence[Event],
        accounts: Mapping[str, Sequence[Event]],
        valid_at: str,
    ) -> None:
        self.own = effective(own, valid_at)
        self.versions = effective(playbooks, valid_at)
        self.facts = {name: effective(each, valid_at) for name, each in accounts.items()}
        self.opened = next(e["occurred_at"] for e in self.own if e["type"] == "deal-opened")
        self.bar = self.bar_at_decision = 0
        self.outcome = "open"
        self.version: Dict | None = None
        self.status: dict[str, str] = {}
        self.gate: dict[str, str] = {}
        self.met_once: set[str] = set()
        self.while_won: set[int] = set()
        self.loops = 0
        for instant in sorted({self.opened, *self._breakpoints(valid_at)}):
            self._live_through(instant)

    def _breakpoints(self, valid_at: str) -> set[str]:
        everything = [*self.own, *self.versions, *(e for each in self.facts.values() for e in each)]
        instants = {e["occurred_at"] for e in everything}
        instants |= {e["payload"]["ends_at"] for e in self.own if "ends_at" in e["payload"]}
        ages = {
            days
            for e in self.versions
            for gate in e["payload"]["playbook"]["gates"]
            for criterion in gate["criteria"]
            for days in (criterion.get("fresh_for_days"), *criterion["fresher_at"].values())
            if days is not None
        }
        said = {e["occurred_at"] for e in everything if e["type"] == "evidence-recorded"}
        instants |= {_later(each, days) for each in said for days in ages}
        return {each for each in instants if self.opened < each <= valid_at}

    # --- one instant ------------------------------------------------------------------------------

    def _live_through(self, now: str) -> None:
        self.now = now
        self.past = [e for e in self.own if e["occurred_at"] <= now]
        fresh = [e for e in self.past if e["occurred_at"] == now or now == self.opened]
        another = any(
            "playbook" in e["payload"] and e["occurred_at"] == now for e in [*fresh, *self.versions]
        )
        if self.outcome == "open" or (self.outcome == "won" and self.version is None and another):
            self._choose_version()
        if self.outcome == "won":
            self.while_won |= {e["position"] for e in fresh}
        if self.outcome in {"open", "won"}:
            self._go_back([gate for e in fresh if (gate := self._back(e)) is not None])
        self._settle()
        for e in fresh:
            if e["type"] == "deal-closed":
                if self.outcome == "open":
                    self.bar_at_decision, self.closed_at = self.bar, now
                self.outcome = e["payload"]["outcome"]
                if self.outcome == "won":
                    self.bar = max(self.bar, self._decision())
                self._settle()
            elif e["type"] == "deal-reopened" and self.outcome != "open":
                self.outcome, self.bar = "open", self.bar_at_decision
                self._choose_version()
                since = [p for p in self.past if self.closed_at < p["occurred_at"]]
                self._go_back([gate for p in since if (gate := self._back(p)) is not None])
                self._settle()

    def _choose_version(self) -> None:
        keys = [e["payload"]["playbook"]["key"] for e in self.versions]
        named = [e["payload"]["playbook"] for e in self.past if "playbook" in e["payload"]]
        key = (named[-1] if named else None) or (keys[0] if keys else None)
        in_force = [
            e["payload"]["playbook"]
            for e in self.versions
            if e["payload"]["playbook"]["key"] == key and e["occurred_at"] <= self.now
        ]
        after = in_force[-1] if in_force else None
        if after == self.version:
            return
        through = [gate["key"] for gate in self._gates()[: self.bar]]
        self.version = after
        order = [gate["key"] for gate in self._gates()]
        self.bar = 1 + max((order.index(k) for k in through if k in order), default=-1)

    def _gates(self) -> list[Dict]:
        return [] if self.version is None else list(self.version["gates"])

    def _decision(self) -> int:
        return sum(not gate["after_decision"] for gate in self._gates())

    def _back(self, e: Event) -> int | None:
        """The gate to which an event takes the buyer back."""
        order = [gate["key"] for gate in self._gates()]
        payload = e["payload"]
        if e["type"] == "buyer-regressed":
            return order.index(payload["gate"]) if payload["gate"] in order else None
        if e["type"] != "buyer-looped" or payload["to_gate"] not in order:
            return None
        to = order.index(payload["to_gate"])
        if payload["from_gate"] in order and order.index(payload["from_gate"]) < to:
            return None
        return to

    def _go_back(self, gates: list[int]) -> None:
        floor = self._decision() if self.outcome == "won" else 0
        for gate in gates:
            self.bar = min(self.bar, max(gate, floor))

    def _settle(self) -> None:
        gates, decision, open_ = self._gates(), self._decision(), self.outcome == "open"
        won = self.outcome == "won"
        span = range(decision, len(gates)) if won else range(decision)
        while (open_ or won) and self.bar < span.stop and self._all_enough(self.bar + 1):
            self.bar += 1
        for index, gate in enumerate(gates):
            was = self.gate.setdefault(gate["key"], "pending")
            ahead, settled = not won and index >= decision, not open_ and index < decision
            for criterion in gate["criteria"]:
                key = criterion["key"]
                if settled:
                    self.status.setdefault(key, "unmet")
                    continue
                self.status[key] = "unmet" if ahead else self._judge(criterion, index, self.bar)
                if self.status[key] in {"met", "stale"}:
                    self.met_once.add(key)
            if not settled:
                passed = not ahead and index < self.bar and self._enough(index, self.bar)
                self.loops += passed and was == "regressed"
                lost = "regressed" if was != "pending" else "pending"
                self.gate[gate["key"]] = "passed" if passed else lost
        self.stands = next(
            (gates[i]["key"] for i in span if self.gate[gates[i]["key"]] != "passed"),
            gates[span.stop]["key"] if span.stop < len(gates) else None,
        )

    def _all_enough(self, bar: int) -> bool:
        """Whether all gates worked at, up to the one that the deal stands before, hold at a bar."""
        start = self._decision() if self.outcome == "won" else 0
        return all(self._enough(gate, bar) for gate in range(start, self.bar + 1))

    # --- one criterion ----------------------------------------------------------------------------

    def _enough(self, gate: int, bar: int) -> bool:
        found = self._gates()[gate]
        holds = {
            c["key"]: self._judge(c, gate, bar) in {"met", "waived"} for c in found["criteria"]
        }
        optional = [holds[c["key"]] for c in found["criteria"] if not c["mandatory"]]
        needed = [holds[c["key"]] for c in found["criteria"] if c["mandatory"]]
        return all(needed) and sum(optional) >= found["threshold"]

    def _judge(self, criterion: Dict, gate: int, bar: int) -> str:
        key = criterion["key"]
        waivers = [
            e["payload"].get("ends_at", "")
            for e in self.past
            if e["type"] in {"criterion-waived", "waiver-revoked"}
            and e["payload"]["criterion"] == key
        ]
        if waivers and self.now < waivers[-1]:
            return "waived"
        belongs = [e["payload"]["account"] for e in self.past if "account" in e["payload"]]
        shared = belongs and criterion["layer"] == "organization"
        facts = self.facts.get(belongs[-1] or "", []) if shared else []
        said = sorted(
            (
                e
                for e in [*self.past, *(e for e in facts if e["occurred_at"] <= self.now)]
                if e["type"] == "evidence-recorded" and e["payload"]["criterion"] == key
            ),
            key=lambda e: e["occurred_at"],
        )
        against = [
            e["occurred_at"]
            for e in said
            if e["payload"]["stance"] == "contradicts"
            and (e["payload"]["source_kind"] != "crm" or "crm" in criterion["source_kinds"])
        ]
        against += [
            e["occurred_at"]
            for e in self.past
            if (back := self._back(e)) is not None
            and back <= gate
            and (gate < self._decision() or e["position"] in self.while_won)
        ]
        newer = [
            e
            for e in said
            if e["payload"]["stance"] == "supports" and e["occurred_at"] > max(against, default="")
        ]
        heard = [e for e in newer if self._why_unheard(criterion, e) is None]
        if heard:
            days = _days(criterion, gate, self._gates(), max(gate, bar))
            newest: str = heard[-1]["occurred_at"]
            return "met" if days is None or self.now < _later(newest, days) else "stale"
        if against:
            return "contradicted"
        lost = any(self._why_unheard(criterion, e) == "lost" for e in newer)
        return "stale" if lost and key in self.met_once else "unmet"

    def _why_unheard(self, criterion: Dict, e: Event) -> str | None:
        """None if it counts; `lost` if its speaker left or has not the role."""
        kind, who = e["payload"]["source_kind"], e["payload"].get("said_by")
        spoken = {"meeting", "call", "email", "document", "other"}
        if kind not in (set(criterion["source_kinds"]) or spoken):
            return "never"
        if who is None:
            return None if kind == "crm" else "never"
        about = [p for p in self.past if p["payload"].get("stakeholder") == who]
        comings = [p for p in about if p["type"] in {"stakeholder-added", "stakeholder-left"}]
        left = [p["occurred_at"] for p in comings if p["type"] == "stakeholder-left"]
        just_before = [p["type"] for p in comings if p["occurred_at"] < e["occurred_at"]]
        by_then = [p["type"] for p in comings if p["occurred_at"] <= e["occurred_at"]]
        gone = "stakeholder-left"
        was_there = gone not in just_before[-1:] or gone not in by_then[-1:]
        if not was_there:
            return "lost"
        if left and e["occurred_at"] <= left[-1] and criterion["lapses_with_stakeholder"]:
            return "lost"
        roles = [p["payload"]["role"] for p in about if "role" in p["payload"]]
        order = ["staff", "manager", "director", "vice_president", "c_level"]
        ranks = [
            order.index(p["payload"]["seniority"]) for p in about if "seniority" in p["payload"]
        ]
        senior = criterion.get("said_by_seniority")
        if senior is not None and (not ranks or ranks[-1] < order.index(senior)):
            return "lost"
        wanted = criterion.get("said_by_role")
        return None if wanted is None or [wanted] == roles[-1:] else "lost"

    # --- the answer -------------------------------------------------------------------------------

    def _too_old(self) -> set[str]:
        """What holds the deal up at its next gate by age alone."""
        won = self.outcome == "won"
        start, stop = (self._decision(), len(self._gates())) if won else (0, self._decision())
        working = self.outcome in {"open", "won"} and start <= self.bar < stop
        if not working or not self._all_enough(self.bar):
            return set()
        holds = {"met", "waived"}
        return {
            c["key"]
            for gate in range(start, self.bar + 1)
            for c in self._gates()[gate]["criteria"]
            if self._judge(c, gate, self.bar) in holds
            and self._judge(c, gate, self.bar + 1) not in holds
        }

    def answer(self) -> Expected:
        gates = self._gates()
        keys = [c["key"] for gate in gates for c in gate["criteria"]]
        standing = [g for g in gates if g["key"] == self.stands] or gates[-1:]
        supported = any(self.status[key] == "met" for key in keys)
        category = standing[0]["category"] if standing and supported else "omitted"
        if self.outcome != "open":
            category = "closed" if self.outcome == "won" else "omitted"
        return Expected(
            None if self.version is None else f"{self.version['key']}@{self.version['version']}",
            self.outcome,
            {key: self.status[key] for key in keys},
            {gate["key"]: self.gate[gate["key"]] for gate in gates},
            self._too_old(),
            self.stands if gates else None,
            self.bar,
            self.loops,
            category,
        )
