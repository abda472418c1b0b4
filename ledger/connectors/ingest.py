"""Canonical events as they stream in: lines cut out of bytes, gathered into chunks, recorded.

Law: memory is bounded by one line and one chunk, however much comes. A chunk is recorded whole or
not at all; a line is counted once, as added, as known already or as refused, and what is counted as
added or known is in the ledger. Where reading ends early, everything up to a line that is told was
dealt with, and nothing of what follows it was recorded. The same lines again add nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from ledger.connectors.ndjson import LINE_BYTES_MAX, draft_of, says_the_same
from ledger.domain.envelope import decode
from ledger.domain.errors import Conflict, InvalidInput, QledgerError
from ledger.domain.events import Draft, Event
from ledger.domain.times import Instant
from ledger.store import log
from ledger.store.ledger import Ledger

CHUNK_LINES_MAX = 1_000
"""Fewer than a chunk of a file: while one is recorded, others write and are answered."""

CHUNK_BYTES_MAX = 4 * 1024 * 1024
REFUSED_TOLD_MAX = 100
"""How many refused lines are told with their reasons; all are counted."""

RACES_MAX = 3
"""How often a chunk is looked at again because somebody else recorded one of its events."""


class OnRefusal(StrEnum):
    """What becomes of the rest when a line is refused."""

    GO_ON = "go-on"
    """The line is left out, and all others are recorded."""
    STOP = "stop"
    """Nothing of its chunk is recorded, and nothing after it."""


class Refusal(NamedTuple):
    """A line that was refused.

    Args:
        line: its number, from 1; empty lines are counted.
        reason: why.
    """

    line: int
    reason: QledgerError

    def as_dict(self) -> dict[str, Any]:
        """The refusal as JSON: `line`, and what an error says."""
        return {"line": self.line, **self.reason.as_dict()}


class _Line(NamedTuple):
    number: int
    draft: Draft


class Ingest:
    """One body of lines on its way into the ledger.

    Args:
        ledger: where events are recorded.
        on_refusal: what becomes of the rest when a line is refused.
        chunk_lines_max: how many lines make a chunk at most.
    """

    def __init__(
        self,
        ledger: Ledger,
        on_refusal: OnRefusal = OnRefusal.GO_ON,
        chunk_lines_max: int = CHUNK_LINES_MAX,
    ) -> None:
        self.added = 0
        self.already_known = 0
        self.refused_count = 0
        self.refused: list[Refusal] = []
        self.up_to_line = 0
        """All lines up to this one are recorded, known already, or refused and left out."""
        self.position: int | None = None
        """The end of the log when the last chunk was in it."""
        self.stopped = False
        """Whether a refused line ended the reading."""
        self._ledger = ledger
        self._stops = on_refusal is OnRefusal.STOP
        self._chunk_lines_max = chunk_lines_max
        self._number = 0
        self._unfinished = b""
        self._clock: Instant | None = None
        self._begin_chunk()

    def _begin_chunk(self) -> None:
        self._chunk: list[_Line] = []
        self._refused_now: list[Refusal] = []
        self._lines_now = self._bytes_now = 0
        self._clock = None

    def take(self, part: bytes) -> bool:
        """Take in the next bytes, and record each chunk that is full.

        Args:
            part: any number of bytes; a line may be cut anywhere.

        Returns:
            Whether more is wanted; false once a refused line ended the reading.

        Raises:
            Conflict, Unavailable: when the store cannot record now; what was counted stays.
        """
        *lines, unfinished = (self._unfinished + part).split(b"\n")
        self._unfinished = unfinished[: LINE_BYTES_MAX + 1]  # enough to see that it is too long
        for line in lines:
            if self.stopped:
                break
            self._take_line(line)
        return not self.stopped

    def end(self) -> None:
        """There are no more bytes: record what is left.

        Raises:
            Conflict, Unavailable: as `take` does.
        """
        if self._unfinished and not self.stopped:
            self._take_line(self._unfinished)
        self._unfinished = b""
        if not self.stopped:
            self._flush()

    def as_dict(self) -> dict[str, Any]:
        """What became of the lines, as JSON."""
        return {
            "added": self.added,
            "already_known": self.already_known,
            "refused_count": self.refused_count,
            "refused": [each.as_dict() for each in self.refused],
            "up_to_line": self.up_to_line,
            "position": self.position,
        }

    def _take_line(self, line: bytes) -> None:
        self._number += 1
        if len(line) <= LINE_BYTES_MAX and not line.strip():
            return
        self._lines_now += 1
        self._bytes_now += len(line)
        if self._clock is None:
            self._clock = self._ledger.clock()
        try:
            self._chunk.append(_Line(self._number, draft_of(line, self._clock)))
        except InvalidInput as reason:
            self._refuse(self._number, reason)
        if self._lines_now >= self._chunk_lines_max or self._bytes_now >= CHUNK_BYTES_MAX:
            self._flush()

    def _flush(self) -> None:
        """Record the chunk, and count what became of its lines once that is certain."""
        chunk = self._chunk
        added = 0
        for _ in range(RACES_MAX):
            new, known = self._new_of(chunk)
            if self._stops and self._refused_now:
                new = []
                break
            try:
                added, repeated = self._record(new)
            except Conflict as race:
                if race.code != "event-id-taken":
                    raise
                continue
            known += repeated
            break
        else:
            raise Conflict(
                "stream-moved", "other writers kept recording the same events", hint="send it again"
            )
        self._count(added, known)
        self._begin_chunk()

    def _new_of(self, chunk: list[_Line]) -> tuple[list[_Line], int]:
        """The lines that are not in the ledger, each id once; and how many are in it already.

        A line with an id that has other content is refused.
        """
        recorded = self._recorded([each.draft.event_id for each in chunk])
        first: dict[UUID, Draft] = {}
        new, known = [], 0
        refused = {each.line for each in self._refused_now}
        for line in chunk:
            number, draft = line
            if number in refused:
                continue
            event, before = recorded.get(draft.event_id), first.get(draft.event_id)
            if event is None and before is None:
                first[draft.event_id] = draft
                new.append(line)
            elif (event is not None and says_the_same(event, draft)) or draft == before:
                known += 1
            else:
                self._refuse(number, _id_taken(draft))
        return new, known

    def _recorded(self, ids: Sequence[UUID]) -> dict[UUID, Event]:
        if not ids:
            return {}
        found = self._ledger.database.do(partial(log.envelopes_of, event_ids=ids))
        return {event_id: decode(envelope) for event_id, envelope in found.items()}

    def _record(self, new: list[_Line]) -> tuple[int, int]:
        """How many were added, and how many somebody else recorded at the same moment.

        Raises:
            Conflict: `event-id-taken`, where that was with other content.
        """
        if not new:
            return 0, 0
        try:
            result = self._ledger.import_events([each.draft for each in new], strict=True)
        except InvalidInput:
            left = self._without_refused(new)
            if len(left) == len(new):
                raise
            return (0, 0) if self._stops else self._record(left)
        return result.added, result.known

    def _without_refused(self, new: list[_Line]) -> list[_Line]:
        left = []
        for line in new:
            try:
                self._ledger.check(line.draft)
            except InvalidInput as reason:
                self._refuse(line.number, reason)
            else:
                left.append(line)
        return left

    def _refuse(self, line: int, reason: QledgerError) -> None:
        self._refused_now.append(Refusal(line, reason))

    def _count(self, added: int, known: int) -> None:
        """Take over what became of the chunk."""
        self.refused_count += len(self._refused_now)
        room = REFUSED_TOLD_MAX - len(self.refused)
        self.refused += sorted(self._refused_now, key=lambda each: each.line)[:room]
        if self._stops and self._refused_now:
            self.stopped = True
            return
        self.added += added
        self.already_known += known
        self.up_to_line = self._number
        self.position = self._ledger.head().size


def _id_taken(draft: Draft) -> Conflict:
    return Conflict(
        "event-id-taken",
        f"event {draft.event_id} is recorded already, with other content; what is recorded stays",
        where="event_id",
        hint="give a changed event an id of its own",
    )
