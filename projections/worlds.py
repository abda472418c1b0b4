"""What all deals are folded with, as the log says it at a position: playbooks and the time zone.

Law: the world at a position depends on the events up to it alone. The zone is that of the fiscal
calendar at the instant at which the last of them was recorded, on both axes; so an announced change
counts from the first event recorded after it took effect. Reviews of playbooks judge no deal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, LiteralString

from psycopg import Connection

from ledger.domain.envelope import decode
from ledger.domain.events import SETTINGS_STREAM, Event, FiscalCalendarSet, PlaybookPublished
from ledger.domain.history import ACTS
from projections.fold.deal_history import World
from projections.fold.settings import settings_at

_PLAYBOOK_TYPES = ACTS | {PlaybookPublished.type}
_CALENDAR_TYPES = ACTS | {FiscalCalendarSet.type}

_EVENTS: LiteralString = """
SELECT envelope FROM qledger.event
WHERE stream >= %(first)s AND stream < %(end)s AND position <= %(horizon)s
AND type = ANY(%(types)s::text[]) ORDER BY position
"""
_RECORDED_AT: LiteralString = """
SELECT qledger.format_instant(recorded_at) FROM qledger.event WHERE position = %s
"""


class Shared:
    """The events that all deals share, up to a position.

    Args:
        playbooks: publications and the acts on them.
        calendars: settings of the fiscal calendar, and the acts on settings.
    """

    def __init__(self, playbooks: Sequence[Event], calendars: Sequence[Event]) -> None:
        self.playbooks = list(playbooks)
        self.calendars = list(calendars)

    @classmethod
    def read(cls, connection: Connection[Any], horizon: int) -> Shared:
        """Those of the log up to a horizon."""
        return cls(
            _read(connection, "playbook:", "playbook;", _PLAYBOOK_TYPES, horizon),
            _read(connection, SETTINGS_STREAM, SETTINGS_STREAM + "\x01", _CALENDAR_TYPES, horizon),
        )

    def take(self, events: Iterable[Event]) -> None:
        """Add newly recorded events."""
        for event in events:
            if is_of_playbooks(event):
                self.playbooks.append(event)
            elif is_of_calendar(event):
                self.calendars.append(event)

    def zone_at(self, recorded_at: str, news: Iterable[Event] = ()) -> str:
        """The reporting time zone at an instant, in the one spelling, on both axes."""
        visible = [each for each in (*self.calendars, *news) if each["known_at"] <= recorded_at]
        settings = settings_at(visible, recorded_at, first_currency=None)
        return settings.calendar.time_zone


def world_at(connection: Connection[Any], horizon: int) -> World:
    """What all deals are folded with up to a horizon."""
    shared = Shared.read(connection, horizon)
    row = connection.execute(_RECORDED_AT, [horizon]).fetchone()
    return World(shared.playbooks, shared.zone_at(row[0]) if row else shared.zone_at(""))


def is_of_playbooks(event: Event) -> bool:
    """Whether an event may change by what deals are judged."""
    return event["type"] in _PLAYBOOK_TYPES and event["stream"].startswith("playbook:")


def is_of_calendar(event: Event) -> bool:
    """Whether an event may change the reporting time zone."""
    return event["type"] in _CALENDAR_TYPES and event["stream"] == SETTINGS_STREAM


def _read(
    connection: Connection[Any], first: str, end: str, types: frozenset[str], horizon: int
) -> list[Event]:
    parameters = {"first": first, "end": end, "types": sorted(types), "horizon": horizon}
    rows = connection.execute(_EVENTS, parameters, binary=True)
    return [decode(envelope) for (envelope,) in rows]
