"""Event ids.

Law: an event recorded here gets a UUIDv7 (time-ordered, made by the client, so that a retry is
recognised). An imported event's id is a UUIDv8 made from the source's own identity (system, record,
change) alone, so that whoever brings the same thing in again makes the same id.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ledger.domain.times import Instant

_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def event_id_at(instant: Instant) -> UUID:
    """A new UUIDv7 (RFC 9562, 5.7) for an event made at that instant."""
    milliseconds = (instant - _UNIX_EPOCH) // timedelta(milliseconds=1)
    value = milliseconds << 80 | secrets.randbits(80)
    return UUID(int=_stamp(value, version=7))


def event_id_of(system: str, record: str, change: str) -> UUID:
    """The UUIDv8 (RFC 9562, 5.8) of a change that another system recorded."""
    identity = "\x1f".join((system, record, change)).encode()
    value = int.from_bytes(hashlib.sha256(identity).digest()[:16], "big")
    return UUID(int=_stamp(value, version=8))


def _stamp(value: int, *, version: int) -> int:
    value = value & ~(0xF << 76) | version << 76
    return value & ~(0b11 << 62) | 0b10 << 62
