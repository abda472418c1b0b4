"""The write door: the one place through which events enter the ledger.

Law: an event is checked before it is written - its type may stand in that stream, what it tells had
happened when it was known, and nothing is known in the future. Writing is idempotent by event id:
the same id with the same content is the same event, with other content it is a conflict. A stream's
versions are 1, 2, 3, ... without a gap. All of one call is recorded, or nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import NamedTuple, Self
from uuid import UUID

import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import AggregateRecorder, EventStore, Mapper
from eventsourcing.utils import Environment, EnvType

from ledger.config import Settings
from ledger.domain.envelope import Prepared, content, decode, prepare, splice
from ledger.domain.errors import Conflict, InvalidInput, StreamMoved
from ledger.domain.events import CATALOGUE, Draft, Event, stream_category
from ledger.domain.times import Instant, parse_instant
from ledger.store import log
from ledger.store.database import Connection, Database
from ledger.store.log import Head
from ledger.store.recorder import LedgerFactory, LedgerMapper

RECORD_EVENTS_MAX = 1_000
IMPORT_EVENTS_MAX = 5_000
OPTIMISTIC_ATTEMPTS_MAX = 3
"""How often a write is tried before it waits for its turn and holds the lock from the start."""

ATTEMPTS_MAX = 6

TEXT_CHARACTERS_MAX = 200
"""Of an actor, and of a source's system and record."""

_KNOWN_STREAMS_MAX = 100_000
_ALLOWED = {kind: frozenset(model.type for model in models) for kind, models in CATALOGUE.items()}
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class Recorded(NamedTuple):
    """Where events were recorded.

    Args:
        positions: one for each draft, in their order.
        recorded_at: when; of events that were known already, when the first of them was.
        stream_version: the version of the stream's last event of these.
        added: false when they were known already, and nothing was written.
    """

    positions: tuple[int, ...]
    recorded_at: Instant
    stream_version: int
    added: bool


class Imported(NamedTuple):
    """What an import did.

    Args:
        added: how many events were written.
        known: how many were in the ledger already, with the same content.
        conflicts: index in the drafts -> why it was left out: its id has other content.
    """

    added: int
    known: int
    conflicts: list[tuple[int, Conflict]]


class Events(EventStore[str]):
    """The library's event store, which can also be called to read the log by position.

    Args:
        database: the open database.
        mapper: between stored events and ours.
        recorder: on the same database.
    """

    def __init__(
        self, database: Database, mapper: Mapper[str], recorder: AggregateRecorder
    ) -> None:
        super().__init__(mapper, recorder)
        self._database = database

    def __call__(
        self,
        after: int = 0,
        up_to: int | None = None,
        types: Sequence[str] | None = None,
        stream: str | None = None,
    ) -> Iterator[Event]:
        """Events in the order of their positions, in constant memory.

        Args:
            after: the position after which to begin.
            up_to: the last position; by default the end of the log when reading begins.
            types: only events of these types.
            stream: only events of this stream.
        """
        last = self._database.do(log.head).size if up_to is None else up_to
        while rows := self._database.do(partial(log.batch, after, last, types, stream)):
            for row in rows:
                yield decode(row.envelope)
            after = rows[-1].position


