"""The desk: where events are collected; and what it records of people, periods and settings.

Law: an event is in the book only when it was known before the anchor; the file is in the order in
which things became known, so that a correction comes after what it corrects.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from ledger.domain.events import SCHEMA_VERSIONS, SETTINGS_STREAM, parse_payload, stream_name
from ledger.domain.ids import event_id_of
from ledger.domain.playbook import Playbook
from ledger.domain.times import format_instant
from scripts.demo_book import words
from scripts.demo_book.calls import whole_thousands
from scripts.demo_book.cast import (
    DIRECTOR,
    LEAVER,
    MOVED_TO,
    MOVER,
    REPS,
    TEAMS,
    Calendar,
    Person,
    quarter_end,
    quarter_name,
    weekday,
    working_time,
)

SYSTEM = "deal-desk"


class Written(NamedTuple):
    """An event that stands in the book."""

    id: str
    stream: str
    type: str
    occurred_at: datetime
    known_at: datetime
    actor: str
    payload: dict[str, Any]
    record: str


class Desk:
    """Collects events, each with an id made from its own record number."""

    def __init__(self, calendar: Calendar) -> None:
        self.calendar = calendar
        self.events: list[Written] = []
        self._count = 0

    def write(
        self,
        stream: str,
        event_type: str,
        payload: dict[str, Any],
        *,
        actor: str,
        at: datetime,
        known: datetime | None = None,
    ) -> Written | None:
        """Record an event, unless it became known only after the book's end.

        Args:
            at: when it happened, or takes effect.
            known: when the organisation knew; the same instant unless given.
        """
        self._count += 1
        record = f"DD-{self._count:06d}"
        known = known or at
        if known >= self.calendar.end:
            return None
        spelled = parse_payload(event_type, payload).to_json()
        identity = str(event_id_of(SYSTEM, record, "1"))
        event = Written(identity, stream, event_type, at, known, actor, spelled, record)
        self.events.append(event)
        return event

    def lines(self) -> Iterator[str]:
        """The events as NDJSON, in the order in which they became known."""
        for event in sorted(self.events, key=lambda event: (event.known_at, event.record)):
            yield json.dumps(
                {
                    "event_id": event.id,
                    "stream": event.stream,
                    "type": event.type,
                    "schema_version": SCHEMA_VERSIONS[event.type],
                    "actor": event.actor,
                    "source": {"system": SYSTEM, "record": event.record},
                    "occurred_at": format_instant(event.occurred_at),
                    "known_at": format_instant(event.known_at),
                    "payload": event.payload,
                },
                ensure_ascii=False,
                separators=(",", ":"),
                sort_keys=True,
            )


def record_settings(desk: Desk, playbook: Playbook) -> None:
    rng = random.Random(SETTINGS_STREAM)
    first = working_time(rng, weekday(desk.calendar.start - timedelta(days=3)))
    desk.write(
        SETTINGS_STREAM,
        "reporting-currency-set",
        {"currency": "USD"},
        actor=DIRECTOR.id,
        at=first,
    )
    stream = stream_name("playbook", playbook.key)
    published = {"playbook": playbook.model_dump(mode="json", exclude_none=True)}
    desk.write(stream, "playbook-published", published, actor=DIRECTOR.id, at=first)
    day = first.date()
    for gap in (50, 55, 48, 58, 97, 45, 52, 56, 40):  # once nobody looked at the map for months
        day += timedelta(days=gap)
        review = {"reviewer": DIRECTOR.id, "note": "Read through with the managers; still right."}
        at = working_time(rng, weekday(day))
        desk.write(stream, "playbook-reviewed", review, actor=DIRECTOR.id, at=at)


def record_people(seed: int, desk: Desk) -> None:
    rng = random.Random(f"{seed}/people")
    calendar = desk.calendar
    start = working_time(rng, weekday(calendar.start))
    stream = stream_name("person", MOVER.id)
    before = {"manager": MOVER.manager, "team": MOVER.team}
    desk.write(stream, "person-reassigned", before, actor=DIRECTOR.id, at=start)
    moves = working_time(rng, calendar.mover_moves_on).replace(hour=0, minute=0, second=0)
    desk.write(
        stream,
        "person-reassigned",
        {"manager": MOVED_TO.manager, "team": MOVED_TO.name},
        actor=DIRECTOR.id,
        at=moves,
        known=moves - timedelta(days=19),  # announced ahead
    )
    left = working_time(rng, calendar.leaver_left_on).replace(hour=17)
    reason = {"reason": "Went to another company."}
    desk.write(stream_name("person", LEAVER.id), "person-left", reason, actor=DIRECTOR.id, at=left)
    for quarter in calendar.quarters():
        for rep in REPS:
            day = weekday(quarter + timedelta(days=rng.randrange(60, 80)))
            if rep is LEAVER and day >= calendar.leaver_left_on:
                continue
            _assess(rng, desk, rep, day)


_ASPECTS = ("motivation", "confidence", "urgency", "buy_in", "knowledge", "skills_applied")


def _assess(rng: random.Random, desk: Desk, rep: Person, day: date) -> None:
    manager = team_on(desk.calendar, rep, day)[1]
    for aspect in rng.sample(_ASPECTS, 2):
        score = rng.choice((2, 3, 3, 4, 4, 5))
        note = f"Seen in this quarter's debriefs; {'keep' if score > 2 else 'train'} it."
        desk.write(
            stream_name("person", rep.id),
            "person-assessed",
            {"aspect": aspect, "score": score, "assessor": manager, "note": note},
            actor=manager,
            at=working_time(rng, day),
        )


def team_on(calendar: Calendar, person: Person, day: date) -> tuple[str, str]:
    """Team and manager of a seller on a day."""
    moved = person is MOVER and day >= calendar.mover_moves_on
    team = MOVED_TO if moved else TEAMS[person.team]
    return team.name, team.manager


def record_adjustments(
    seed: int, desk: Desk, calls: dict[tuple[str, str], tuple[int, str]]
) -> None:
    """Haircuts by habit, and overrides, quarter by quarter.

    Args:
        calls: (quarter, seller) -> the commit called in the fourth week, and its currency.
    """
    rng = random.Random(f"{seed}/adjustments")
    for quarter in desk.calendar.quarters():
        period = quarter_name(quarter)
        ends = datetime.combine(quarter_end(quarter) + timedelta(days=1), time.min, UTC)
        for rep in REPS:
            called = calls.get((period, rep.id))
            if called is None:
                continue
            at = working_time(rng, weekday(quarter + timedelta(days=31)))
            manager = team_on(desk.calendar, rep, at.date())[1]
            team = next(team for team in TEAMS.values() if team.manager == manager)
            common: dict[str, Any] = {
                "period": period,
                "person": rep.id,
                "category": "commit",
                "expires_at": format_instant(ends),
            }
            cut = common | {"adjuster": manager, "reason": rng.choice(words.HAIRCUTS)}
            cut["haircut_percent"] = team.haircut_percent
            stream = stream_name("period", period)
            desk.write(stream, "forecast-adjusted", cut, actor=manager, at=at)
            if rng.random() < 0.3:
                amount, currency = called
                value = f"{whole_thousands(amount * rng.uniform(0.6, 1.1))}.00"
                override = common | {"adjuster": DIRECTOR.id, "reason": rng.choice(words.OVERRIDES)}
                override["override"] = {"amount": value, "currency": currency}
                later = at + timedelta(days=21)
                desk.write(stream, "forecast-adjusted", override, actor=DIRECTOR.id, at=later)
