"""What an import applies to every deal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from ledger.connectors.stages import Stages
from ledger.domain.times import Instant


@dataclass(frozen=True, slots=True)
class Rules:
    """What an import applies to every deal.

    Args:
        system: the name of the source, part of every event's identity.
        stages: what stages mean.
        snapshot_at: when the records were as they are.
        currency: the currency of an amount that says none.
        zone: the time zone in which a close date begins.
        snapshot_fields: fields that a history of whole rows tracks.
        changed_fields: fields that a history of single changes tracks.
        opened_stage: the stage of a deal when it opens, where no history tracks stages.
        known_at_close: fields of a record that were known only when the deal closed.
        contacts: contact id -> (name, email, title), for stakeholders.
    """

    system: str
    stages: Stages
    snapshot_at: Instant
    currency: str
    zone: ZoneInfo
    snapshot_fields: frozenset[str] = frozenset()
    changed_fields: frozenset[str] = frozenset()
    opened_stage: str | None = None
    known_at_close: frozenset[str] = frozenset()
    contacts: Mapping[str, tuple[str | None, str | None, str | None]] = field(default_factory=dict)

    def tracks(self, name: str) -> bool:
        """Whether any history in the export tracks a field."""
        return name in self.snapshot_fields or name in self.changed_fields