class Ledger(Application[str]):
    """The ledger, open for writing and reading. Use it in a `with`, or close it.

    Args:
        database: an open, migrated database; the ledger closes it.
    """

    name = "qledger"
    events: Events

    def __init__(self, database: Database) -> None:
        self.database = database
        self._versions = _Versions()
        self._clock_seen = _LONG_AGO
        super().__init__()

    @classmethod
    def open(cls, settings: Settings | None = None) -> Self:
        """Open the ledger that the settings name; by default those of the environment.

        Raises:
            Unavailable: `home-not-writable`, `database-not-started`, `database-unreachable`,
                `database-not-migrated`, `database-newer`, `database-too-old`,
                `migration-altered`, `invalid-database-url`.
        """
        return cls(Database(settings or Settings()))

    # --- what the library asks of an application ---------------------------------------------

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Only our settings say how the ledger works, not the library's variables."""
        return Environment(name, dict(env or {}))

    def construct_factory(self, env: Environment) -> LedgerFactory:
        return LedgerFactory(env, self.database)

    def construct_mapper(self) -> Mapper[str]:
        return LedgerMapper(self.construct_transcoder())

    def construct_event_store(self) -> Events:
        return Events(self.database, self.mapper, self.recorder)

    def close(self) -> None:
        """Close the sessions, and stop the embedded server if nobody else uses it."""
        super().close()
        self.database.close()

    # --- reading -----------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The database's connection URL, as its owner. It may hold a password."""
        return self.database.url

    def clock(self) -> Instant:
        """The database's clock: what "now" means at every door."""
        now = self.database.do(log.clock)
        self._clock_seen = max(self._clock_seen, now)
        return now

    def head(self) -> Head:
        """How many events there are, and when the last was recorded."""
        return self.database.do(log.head)

    def event(self, event_id: UUID) -> Event | None:
        """The event of that id."""
        envelope = self.database.do(lambda c: log.envelopes_of(c, [event_id])).get(event_id)
        return None if envelope is None else decode(envelope)

    def stream(self, name: str) -> list[Event]:
        """All events of a stream, in the order of their versions."""
        rows = self.database.do(lambda c: log.stream_rows(c, name))
        if rows:
            self._versions.saw([(name, rows[-1].stream_version)])
        return [decode(row.envelope) for row in rows]

    def kind(self, category: str) -> list[Event]:
        """All events of the streams of one kind, such as `playbook`, stream by stream."""
        rows = self.database.do(lambda c: log.kind_rows(c, category))
        return [decode(row.envelope) for row in rows]

    def last_versions(self, streams: Sequence[str]) -> dict[str, int]:
        """The last version of each of these streams that has events."""
        return self.database.do(lambda c: log.last_versions(c, streams))

    # --- writing -----------------------------------------------------------------------------

    def record(self, drafts: Sequence[Draft], *, expected_version: int | None = None) -> Recorded:
        """Record events of one stream, all or none; recording them again changes nothing.

        Args:
            drafts: events of one stream, in order.
            expected_version: the stream's last version that the writer decided upon, 0 for a new
                stream; none records after whatever is there.

        Raises:
            InvalidInput: see `check`; `no-events`, `too-many-events`, `more-than-one-stream`,
                `event-id-twice`, `event-too-large`.
            Conflict: `stream-moved`, `event-id-taken`.
            Unavailable: the database cannot serve now.
        """
        stream = _one_stream(drafts)
        self._check_all(drafts)
        return self.database.do(lambda c: self._record_drafts(c, stream, drafts, expected_version))

    def import_events(self, drafts: Sequence[Draft], *, strict: bool = False) -> Imported:
        """Bring in a chunk of events of any streams, keeping their order; all or nothing.

        What is in the ledger already is left out and counted.

        Args:
            drafts: at most `IMPORT_EVENTS_MAX` events.
            strict: write nothing when any id is taken by other content.

        Raises:
            InvalidInput: see `check`; `too-many-events`, `event-too-large`.
            Conflict: `event-id-taken` when strict; `stream-moved` when others keep writing the
                same streams.
            Unavailable: the database cannot serve now.
        """
        if len(drafts) > IMPORT_EVENTS_MAX:
            raise InvalidInput("too-many-events", f"a chunk holds at most {IMPORT_EVENTS_MAX}")
        self._check_all(drafts)
        return self.database.do(lambda c: self._import(c, drafts, strict=strict))

    def _record_drafts(
        self, connection: Connection, stream: str, drafts: Sequence[Draft], expected: int | None
    ) -> Recorded:
        for attempt in range(ATTEMPTS_MAX):
            prepared: list[Prepared] = []
            landed = None
            with suppress(psycopg.errors.UniqueViolation), _turn(connection, attempt):
                if _is_alone(attempt):
                    self._look_up(connection, [stream])
                last = self._version_to_follow(connection, stream, expected)
                if last is not None:
                    prepared = [prepare(draft, n) for n, draft in enumerate(drafts, last + 1)]
                    landed = log.append(connection, prepared)
            if landed is not None:
                return self._added(landed, prepared)
            self._versions.forget([stream])
            earlier = _recorded_earlier(connection, prepared or [prepare(d, 1) for d in drafts])
            if earlier is not None:
                return earlier
            if expected is not None:
                break
        raise StreamMoved(stream, log.last_version(connection, stream))

    def _added(self, appended: log.Appended, prepared: list[Prepared]) -> Recorded:
        self._clock_seen = max(self._clock_seen, appended.recorded_at)
        self._versions.saw([(event.stream, event.stream_version) for event in prepared])
        first = appended.first_position
        return Recorded(
            tuple(range(first, first + len(prepared))), appended.recorded_at,
            prepared[-1].stream_version, added=True,
        )  # fmt: skip

    def _version_to_follow(
        self, connection: Connection, stream: str, expected: int | None
    ) -> int | None:
        """The version after which to append; none when the stream has not come that far.

        Versions never go away, so one that was seen is enough to rule out a gap; that there is no
        later one is for the unique constraint to say.
        """
        seen = self._versions.get(stream)
        if seen is None or (expected is not None and seen < expected):
            seen = log.last_version(connection, stream)
            self._versions.saw([(stream, seen)])
        if expected is None:
            return seen
        return expected if expected <= seen else None

    def _import(self, connection: Connection, drafts: Sequence[Draft], *, strict: bool) -> Imported:
        todo, known, conflicts = _without_repeats(drafts)
        for attempt in range(ATTEMPTS_MAX):
            if strict and conflicts:
                raise conflicts[0][1]
            if not todo:
                return Imported(0, known, conflicts)
            landed = None
            with suppress(psycopg.errors.UniqueViolation), _turn(connection, attempt):
                if _is_alone(attempt):
                    self._look_up(connection, sorted({each.stream for each in todo.values()}))
                prepared = self._numbered(connection, todo.values())
                landed = log.copy_in(connection, [log.copy_row(event) for event in prepared])
            if landed is not None:
                self._added(landed, prepared)
                return Imported(len(prepared), known, conflicts)
            self._versions.forget({draft.stream for draft in todo.values()})
            same, other = _already_there(connection, todo)
            known += len(same)
            conflicts += [(index, _id_taken(todo[index])) for index in other]
            todo = {i: d for i, d in todo.items() if i not in same and i not in other}
        raise Conflict(
            "stream-moved", "other writers kept changing these streams", hint="import again"
        )

    def _numbered(self, connection: Connection, drafts: Iterable[Draft]) -> list[Prepared]:
        """Give each event the next version of its stream, and write its bytes."""
        drafts = list(drafts)
        streams = {draft.stream for draft in drafts}
        self._look_up(connection, [each for each in streams if self._versions.get(each) is None])
        last = {stream: self._versions.get(stream) or 0 for stream in streams}
        prepared = []
        for draft in drafts:
            version = last[draft.stream] + 1
            last[draft.stream] = version
            prepared.append(prepare(draft, version))
        return prepared

    def _look_up(self, connection: Connection, streams: Sequence[str]) -> None:
        """See what the last versions of streams are now, whatever was seen of them before."""
        if streams:
            found = log.last_versions(connection, streams)
            self._versions.saw([(stream, found.get(stream, 0)) for stream in streams])

    # --- rules at the door -------------------------------------------------------------------

    def check(self, draft: Draft) -> None:
        """Refuse what can never stand in the ledger; nothing is written.

        Raises:
            InvalidInput: `invalid-stream`, `wrong-stream`, `invalid-actor`, `invalid-source`,
                `invalid-instant`, `occurred-after-known`, `known-in-the-future`,
                `event-too-large`, `number-not-exact`.
        """
        self._check(draft)
        prepare(draft, 1)

    def _check_all(self, drafts: Sequence[Draft]) -> None:
        for index, draft in enumerate(drafts):
            try:
                self._check(draft)
            except InvalidInput as error:
                if not error.where:
                    error.where = f"event {index + 1}, {draft.stream[:220]}"
                raise

    def _check(self, draft: Draft) -> None:
        if draft.payload.type not in _types_allowed_in(draft.stream):
            raise InvalidInput(
                "wrong-stream", f"{draft.payload.type} cannot stand in {draft.stream}",
                hint=f"there: {', '.join(sorted(_types_allowed_in(draft.stream)))}",
            )  # fmt: skip
        _check_text("actor", draft.actor)
        _check_text("source", draft.source.system)
        if draft.source.record is not None:
            _check_text("source", draft.source.record)
        self._check_times(draft)

    def _check_times(self, draft: Draft) -> None:
        occurred, known = draft.occurred_at, draft.known_at
        if occurred.tzinfo is None or (known is not None and known.tzinfo is None):
            raise InvalidInput("invalid-instant", "an instant needs an offset")
        if known is not None:
            if self._is_future(known):
                raise InvalidInput(
                    "known-in-the-future", f"known_at {known} is later than the database's clock"
                )
            early = draft.payload.announceable or occurred <= known
        else:
            early = draft.payload.announceable or not self._is_future(occurred)
        if not early:
            raise InvalidInput(
                "occurred-after-known",
                f"occurred_at {occurred} is later than when it was known",
                hint="only what is announced with an effective date may be known before it happens",
            )

    def _is_future(self, instant: Instant) -> bool:
        """Whether it is later than the database's clock, which is asked only when need be."""
        return instant > self._clock_seen and instant > self.clock()


