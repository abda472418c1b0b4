"""Rows of the tables in PostgreSQL's binary COPY form.

Law: a row says what a rectangle or an entry says, exactly: amounts keep their digits and their
scale, instants their microseconds. Nothing is escaped or parsed on the way, and what repeats
(states, instants) is made once.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import LiteralString, TypeVar

from psycopg.types.numeric import DecimalBinaryDumper

from ledger.domain.times import MICROSECOND
from projections.fold.states import DealState, Entry, Rectangle

COPY_STATES: LiteralString = """
    COPY {side}.deal_state (
        deal, valid_from, valid_to, known_from, known_to, name, account, owner, stage, category,
        outcome, amount, currency, close_date, counts_on, dimensions, evidenced, gate,
        weight_percent
    ) FROM STDIN (FORMAT binary)
"""
COPY_ENTRIES: LiteralString = """
    COPY {side}.forecast_entry (
        deal, at, move, causes,
        month_before, owner_before, currency_before, amount_before, category_before,
        evidenced_before, weight_before, outcome_before,
        month_after, owner_after, currency_after, amount_after, category_after,
        evidenced_after, weight_after, outcome_after
    ) FROM STDIN (FORMAT binary)
"""
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_STATE_FIELDS = 19
_ENTRY_FIELDS = 20
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(2000, 1, 1).toordinal()
_BIGINT_OID = 20
_JSONB_VERSION = b"\x01"

_size = struct.Struct(">i").pack
_start = struct.Struct(">hi").pack
_four_instants = struct.Struct(">iqiqiqiq").pack
_instant = struct.Struct(">iq").pack
_date = struct.Struct(">ii").pack
_smallint = struct.Struct(">ih").pack
_no_bigint = struct.pack(">iiii", 12, 0, 0, _BIGINT_OID)
_one_bigint = struct.Struct(">iiiiiiiq").pack
_NULL = _size(-1)
_NOWHERE = _NULL * 8
_numeric = DecimalBinaryDumper(Decimal).dump


_Key = TypeVar("_Key")
_Made = TypeVar("_Made")


class _Memo(dict[_Key, _Made]):
    """What was made of keys lately; it starts anew when it is full.

    Looking up costs half of what it does in a function with a cache, and that is most of a row.
    """

    def __init__(self, make: Callable[[_Key], _Made], size_max: int = 20_000) -> None:
        super().__init__()
        self._make = make
        self._size_max = size_max

    def __missing__(self, key: _Key) -> _Made:
        made = self._make(key)
        if len(self) >= self._size_max:
            self.clear()
        self[key] = made
        return made


def state_rows(deal: str, rectangles: Iterable[Rectangle]) -> list[bytes]:
    """The rows of `deal_state` of one deal.

    Args:
        deal: the deal's own id.
        rectangles: its states.
    """
    start = _row_start(_STATE_FIELDS, deal)
    return [
        start
        + _four_instants(
            8, _instants[valid_from], 8, _instants[valid_to],
            8, _instants[known_from], 8, _instants[known_to],
        )
        + _states[state]
        for valid_from, valid_to, known_from, known_to, state in rectangles
    ]  # fmt: skip


def entry_rows(deal: str, entries: Iterable[Entry]) -> list[bytes]:
    """The rows of `forecast_entry` of one deal.

    Args:
        deal: the deal's own id.
        entries: its changes of state.
    """
    start = _row_start(_ENTRY_FIELDS, deal)
    rows = []
    last, left = None, _NOWHERE
    for at, before, after, move, causes in entries:
        if before is not last:  # else it is what the last one led to
            left = _accounts[before]
        last, right = after, _accounts[after]
        rows.append(
            start + _instant(8, _instants[at]) + _texts[move] + _bigints(causes) + left + right
        )
        left = right
    return rows


def month_of(state: DealState | None) -> date | None:
    """The first day of the month in which a deal counts; None where it counts in none."""
    if state is None or state.counts_on is None:
        return None
    return date.fromisoformat(state.counts_on).replace(day=1)


def _row_start(fields: int, deal: str) -> bytes:
    name = deal.encode()
    return _start(fields, len(name)) + name


def _microseconds(instant: str) -> int:
    return (datetime.fromisoformat(instant) - _EPOCH) // MICROSECOND


def _state(state: DealState) -> bytes:
    (name, account, owner, stage, category, outcome, amount, currency, close_date, counts_on,
     dimensions, evidenced, gate, weight_percent) = state  # fmt: skip
    return b"".join((
        _texts[name], _texts[account], _texts[owner], _texts[stage], _texts[category],
        _texts[outcome], _decimals[amount], _texts[currency], _days[close_date],
        _days[counts_on], _objects[dimensions], _texts[evidenced], _texts[gate],
        _smallint(2, weight_percent),
    ))  # fmt: skip


def _account(state: DealState | None) -> bytes:
    """The eight fields of an entry that say from or to which account it moves an amount."""
    if state is None:
        return _NOWHERE
    counts_on = state.counts_on
    return b"".join((
        _days[counts_on and f"{counts_on[:8]}01"], _texts[state.owner], _texts[state.currency],
        _decimals[state.amount], _texts[state.category], _texts[state.evidenced],
        _smallint(2, state.weight_percent), _texts[state.outcome],
    ))  # fmt: skip


def _text(value: str | None) -> bytes:
    return _NULL if value is None else _sized(value.encode())


def _decimal(value: str | None) -> bytes:
    return _NULL if value is None else _sized(bytes(_numeric(Decimal(value)) or b""))


def _day(value: str | None) -> bytes:
    return _NULL if value is None else _date(4, date.fromisoformat(value).toordinal() - _EPOCH_DAY)


def _object(value: str | None) -> bytes:
    return _NULL if value is None else _sized(_JSONB_VERSION + value.encode())


def _sized(value: bytes) -> bytes:
    return _size(len(value)) + value


_instants = _Memo(_microseconds)
_texts = _Memo(_text)
_decimals = _Memo(_decimal)
_days = _Memo(_day)
_objects = _Memo(_object)
_states = _Memo(_state)
_accounts = _Memo(_account)


def _bigints(values: tuple[int, ...]) -> bytes:
    count = len(values)
    if count == 1:
        return _one_bigint(32, 1, 0, _BIGINT_OID, 1, 1, 8, values[0])
    if not count:
        return _no_bigint
    parts = [part for value in values for part in (8, value)]
    return struct.pack(
        f">iiiiii{'iq' * count}", 20 + 12 * count, 1, 0, _BIGINT_OID, count, 1, *parts
    )
