"""A small journey for tests of the practice: three gates before the decision, one after it."""

from __future__ import annotations

from typing import Any

from ledger.domain.events import Event
from ledger.domain.history import effective
from ledger.domain.playbook import Criterion, Gate, Playbook, Role
from projections.fold.gates import Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory
from tests.unit.domain.builders import Log, payload, spelled

JOURNEY = Playbook(
    key="small",
    version="1",
    name="Small",
    roles=(Role(key="champion", name="Champion"), Role(key="buyer", name="Buyer", authority=True)),
    gates=(
        Gate(
            key="problem",
            name="Problem",
            stage="Consideration",
            threshold=1,
            category="pipeline",
            weight_percent=10,
            criteria=(
                Criterion(
                    key="fit",
                    question="Who confirmed the fit?",
                    fresh_for_days=60,
                    fresher_at={"decision": 20},
                ),
                Criterion(
                    key="options", question="Which options?", mandatory=False, fresh_for_days=60
                ),
                Criterion(
                    key="deadline", question="Whose date?", mandatory=False, fresh_for_days=60
                ),
            ),
        ),
        Gate(
            key="decision",
            name="Decision",
            stage="Decision",
            category="commit",
            weight_percent=80,
            criteria=(
                Criterion(
                    key="price",
                    question="Who saw the price?",
                    layer="stakeholder",
                    fresh_for_days=30,
                    said_by_role="buyer",
                ),
            ),
        ),
        Gate(
            key="signature",
            name="Signature",
            stage="Decision",
            category="commit",
            weight_percent=90,
            criteria=(Criterion(key="contract", question="Who has it?", fresh_for_days=20),),
        ),
        Gate(
            key="advocacy",
            name="Advocacy",
            stage="Advocacy",
            after_decision=True,
            category="commit",
            criteria=(
                Criterion(key="handover", question="Who met delivery?", fresh_for_days=365),
                Criterion(key="review", question="When?", mandatory=False, fresh_for_days=90),
            ),
        ),
    ),
)


class Journey:
    """A deal of that journey: `cho` is the champion, `bea` the buyer."""

    def __init__(self) -> None:
        self.log = Log()
        published = payload("playbook-published", playbook=JOURNEY.model_dump(mode="json"))
        self.playbook = self.log.record(published, "2026-01-01", stream="playbook:small")
        self.say("deal-opened", "2026-01-02", name="Deal")
        for who, role in (("cho", "champion"), ("bea", "buyer")):
            self.say("stakeholder-added", "2026-01-02", stakeholder=who, name=who, role=role)

    def say(self, event_type: str, day: str, **fields: Any) -> Event:
        """Record an event of the deal."""
        return self.log.record(payload(event_type, **fields), day)

    def shows(
        self, criterion: str, day: str, said_by: str = "cho", stance: str = "supports"
    ) -> Event:
        """Record evidence from a meeting."""
        return self.say(
            "evidence-recorded",
            day,
            criterion=criterion,
            stance=stance,
            source_kind="meeting",
            said_by=said_by,
        )

    @property
    def events(self) -> list[Event]:
        """The events of the deal."""
        return [event for event in self.log.events if event["stream"] != "playbook:small"]

    def effective(self, day: str) -> list[Event]:
        """The events of the deal that a fold takes."""
        return effective(self.events, spelled(day))

    def at(self, day: str) -> Qualification:
        """Its gates on a day, at noon."""
        playbooks = PlaybookHistory([self.playbook], spelled(day))
        found = qualify("D1", self.events, spelled(day), playbooks)
        assert found is not None
        return found