def _turn(connection: Connection, attempt: int) -> AbstractContextManager[object]:
    """Where an attempt is made: first optimistically, then alone, so that it comes to an end."""
    return log.alone(connection) if _is_alone(attempt) else nullcontext()


def _is_alone(attempt: int) -> bool:
    return attempt >= OPTIMISTIC_ATTEMPTS_MAX


class _Versions:
    """The last versions that we saw: lower bounds, since streams only grow."""

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}

    def get(self, stream: str) -> int | None:
        return self._seen.get(stream)

    def saw(self, versions: Sequence[tuple[str, int]]) -> None:
        if len(self._seen) + len(versions) > _KNOWN_STREAMS_MAX:
            self._seen.clear()
        for stream, version in versions:
            self._seen[stream] = max(version, self._seen.get(stream, 0))

    def forget(self, streams: Sequence[str] | set[str]) -> None:
        for stream in streams:
            self._seen.pop(stream, None)


def _one_stream(drafts: Sequence[Draft]) -> str:
    if not drafts:
        raise InvalidInput("no-events", "there is nothing to record")
    if len(drafts) > RECORD_EVENTS_MAX:
        raise InvalidInput(
            "too-many-events", f"at most {RECORD_EVENTS_MAX} events are recorded at once",
            hint="import them",
        )  # fmt: skip
    if len({draft.stream for draft in drafts}) > 1:
        raise InvalidInput("more-than-one-stream", "events of one stream are recorded at once")
    if len({draft.event_id for draft in drafts}) < len(drafts):
        raise InvalidInput("event-id-twice", "two of these events have the same id")
    return drafts[0].stream


