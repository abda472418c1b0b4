"""PostgreSQL's binary arrays, built by hand.

Why: an append hands over eight arrays. The driver finds out the type of each list element by
element, which took a third of the time of a single append.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from uuid import UUID

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

from ledger.domain.times import MICROSECOND, Instant

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Where PostgreSQL's binary timestamps begin."""

_header = struct.Struct(">iiIii").pack
_size = struct.Struct(">i").pack
_sized_integer = struct.Struct(">ii").pack
_sized_bigint = struct.Struct(">iq").pack
_NULL = _size(-1)


class _Array(bytes):
    """An array in PostgreSQL's binary form; the subclass says of what."""


class _Uuids(_Array): ...


class _Texts(_Array): ...


class _Integers(_Array): ...


class _Instants(_Array): ...


class _Byteas(_Array): ...


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Buffer) -> Buffer:
        return obj


def _register(kind: type[_Array], array_oid: int) -> None:
    dumper = type(f"{kind.__name__}Dumper", (_ArrayDumper,), {"oid": array_oid})
    psycopg.adapters.register_dumper(kind, dumper)


_register(_Uuids, 2951)
_register(_Texts, 1009)
_register(_Integers, 1007)
_register(_Instants, 1185)
_register(_Byteas, 1001)


def microseconds(instant: Instant) -> int:
    """PostgreSQL's binary timestamp: microseconds since `EPOCH`."""
    return (instant - EPOCH) // MICROSECOND


def instant(since_epoch: int) -> Instant:
    """The instant of PostgreSQL's binary timestamp; `microseconds` undone."""
    return EPOCH + since_epoch * MICROSECOND


def uuids(values: Sequence[UUID]) -> _Uuids:
    """A `uuid[]`."""
    return _Uuids(_joined(2950, len(values), (_size(16) + value.bytes for value in values)))


def texts(values: Sequence[str]) -> _Texts:
    """A `text[]`."""
    return _Texts(_joined(25, len(values), (_sized(value.encode()) for value in values)))


def integers(values: Sequence[int]) -> _Integers:
    """An `integer[]`."""
    return _Integers(_joined(23, len(values), (_sized_integer(4, value) for value in values)))


def byteas(values: Sequence[bytes]) -> _Byteas:
    """A `bytea[]`."""
    return _Byteas(_joined(17, len(values), (_sized(value) for value in values)))


def instants(values: Sequence[Instant | None]) -> _Instants:
    """A `timestamptz[]`, in which there may be nulls."""
    parts = (
        _NULL if value is None else _sized_bigint(8, microseconds(value)) for value in values
    )  # fmt: skip
    return _Instants(_joined(1184, len(values), parts))


def _sized(value: bytes) -> bytes:
    return _size(len(value)) + value


def _joined(element_oid: int, count: int, parts: Iterable[bytes]) -> bytes:
    return _header(1, 1, element_oid, count, 1) + b"".join(parts)
