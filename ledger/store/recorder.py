"""Our recorder under the `eventsourcing` library: its ports, on our log.

Law: the notification id of an event is its position. A reader that follows `id > last` sees every
event, once, in order, also while others write: the append holds the head row until it commits. A
subscription polls; a NOTIFY only makes it poll sooner, and a lost connection only makes it connect
again.

Our own events travel as `PreparedEvent` (topic = the event's type, state = its bytes without
position and `recorded_at`) and come back with their whole envelope as state. The library's generic
events, of any topic and opaque state, are wrapped in an envelope of schema version 0, which no
event of the catalogue has.
"""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import orjson
import psycopg
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    IntegrityError,
    JSONTranscoder,
    Mapper,
    Notification,
    NotSupportedError,
    OperationalError,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    TrackingRecorder,
    Transcoder,
)
from pydantic import SecretStr

from ledger.config import Settings
from ledger.domain.envelope import Prepared, canonical, decode, prepare
from ledger.domain.errors import Unavailable
from ledger.domain.events import Draft, Event
from ledger.domain.ids import event_id_of
from ledger.domain.times import format_instant
from ledger.store import log
from ledger.store.database import Connection, Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing.utils import Environment, EnvType

POLL_SECONDS = 1.0
"""How long a subscription waits for a hint before it looks by itself."""

_STOP_CHECK_SECONDS = 0.1
_SUBSCRIPTION_BATCH = 500
_OPAQUE_SCHEMA = 0


# --- between the library's events and ours -------------------------------------------------------


@dataclass(frozen=True)
class StreamEvent:
    """An event of a stream as the library's repository handles it.

    Args:
        originator_id: the stream's name.
        originator_version: the version in it.
        draft: what is to be recorded; or
        event: what was recorded.
    """

    originator_id: str
    originator_version: int
    draft: Draft | None = None
    event: Event | None = None


@dataclass(frozen=True)
class PreparedEvent(StoredEvent):
    """A stored event that is already our bytes."""

    prepared: Prepared


class LedgerMapper(Mapper[str]):
    """Maps `StreamEvent` to our bytes and back; of other domain events it knows what its base does.

    Our events have a canonical form that the leaf hash covers, so a cipher or a compressor applies
    to the library's own events only.
    """

    def to_stored_event(self, domain_event: Any) -> StoredEvent:
        if not isinstance(domain_event, StreamEvent):
            return super().to_stored_event(domain_event)
        if domain_event.draft is None:
            raise ProgrammingError("this event is recorded already")
        return stored(prepare(domain_event.draft, domain_event.originator_version))

    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        if stored_event.state[:1] != b"{" or b'"recorded_at":' not in stored_event.state:
            return super().to_domain_event(stored_event)
        return StreamEvent(
            str(stored_event.originator_id), stored_event.originator_version,
            event=decode(stored_event.state),
        )  # fmt: skip


def stored(prepared: Prepared) -> PreparedEvent:
    """A prepared event as the library carries it."""
    return PreparedEvent(
        originator_id=prepared.stream,
        originator_version=prepared.stream_version,
        topic=prepared.type,
        state=prepared.before + prepared.after,
        prepared=prepared,
    )


def _prepared(event: StoredEvent) -> Prepared:
    return event.prepared if isinstance(event, PreparedEvent) else _wrapped(event)


def _wrapped(event: StoredEvent) -> Prepared:
    """An envelope around a generic event: its state is opaque to us."""
    stream, version = str(event.originator_id), event.originator_version
    occurred_at = datetime.now(UTC)
    event_id = event_id_of("eventsourcing", stream, str(version))
    before = {
        "actor": "eventsourcing",
        "event_id": str(event_id),
        "occurred_at": format_instant(occurred_at),
        "payload": {
            "originator": "uuid" if isinstance(event.originator_id, UUID) else "text",
            "state": b64encode(event.state).decode(),
        },
    }
    after = {
        "schema_version": _OPAQUE_SCHEMA,
        "source": {"system": "eventsourcing"},
        "stream": stream,
        "stream_version": version,
        "type": event.topic,
    }
    return Prepared(
        event_id, stream, version, event.topic, occurred_at, None,
        canonical(before)[:-1] + b",", canonical(after)[1:],
    )  # fmt: skip


def _unwrapped(row: log.Row) -> tuple[UUID | str, bytes]:
    """The originator id and the state of a stored row, as they were given to us."""
    if b'"schema_version":0,' not in row.envelope:
        return row.stream, row.envelope
    envelope = orjson.loads(row.envelope)
    if envelope["schema_version"] != _OPAQUE_SCHEMA:
        return row.stream, row.envelope
    payload = envelope["payload"]
    originator = UUID(row.stream) if payload["originator"] == "uuid" else row.stream
    return originator, b64decode(payload["state"])


def _stored_event(row: log.Row) -> StoredEvent:
    originator_id, state = _unwrapped(row)
    return StoredEvent(originator_id, row.stream_version, row.type, state)


def _notification(row: log.Row) -> Notification:
    originator_id, state = _unwrapped(row)
    return Notification(originator_id, row.stream_version, row.type, state, row.position)


# --- the recorders -------------------------------------------------------------------------------