@lru_cache(maxsize=20_000)
def _types_allowed_in(stream: str) -> frozenset[str]:
    """The event types that may stand in a stream of that name."""
    kind = stream_category(stream)
    if not stream.isprintable():
        raise InvalidInput("invalid-stream", f"{stream!r} holds control characters")
    return _ALLOWED[kind]


@lru_cache(maxsize=20_000)
def _check_text(what: str, text: str) -> None:
    if not (0 < len(text) <= TEXT_CHARACTERS_MAX and text.isprintable()):
        raise InvalidInput(
            f"invalid-{what}",
            f"{text[:40]!r}... is not 1 to {TEXT_CHARACTERS_MAX} printable characters"
            if len(text) > TEXT_CHARACTERS_MAX
            else f"{text!r} is not 1 to {TEXT_CHARACTERS_MAX} printable characters",
        )


def _same_content(envelope: bytes, prepared: Prepared) -> bool:
    return content(envelope) == content(splice(prepared, 1, _LONG_AGO))


def _id_taken(draft: Draft | Prepared) -> Conflict:
    return Conflict(
        "event-id-taken",
        f"event {draft.event_id} is recorded already, with other content",
        where=draft.stream,
        hint="give a changed event an id of its own",
    )


def _act_grew(recorded: Prepared, new: Prepared) -> Conflict:
    return Conflict(
        "event-id-taken",
        f"event {recorded.event_id} is recorded already, and {new.event_id} of the same act is new",
        where=new.stream,
        hint="repeat an act as it was, and give another act ids of its own",
    )


def _recorded_earlier(connection: Connection, prepared: list[Prepared]) -> Recorded | None:
    """Where these events were recorded before; none when they were not."""
    found = log.envelopes_of(connection, [event.event_id for event in prepared])
    if not found:
        return None
    for event in prepared:
        if event.event_id in found and not _same_content(found[event.event_id], event):
            raise _id_taken(event)
    for event in prepared:
        if event.event_id not in found:
            raise _act_grew(next(each for each in prepared if each.event_id in found), event)
    earlier = [decode(found[event.event_id]) for event in prepared]
    return Recorded(
        tuple(event["position"] for event in earlier), parse_instant(earlier[0]["recorded_at"]),
        earlier[-1]["stream_version"], added=False,
    )  # fmt: skip


def _without_repeats(
    drafts: Sequence[Draft],
) -> tuple[dict[int, Draft], int, list[tuple[int, Conflict]]]:
    """Index -> draft, each id once; how many were repeated, and which with other content."""
    if len({draft.event_id for draft in drafts}) == len(drafts):
        return dict(enumerate(drafts)), 0, []
    first: dict[UUID, Draft] = {}
    todo: dict[int, Draft] = {}
    repeated, conflicts = 0, list[tuple[int, Conflict]]()
    for index, draft in enumerate(drafts):
        before = first.get(draft.event_id)
        if before is None:
            first[draft.event_id] = todo[index] = draft
        elif _same_content(splice(prepare(before, 1), 1, _LONG_AGO), prepare(draft, 1)):
            repeated += 1
        else:
            conflicts.append((index, _id_taken(draft)))
    return todo, repeated, conflicts


def _already_there(connection: Connection, todo: Mapping[int, Draft]) -> tuple[set[int], list[int]]:
    """Which of the drafts are recorded: with the same content, and with other content."""
    found = log.envelopes_of(connection, [draft.event_id for draft in todo.values()])
    same, other = set[int](), list[int]()
    for index, draft in todo.items():
        envelope = found.get(draft.event_id)
        if envelope is None:
            continue
        if _same_content(envelope, prepare(draft, 1)):
            same.add(index)
        else:
            other.append(index)
    return same, other
