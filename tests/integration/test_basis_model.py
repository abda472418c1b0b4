"""The law of the basis, driven at random: every answer of the ledger equals a small model's.

The model keeps a plain list and follows DESIGN's sentences literally; it shares no code with the
fold. Hypothesis appends, enters late, corrects, retracts, imports back-dated history and imports it
again; after each step the ledger is asked at bases around every instant that has come up.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID, uuid4

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    multiple,
    rule,
    run_state_machine_as_test,
)

from api.asof import AsOf
from api.door import Door
from ledger import service
from ledger.config import Settings
from ledger.domain.errors import Refused
from ledger.domain.events import Draft, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.domain.times import format_instant
from ledger.store.ledger import Ledger

OPENED = datetime(2026, 1, 1, tzinfo=UTC)
DAYS = st.integers(min_value=1, max_value=6)  # few, so that instants meet
DEALS = st.sampled_from(["A", "B"])
MICROSECOND = timedelta(microseconds=1)
FreshLedger = Callable[[], AbstractContextManager[tuple[Ledger, Settings]]]

amounts = st.sampled_from(["10.00", "20.50", "300"])
claims = st.one_of(
    st.sampled_from(["Discovery", "Proposal", "Closing"]).map(
        lambda stage: ("stage-claimed", {"stage": stage})
    ),
    st.sampled_from(["pipeline", "best_case", "commit"]).map(
        lambda category: ("category-claimed", {"category": category})
    ),
    amounts.map(lambda a: ("deal-revised", {"amount": {"amount": a, "currency": "USD"}})),
    st.sampled_from(["2026-02-15", "2026-05-15"]).map(
        lambda day: ("deal-revised", {"close_date": day})
    ),
    st.sampled_from(["won", "lost"]).map(lambda outcome: ("deal-closed", {"outcome": outcome})),
    st.just(("deal-reopened", {})),
)


@dataclass
class Entry:
    """One event as the model remembers it."""

    position: int
    event_id: str
    deal: str
    type: str
    payload: dict[str, Any]
    occurred_at: datetime
    known_at: datetime
    witnessed: bool


@dataclass
class Model:
    """The rules of the basis, as sentences."""

    entries: list[Entry] = field(default_factory=list)

    def visible(self, known_at: datetime, horizon: int, *, witnessed_only: bool) -> list[Entry]:
        return [
            entry
            for entry in self.entries
            if entry.position <= horizon
            and entry.known_at <= known_at
            and not (witnessed_only and not entry.witnessed)
        ]

    def state(self, deal: str, visible: list[Entry], valid_at: datetime) -> dict[str, Any] | None:
        own = [entry for entry in visible if entry.deal == deal]
        facts = []
        for entry in own:
            if entry.type in {"event-retracted", "event-corrected"}:
                continue
            acts = [a for a in self._acts(own) if a.payload["target"] == entry.event_id]
            if any(act.type == "event-retracted" for act in acts):
                continue
            payload, occurred_at = entry.payload, entry.occurred_at
            for act in acts:
                payload = act.payload.get("payload", payload)
                moved = act.payload.get("occurred_at")
                occurred_at = datetime.fromisoformat(moved) if moved else occurred_at
            if occurred_at <= valid_at:
                facts.append((occurred_at, entry.known_at, entry.position, entry.type, payload))
        facts.sort(key=lambda fact: fact[:3])
        state: dict[str, Any] = {}
        for *_order, kind, payload in facts:
            state.update(payload)
            if kind == "deal-opened":
                state["opened"] = True
            if kind == "deal-reopened":
                state["outcome"] = "open"
        return state if state.get("opened") else None

    def _acts(self, own: list[Entry]) -> list[Entry]:
        """Acts in force: not undone by a retraction in force that became known later."""
        acts = sorted(
            (entry for entry in own if entry.type in {"event-retracted", "event-corrected"}),
            key=lambda entry: (entry.known_at, entry.position),
        )
        in_force: list[Entry] = []
        for index in range(len(acts) - 1, -1, -1):
            undone = any(
                later.type == "event-retracted" and later.payload["target"] == acts[index].event_id
                for later in in_force
            )
            if not undone:
                in_force.append(acts[index])
        return in_force[::-1]


class BasisMachine(RuleBasedStateMachine):
    """Random histories over a fresh ledger for each run."""

    fresh_ledger: ClassVar[FreshLedger]

    events = Bundle("events")

    def __init__(self) -> None:
        super().__init__()
        self.opened = type(self).fresh_ledger()
        self.ledger, settings = self.opened.__enter__()
        self.door = Door(self.ledger.database, settings)
        self.model = Model()
        self.numbers = itertools.count(1)

    def teardown(self) -> None:
        self.opened.__exit__(None, None, None)

    @initialize(target=events)
    def open_deals(self) -> Any:
        facts = {"name": "a deal", "close_date": "2026-02-15"}
        drafts = [self._attested(d, "deal-opened", facts, OPENED, OPENED) for d in ("A", "B")]
        return multiple(*[self._import(draft) for draft in drafts])

    @rule(target=events, deal=DEALS, claim=claims, day=DAYS)
    def record(self, deal: str, claim: tuple[str, dict[str, Any]], day: int) -> Any:
        """Enter something late: it happened on a day long before it is known."""
        return self._record(deal, *claim, OPENED + timedelta(days=day))

    @rule(target=events, deal=DEALS, claim=claims, day=DAYS, late=st.integers(0, 4))
    def bring_in(self, deal: str, claim: tuple[str, dict[str, Any]], day: int, late: int) -> Any:
        """Import back-dated history."""
        occurred_at = OPENED + timedelta(days=day)
        known_at = occurred_at + timedelta(days=late)
        return self._import(self._attested(deal, *claim, occurred_at, known_at))

    @rule(target=events, event=events)
    def retract(self, event: Entry) -> Any:
        return self._record(
            event.deal, "event-retracted", {"target": event.event_id, "reason": "wrong"}, None
        )

    @rule(target=events, event=events, day=DAYS)
    def correct_time(self, event: Entry, day: int) -> Any:
        occurred_at = min(OPENED + timedelta(days=day), event.known_at)
        payload = {
            "target": event.event_id,
            "occurred_at": format_instant(occurred_at),
            "reason": "wrong day",
        }
        return self._record(event.deal, "event-corrected", payload, None)

    @rule(target=events, event=events, amount=amounts)
    def correct_payload(self, event: Entry, amount: str) -> Any:
        if event.type != "deal-revised":
            return multiple()
        money = {"amount": {"amount": amount, "currency": "USD"}}
        payload = {"target": event.event_id, "payload": money, "reason": "wrong amount"}
        return self._record(event.deal, "event-corrected", payload, None)

    @rule(event=events)
    def import_again(self, event: Entry) -> None:
        if event.witnessed:
            return
        draft = self._attested(
            event.deal, event.type, event.payload, event.occurred_at, event.known_at,
            event_id=UUID(event.event_id),
        )  # fmt: skip
        again = self.ledger.import_events([draft])
        assert (again.added, again.known) == (0, 1)

    @rule(
        valid_day=DAYS,
        nudge=st.sampled_from([-MICROSECOND, timedelta(0), MICROSECOND]),
        known=st.one_of(st.none(), DAYS),
        back=st.integers(0, 6),
        witnessed_only=st.booleans(),
    )
    def ask(
        self,
        valid_day: int,
        nudge: timedelta,
        known: int | None,
        back: int,
        witnessed_only: bool,
    ) -> None:
        valid_at = OPENED + timedelta(days=valid_day) + nudge
        head = len(self.model.entries)
        horizon = max(0, head - back)
        known_at = OPENED + timedelta(days=known) + nudge if known else self.ledger.clock()
        asked = AsOf(
            None, format_instant(valid_at), format_instant(known_at), horizon, witnessed_only
        )
        visible = self.model.visible(known_at, horizon, witnessed_only=witnessed_only)
        expected = {
            deal: state
            for deal in ("A", "B")
            if (state := self.model.state(deal, visible, valid_at)) is not None
        }
        with self.door.book(asked) as book:
            answer = {deal.deal_id: deal.claimed for deal in book.deals()}
            forecast = book.forecast(book.period("2026-Q1")).as_dict()
        assert answer.keys() == expected.keys()
        for deal, state in expected.items():
            claimed = answer[deal]
            assert claimed.stage == state.get("stage")
            assert claimed.outcome == state.get("outcome", "open")
            assert str(claimed.close_date) == state["close_date"]
            amount = state.get("amount")
            assert claimed.amount == (
                None if amount is None else (Decimal(amount["amount"]), amount["currency"])
            )
        self._check_forecast(forecast, list(expected.values()))

    def _check_forecast(self, forecast: dict[str, Any], states: list[dict[str, Any]]) -> None:
        counted: dict[str, list[Decimal]] = {}
        for state in states:
            if not "2026-01-01" <= state["close_date"] <= "2026-03-31":
                continue
            outcome = state.get("outcome", "open")
            category = state.get("category", "pipeline")
            if outcome != "open":
                category = "closed" if outcome == "won" else "omitted"
            amount = Decimal(state["amount"]["amount"]) if "amount" in state else Decimal(0)
            counted.setdefault(category, []).append(amount)
        claimed = forecast["measures"]["claimed"]
        for category, cell in claimed.items():
            values = counted.get(category, [])
            assert cell["deals"] == len(values)
            assert Decimal(cell["amount"]) == sum(values, Decimal(0))

    def _record(
        self, deal: str, kind: str, payload: dict[str, Any], occurred_at: datetime | None
    ) -> Any:
        try:
            receipt = service.record(
                self.ledger,
                f"deal:{deal}",
                (kind, payload),
                actor="model",
                occurred_at=occurred_at,
            )
        except Refused:
            return multiple()
        happened = occurred_at or receipt.recorded_at
        entry = Entry(
            receipt.position, str(receipt.event_id), deal, kind, payload, happened,
            receipt.recorded_at, witnessed=True,
        )  # fmt: skip
        self.model.entries.append(entry)
        return entry

    def _attested(
        self,
        deal: str,
        kind: str,
        payload: dict[str, Any],
        occurred_at: datetime,
        known_at: datetime,
        event_id: UUID | None = None,
    ) -> Draft:
        made = event_id or event_id_of("model", str(uuid4()), str(next(self.numbers)))
        return Draft(
            f"deal:{deal}", parse_payload(kind, payload), made, "crm", Source("model"),
            occurred_at, known_at,
        )  # fmt: skip

    def _import(self, draft: Draft) -> Entry:
        assert self.ledger.import_events([draft]).added == 1
        assert draft.known_at is not None
        entry = Entry(
            len(self.model.entries) + 1,
            str(draft.event_id),
            draft.stream.removeprefix("deal:"),
            draft.payload.type,
            draft.payload.to_json(),
            draft.occurred_at,
            draft.known_at,
            witnessed=False,
        )
        self.model.entries.append(entry)
        return entry


def test_every_answer_agrees_with_the_rules_of_the_basis(fresh_ledger: FreshLedger) -> None:
    over_fresh_ledgers = type(
        "Basis", (BasisMachine,), {"fresh_ledger": staticmethod(fresh_ledger)}
    )
    run_state_machine_as_test(
        over_fresh_ledgers,
        settings=hypothesis_settings(max_examples=28, stateful_step_count=25, deadline=None),
    )