class LedgerAggregateRecorder(AggregateRecorder):
    """Streams of the log, without their positions.

    Args:
        database: the open, migrated database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        self._insert(stored_events, **kwargs)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        with self._connection() as connection:
            rows = log.stream_rows(
                connection, str(originator_id),
                after_version=gt, up_to_version=lte, descending=desc, limit=limit,
            )  # fmt: skip
        return [_stored_event(row) for row in rows]

    def _insert(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> list[int]:
        if kwargs.get("tracking") is not None:
            raise NotSupportedError("a projection keeps its checkpoint with its own tables")
        if not stored_events:
            return []
        prepared = [_prepared(event) for event in stored_events]
        with self._connection() as connection:
            appended = log.append(connection, prepared)
        return [appended.first_position + n for n in range(len(prepared))]

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """A session whose errors are the library's."""
        try:
            with self.database.connection() as connection:
                yield connection
        except psycopg.IntegrityError as error:
            raise IntegrityError(str(error)) from error
        except Unavailable as error:
            raise OperationalError(str(error)) from error


class LedgerRecorder(LedgerAggregateRecorder, ApplicationRecorder):
    """The log with its positions as notification ids."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        return self._insert(stored_events, **kwargs)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        after = 0 if start is None else start - 1 if inclusive_of_start else start
        with self._connection() as connection:
            up_to = log.head(connection).size if stop is None else stop
            rows = log.batch(after, up_to, topics, None, connection, limit)
        return [_notification(row) for row in rows]

    def max_notification_id(self) -> int | None:
        with self._connection() as connection:
            return log.head(connection).size or None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        return LedgerSubscription(self, gt=gt, topics=topics)


class LedgerSubscription(Subscription[LedgerRecorder]):
    """Events after a position, for ever: it polls, sooner when a NOTIFY hints, and reconnects.

    It has no thread: it reads when it is asked for the next event. `stop` may come from any thread.
    """

    def __init__(
        self, recorder: LedgerRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._read: list[Notification] = []
        self._listening: Connection | None = None

    def __next__(self) -> Notification:
        while not self._read:
            if self._has_been_stopped:
                self._hang_up()
                raise StopIteration
            self._listen()
            self._poll()
            if not self._read:
                self._wait()
        if self._has_been_stopped:
            self._hang_up()
            raise StopIteration
        return self._read.pop()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        try:
            super().__exit__(*args, **kwargs)
        finally:
            self._hang_up()

    def _poll(self) -> None:
        after = self._last_notification_id or 0
        try:
            end = self._recorder.max_notification_id() or 0
            found = self._recorder.select_notifications(
                after, _SUBSCRIPTION_BATCH, stop=end, topics=self._topics, inclusive_of_start=False
            )
        except OperationalError:
            self._hang_up()
            return
        # A full batch may have left some behind; else all up to the end was looked at.
        whole = len(found) < _SUBSCRIPTION_BATCH
        self._last_notification_id = max(after, end) if whole else found[-1].id
        self._read = list(reversed(found))

    def _listen(self) -> None:
        if self._listening is None:
            with suppress(Unavailable):
                self._listening = self._recorder.database.connect()
                self._listening.execute("LISTEN qledger")

    def _wait(self) -> None:
        deadline = time.monotonic() + POLL_SECONDS
        while not self._has_been_stopped and time.monotonic() < deadline:
            if self._hinted():
                return

    def _hinted(self) -> bool:
        if self._listening is None:
            time.sleep(_STOP_CHECK_SECONDS)
            return False
        try:
            hints = list(self._listening.notifies(timeout=_STOP_CHECK_SECONDS, stop_after=1))
        except psycopg.OperationalError:
            self._hang_up()
            return False
        return bool(hints)

    def _hang_up(self) -> None:
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()


# --- the factory ---------------------------------------------------------------------------------


class LedgerFactory(InfrastructureFactory[TrackingRecorder]):
    """Makes the recorders of one database.

    Args:
        env: the library's environment; `QLEDGER_DATABASE_URL` or `QLEDGER_HOME` in it, or in the
            process's own, say where the database is.
        database: an open database, which then remains the caller's to close.
    """

    def __init__(self, env: Environment | EnvType | None, database: Database | None = None) -> None:
        super().__init__(env)
        self._owned = database is None
        self.database = database or Database(self._settings())

    def _settings(self) -> Settings:
        given: dict[str, Any] = {}
        if url := self.env.get("QLEDGER_DATABASE_URL"):
            given["database_url"] = SecretStr(url)
        if home := self.env.get("QLEDGER_HOME"):
            given["home"] = home
        return Settings(**given)

    def mapper(
        self, transcoder: Transcoder | None = None, mapper_class: type[Mapper[Any]] | None = None
    ) -> Mapper[Any]:
        return super().mapper(transcoder or JSONTranscoder(), mapper_class or LedgerMapper)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        if purpose != "events":
            self._refuse("snapshots: a fold by version ignores when things were known")
        return LedgerAggregateRecorder(self.database)

    def application_recorder(self) -> ApplicationRecorder:
        return LedgerRecorder(self.database)

    def tracking_recorder(
        self, tracking_recorder_class: type[TrackingRecorder] | None = None
    ) -> TrackingRecorder:
        del tracking_recorder_class
        self._refuse("tracking: a projection keeps its checkpoint with its own tables")

    def process_recorder(self) -> ProcessRecorder:
        self._refuse("process recorders: a projection keeps its checkpoint with its own tables")

    @staticmethod
    def _refuse(what: str) -> NoReturn:
        raise NotSupportedError(f"this store has no {what}")

    def close(self) -> None:
        if self._owned:
            self.database.close()
