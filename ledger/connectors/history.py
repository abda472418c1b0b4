"""The law by which a CRM's rows become the events of one deal.

Pure: the facts of a deal, the events that the ledger has of it already, and the rules of the import
go in; drafts come out. No clock, no database, no file.

- The CRM's change time is `known_at`, so nothing here is ever witnessed. `occurred_at` is the
  same, but for `deal-opened` (both are the record's created date) and `deal-closed`: it occurred on
  the close date that the record carries at that change, if that date lies neither before the deal
  opened, or last closed or reopened, nor after the change; else at the change.
- `deal-opened` carries what no history tracks: such a value is attested from creation. What a
  history of single changes tracks has the old value of its first change from creation on, or the
  record's value where it never changed. What a history of whole rows tracks comes from those rows.
- A history row becomes only what differs from the state before it, in the order of (change time,
  file order). What it becomes depends on no neighbour: an event states absolute values, and its id
  is made of (system, row, aspect and fields). A row that changes nothing adds nothing.
- A stage decides the outcome. Moving into a closed stage closes the deal, moving among closed
  stages with another outcome closes it again, and an open stage after a close reopens it. A won
  deal is in category closed, one that ended otherwise is omitted, whatever a category column says.
- Where the record at the snapshot differs from what the history adds up to, the difference is an
  event of the snapshot's time. An empty cell of a record clears nothing.
- Bringing the same facts in again adds nothing; more facts add only what is new. What the ledger
  knows already and the source now tells otherwise is rejected as `conflicting-change`; what was
  inferred (a derived category, a mapped gate) stays as it was first recorded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger.connectors.facts import Amount, Change, DealFacts, DealRecord
from ledger.connectors.rules import Rules
from ledger.connectors.scribe import (
    REMOVED,
    REOPENED,
    Origin,
    Scribe,
    Telling,
    attested,
    category_claimed,
    deal_closed,
    money_value,
    stage_claimed,
)
from ledger.connectors.stages import StageRule, says_no_decision
from ledger.connectors.state import DEAL_FIELDS, Claimed, Told, fold_deal, told
from ledger.domain.events import (
    Category,
    DealOpened,
    DealRevised,
    Event,
    EventPayload,
    Outcome,
    StakeholderAdded,
    StakeholderChanged,
)
from ledger.domain.ids import event_id_of
from ledger.domain.money import Money
from ledger.domain.times import Instant, format_instant, start_of_day

_REVISED = ("name", "account", "owner", "amount", "close_date")
_BEFORE, _AT, _AFTER = 0, 1, 2


def tell(facts: DealFacts, existing: Sequence[Event], rules: Rules) -> Telling:
    """Turn the facts of one deal into drafts.

    Args:
        facts: all that the export says about it.
        existing: its events in the ledger, in stream order.
        rules: what the import applies to every deal.
    """
    return _Teller(facts, existing, rules).tell()


class _Teller(Scribe):
    """Tells one deal: holds the running state and collects the drafts."""

    def __init__(self, facts: DealFacts, existing: Sequence[Event], rules: Rules) -> None:
        known = {event["event_id"]: event for event in existing}
        super().__init__(rules.system, f"deal:{facts.id}", known)
        self.rules = rules
        self._rule = rules.stages.rule
        self.id = facts.id
        self.record = facts.record
        self.extras = facts.extras
        self.state = Claimed()
        self.existing = [told(event) for event in existing]
        self.is_new = not any(event.type == "deal-opened" for event in self.existing)
        self.changes = self._distinct(facts.changes)
        self.opened_at = self._opened_at()
        if closing := self._closing():
            self.changes.append(closing)
            self.changes.sort(key=lambda change: change.at)
        self.said: tuple[Instant, Category] | None = None

    # --- the timeline ----------------------------------------------------------------------------

    def tell(self) -> Telling:
        early = sum(change.at < self.opened_at for change in self.changes)
        self.out.tallies.update({"before-creation": early} if early else ())
        for item in self._timeline():
            if item is None:
                self._open()
            elif isinstance(item, Change):
                self.attempt(item.ref, self._change, item)
            else:
                self.state.apply(item)
        for extra in self.extras:
            origin = Origin(
                extra.at or self.rules.snapshot_at, extra.ref, extra.record,
                extra.actor or self.system, extra.record,
            )  # fmt: skip
            undated = ("known_at", "occurred_at") if extra.at is None else ()
            self.emit(origin, extra.payload, extra.change, undated)
        if self.record is not None:
            if self.existing:
                self.state = self._folded()
            self.attempt(self.record.ref, self._reconcile, self.record)
        return self.out

    def _timeline(self) -> list[Told | Change | None]:
        """Rows among the opening and what else the ledger knows of the deal, in order.

        At the same instant the opening goes first and what is not of these rows goes last, so
        that a row finds the same state before it at every import.
        """
        if not self.existing:
            early = [change for change in self.changes if change.at < self.opened_at]
            return [*early, None, *self.changes[len(early) :]]
        own = {change.record for change in self.changes}
        items: list[tuple[Instant, int, int, Told | Change | None]] = [
            (change.at, _AT, order, change) for order, change in enumerate(self.changes)
        ]
        if self.is_new:
            items.append((self.opened_at, _BEFORE, 0, None))
        for event in self.existing:
            source = self.known[event.event_id]["source"]
            ours = source["system"] == self.system
            if not (ours and source.get("record") in own):
                opening = ours and source.get("record") == self.id
                items.append((event.known_at, _BEFORE if opening else _AFTER, event.order, event))
        items.sort(key=lambda item: item[:3])
        return [item[3] for item in items]

    def _distinct(self, changes: list[Change]) -> list[Change]:
        """The changes in order of time; a row given twice counts once, in its first version."""
        seen: dict[str, Change] = {}
        for change in changes:
            first = seen.setdefault(change.record, change)
            if first is change:
                continue
            self.out.tallies["row-given-twice"] += 1
            if (first.at, first.fields, first.values) != (change.at, change.fields, change.values):
                self.fault(
                    change.ref, "", change.record, "duplicate-record",
                    "the same row id stands before with other content",
                )  # fmt: skip
        return sorted(seen.values(), key=lambda change: change.at)

    def _opened_at(self) -> Instant:
        for event in self.existing:
            if event.type == "deal-opened":
                return event.occurred_at
        if self.record is not None and self.record.opened is not None:
            return self.record.opened
        return self.changes[0].at if self.changes else self.rules.snapshot_at

    def _folded(self) -> Claimed:
        """The state by the fold's own order, of what is recorded and what is about to be."""
        order = self.existing[-1].order
        fresh = [
            Told(
                step.draft.occurred_at, step.draft.known_at or step.draft.occurred_at,
                order + number, step.draft.payload.type, step.draft.payload.to_json(),
                str(step.draft.event_id),
            )
            for number, step in enumerate(self.out.steps, 1)
        ]  # fmt: skip
        return fold_deal([*self.existing, *fresh], self.rules.snapshot_at)

    # --- opening ---------------------------------------------------------------------------------

    def _open(self) -> None:
        record = self.record
        if record is None:
            return
        at = self.opened_at
        origin = Origin(at, record.ref, self.id, self.system, self.id)
        given = {name: self._initial(name) for name in DEAL_FIELDS}
        given = {name: value for name, value in given.items() if value not in (None, ())}
        self.state.fields.update(given)
        self.state.dimensions.update(record.dimensions)
        self.state.floor = at if self.state.floor is None else max(at, self.state.floor)
        if record.dimensions:
            given["dimensions"] = dict(record.dimensions)
        if "amount" in given:
            given["amount"] = money_value(given["amount"])
        self.attempt(record.ref, lambda _: self.emit(origin, DealOpened(**given), "opened"), None)
        stage = self._initial("stage")
        if stage is not None and not self.rules.tracks("stage") and self._rule(stage).outcome:
            stage = self.rules.opened_stage
        if stage is not None:
            now = record.values
            derived = self.rules.tracks("stage") and not self.rules.tracks("category")
            said = None if derived else self._initial("category")
            if said is not None and said == now.get("category"):
                said = self._trusted_category(record)
            probability = now.get("probability") if stage == now.get("stage") else None
            self._claim(
                origin._replace(prefix="opened:"), stage, said, probability,
                self._initial("close_date"),
            )  # fmt: skip

    def _initial(self, name: str) -> Any:
        """A field's value from creation on, as far as the export attests it."""
        current = self._record_value(name)
        if name in self.rules.changed_fields:
            for change in self.changes:
                if change.olds is not None and name in change.fields:
                    if change.at < self.opened_at:
                        return None
                    return self._valued(change.olds[change.fields.index(name)], None)
            if name in self.rules.snapshot_fields and self.changes:
                return None
            return current
        if name in self.rules.snapshot_fields or name in self.rules.known_at_close:
            return None
        return current

    def _record_value(self, name: str) -> Any:
        if self.record is None:
            return None
        return self._valued(self.record.values.get(name), self.record.currency)

    def _closing(self) -> Change | None:
        """The close that a record's own dates tell, where no history tracks stages."""
        record = self.record
        if record is None or self.rules.tracks("stage"):
            return None
        stage = record.values.get("stage")
        if stage is None or self._rule(stage).outcome is None:
            return None
        at = record.closed
        if at is None and record.values.get("close_date") is not None:
            at = start_of_day(record.values["close_date"], self.rules.zone)
        if at is not None and at < self.opened_at and at.date() == self.opened_at.date():
            at = self.opened_at
        if at is None or not self.opened_at <= at <= self.rules.snapshot_at:
            self.out.tallies["closed-without-a-date"] += 1
            at = self.rules.snapshot_at
        fields = ("stage", *sorted(self.rules.known_at_close & record.fields))
        return Change(
            at, record.ref, f"{self.id}#closing", None, fields,
            tuple(record.values.get(name) for name in fields), None, record.currency,
            f"closing {format_instant(at)}:",
        )  # fmt: skip

    # --- a history row ---------------------------------------------------------------------------

    def _change(self, change: Change) -> None:
        values = dict(zip(change.fields, change.values, strict=True))
        origin = Origin(
            change.at, change.ref, change.record, change.actor or self.system,
            change.record if not change.known_with else self.id, change.known_with,
        )  # fmt: skip
        stage = values.get("stage")
        close_date = values.get("close_date")
        category = values.get("category")
        if stage is not None:
            self._claim(origin, stage, category, values.get("probability"), close_date)
        elif category is not None:
            self._say_category(origin, category)
        held = self.state.fields
        revised = {}
        for name in _REVISED:
            if name in values:
                value = values[name]
                if name == "amount":
                    value = self._valued(value, change.currency)
                if value != held.get(name):
                    revised[name] = value
        if revised:
            self._revise(origin, revised)
        if values.get("is_deleted") and not self.state.removed:
            self.state.removed = True
            self.emit(origin, REMOVED, "removed")

    def _claim(
        self, origin: Origin, stage: str, said: Category | None, probability: int | None,
        close_date: Any,
    ) -> None:  # fmt: skip
        """A row or a record says that the deal is in a stage."""
        state, rule = self.state, self._rule(stage)
        outcome = self._outcome(rule)
        if outcome is None and state.outcome is not None and not rule.reopens:
            self.out.tallies["stage-after-close"] += 1
            outcome = Outcome(state.outcome)
        moved = stage != state.stage
        ended = outcome != state.outcome
        if not moved and not ended and not origin.reconciled:
            self.out.tallies["repeated-stage"] += 1
        if moved:
            self._claim_stage(origin, stage, rule, probability)
        if ended and outcome is None:
            state.outcome = None
            state.floor = origin.at
            self.out.tallies["reopened"] += 1
            self.emit(origin, REOPENED, "reopened")
        self._claim_category(origin, rule, outcome, said, moved=moved, ended=ended)
        if ended and outcome is not None:
            self._close(origin, outcome, close_date)

    def _claim_stage(
        self, origin: Origin, stage: str, rule: StageRule, probability: int | None
    ) -> None:
        self.state.stage = stage
        if not (rule.told or self.rules.stages.learns):
            self.out.tallies[f"unmapped-stage:{stage}"] += 1
        inferred = ("gate",) if probability is not None else ("gate", "probability")
        if probability is None:
            probability = rule.probability
        payload = stage_claimed(stage, rule.gate, probability)
        self.emit(origin, payload, "stage", inferred)
        for criterion in rule.evidence:
            self.emit(origin, attested(criterion), f"evidence:{criterion}")
        for criterion in rule.against:
            self.emit(origin, attested(criterion, "contradicts"), f"against:{criterion}")

    def _claim_category(
        self, origin: Origin, rule: StageRule, outcome: Outcome | None, said: Category | None,
        *, moved: bool, ended: bool,
    ) -> None:  # fmt: skip
        inferred = True
        if outcome is not None:
            category = Category.CLOSED if outcome is Outcome.WON else Category.OMITTED
            if said is not None and said is not category:
                self.out.tallies[f"category-of-closed:{said}"] += 1
            inferred = said is None
        elif said is not None and said is not Category.CLOSED:
            category, inferred = said, False
        elif self.said is not None and self.said[0] == origin.at:
            category = self.said[1]
        else:
            if said is Category.CLOSED:
                self.out.tallies["closed-category-of-open"] += 1
            tracked = "category" in self.rules.changed_fields
            follows = moved and not tracked
            if self.state.category is not None and not (follows or ended):
                return
            category = rule.category or Category.PIPELINE
        if category != self.state.category:
            self.state.category = category
            if inferred:
                self.out.tallies["category-derived"] += 1
            self.emit(
                origin, category_claimed(category), "category",
                ("category",) if inferred else (),
            )  # fmt: skip

    def _say_category(self, origin: Origin, category: Category) -> None:
        """A row speaks of the category alone."""
        if category is not Category.CLOSED:
            self.said = (origin.at, category)
        if self.state.outcome is not None or category is Category.CLOSED:
            return
        if category != self.state.category:
            self.state.category = category
            self.emit(origin, category_claimed(category), "category")

    def _close(self, origin: Origin, outcome: Outcome, close_date: Any) -> None:
        state = self.state
        day = close_date or state.fields.get("close_date")
        if day is None and self.record is not None and not self.rules.tracks("close_date"):
            day = self.record.values.get("close_date")
        occurred_at = origin.at
        if day is not None:
            start = start_of_day(day, self.rules.zone)
            floor = self.opened_at if state.floor is None else max(state.floor, self.opened_at)
            if floor <= start <= origin.at:
                occurred_at = start
        reason = None
        if outcome is not Outcome.WON and self.record is not None:
            reason = self.record.loss_reason
        state.outcome = outcome
        state.floor = origin.at
        self.emit(
            origin, deal_closed(outcome, reason), f"closed:{outcome}",
            ("outcome", "seller_reason", "occurred_at"), occurred_at=occurred_at,
        )  # fmt: skip

    def _revise(self, origin: Origin, revised: dict[str, Any]) -> None:
        given = dict(revised)
        if given.get("amount") is not None:
            given["amount"] = money_value(given["amount"])
        payload = DealRevised(**given)
        self.state.fields.update(revised)
        self.emit(origin, payload, "revised:" + ",".join(sorted(revised)))

    # --- the record at the snapshot --------------------------------------------------------------

    def _reconcile(self, record: DealRecord) -> None:
        at = self.rules.snapshot_at
        origin = Origin(
            at, record.ref, f"{self.id}@{format_instant(at)}", self.system, self.id,
            f"snapshot:{format_instant(at)}:", reconciled=True,
        )  # fmt: skip
        stage = record.values.get("stage")
        category = self._trusted_category(record)
        if stage is not None:
            self._claim(
                origin, stage, category, record.values.get("probability"),
                record.values.get("close_date"),
            )  # fmt: skip
        elif category is not None:
            self._say_category(origin, category)
        revised: dict[str, Any] = {}
        for name in DEAL_FIELDS:
            if name not in record.fields:
                continue
            value, held = self._record_value(name), self.state.fields.get(name)
            if value == held:
                continue
            if value is None:
                self.out.tallies[f"kept-though-empty:{name}"] += 1
            else:
                revised[name] = value
        dimensions = {
            key: label
            for key, label in record.dimensions.items()
            if self.state.dimensions.get(key) != label
        }
        if revised or dimensions:
            self._reconcile_fields(origin, revised, dimensions)
        self._reconcile_removal(origin, record)
        self._reconcile_roles(origin, record)

    def _reconcile_fields(
        self, origin: Origin, revised: dict[str, Any], dimensions: dict[str, str]
    ) -> None:
        self.state.fields.update(revised)
        self.state.dimensions.update(dimensions)
        given = dict(revised)
        if "amount" in given:
            given["amount"] = money_value(given["amount"])
        if dimensions:
            given["dimensions"] = dimensions
        names = sorted([*revised, *(f"dimensions.{key}" for key in dimensions)])
        self.emit(origin, DealRevised(**given), "revised:" + ",".join(names))

    def _reconcile_removal(self, origin: Origin, record: DealRecord) -> None:
        if record.is_deleted and not self.state.removed:
            self.state.removed = True
            self.emit(origin, REMOVED, "removed")
        elif record.is_deleted is False and self.state.removed:
            self.out.tallies["restored"] += 1

    def _reconcile_roles(self, origin: Origin, record: DealRecord) -> None:
        """Stakeholders that the record names; a role has no history: it is the snapshot's word."""
        added = origin._replace(prefix="", reconciled=False)
        roles = {contact: role for role, contact in reversed(record.roles)}
        for contact, role in roles.items():
            name, email, title = self.rules.contacts.get(contact, (None, None, None))
            payload: EventPayload
            if contact not in self.state.stakeholders:
                payload = StakeholderAdded(
                    stakeholder=contact, name=name or contact, email=email, title=title, role=role
                )
                change = f"stakeholder:{contact}"
                first = str(event_id_of(self.system, self.id, change)) not in self.known
                self.emit(added if first else origin, payload, change)
            elif self.state.stakeholders[contact] != role:
                payload = StakeholderChanged(stakeholder=contact, role=role)
                self.emit(origin, payload, f"stakeholder:{contact}:role")
            self.state.stakeholders[contact] = role

    # --- small rules -----------------------------------------------------------------------------

    def _outcome(self, rule: StageRule) -> Outcome | None:
        if rule.outcome is Outcome.LOST and self.record is not None:
            reason = self.record.loss_reason
            if reason is not None and says_no_decision(reason):
                return Outcome.NO_DECISION
        return rule.outcome

    def _trusted_category(self, record: DealRecord) -> Category | None:
        """The record's category, unless its flags show that it speaks of another stage."""
        category: Category | None = record.values.get("category")
        stage = record.values.get("stage")
        if category is None or stage is None or record.is_closed is None:
            return category
        rule = self._rule(stage)
        return category if record.is_closed == (rule.outcome is not None) else None

    def _valued(self, value: Any, currency: str | None) -> Any:
        """A field's value with what the row leaves open: an amount gets its currency."""
        if isinstance(value, Amount):
            own = value.currency or currency or (self.record.currency if self.record else None)
            if own is None:
                self.out.tallies["currency-assumed"] += 1
            return Money(value.value, own or self.rules.currency)
        return value
