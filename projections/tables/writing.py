"""Writing the tables: what was learned of deals, in a few statements for thousands of them.

Law: the tables of a side hold what `projections.fold.states` said of each deal, and nothing else.
What is asked to end must be there: where it is not, the tables are not those that the fold kept in
step with, and nothing is written. All of it happens in the caller's transaction, together with the
checkpoint, so that the tables are at one position, whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, LiteralString, TypeAlias

from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.domain.errors import Unavailable
from ledger.domain.times import Instant, parse_instant
from projections.fold.states import DealState, Entry, Learned
from projections.tables import openings
from projections.tables.rows import (
    COPY_ENTRIES,
    COPY_STATES,
    HEADER,
    TRAILER,
    entry_rows,
    month_of,
    state_rows,
)
from projections.tables.sides import Side, on

ROWS_PER_COPY = 50_000
"""How many entries wait in memory while the rectangles of the same deals are being loaded."""

_DEALS_PER_WRITE = 50

_FORGET_STATES: LiteralString = """
    DELETE FROM {side}.deal_state WHERE deal = ANY(%(deals)s::text[])
"""
_FORGET_ENTRIES: LiteralString = """
    DELETE FROM {side}.forecast_entry WHERE deal = ANY(%(deals)s::text[])
    RETURNING deal, at,
        month_before, owner_before, currency_before, amount_before, category_before,
        evidenced_before, weight_before, outcome_before,
        month_after, owner_after, currency_after, amount_after, category_after,
        evidenced_after, weight_after, outcome_after
"""
_CLOSE: LiteralString = """
    UPDATE {side}.deal_state AS kept SET known_to = ended.known_to
    FROM unnest(%(deals)s::text[], %(valid_from)s::timestamptz[], %(known_from)s::timestamptz[],
                %(ends)s::timestamptz[]) AS ended (deal, valid_from, known_from, known_to)
    WHERE kept.deal = ended.deal AND kept.known_from = ended.known_from
        AND kept.valid_from = ended.valid_from AND kept.known_to > ended.known_to
"""
_SHORTEN: LiteralString = """
    UPDATE {side}.deal_state AS kept SET valid_to = ended.valid_to
    FROM unnest(%(deals)s::text[], %(valid_from)s::timestamptz[], %(known_from)s::timestamptz[],
                %(ends)s::timestamptz[]) AS ended (deal, valid_from, known_from, valid_to)
    WHERE kept.deal = ended.deal AND kept.known_from = ended.known_from
        AND kept.valid_from = ended.valid_from AND kept.valid_to > ended.valid_to
"""
_REPLACE_ENTRIES: LiteralString = """
    WITH gone AS (
        DELETE FROM {side}.forecast_entry AS kept
        USING unnest(%(deals)s::text[], %(since)s::timestamptz[]) AS replaced (deal, since)
        WHERE kept.deal = replaced.deal AND kept.at >= replaced.since
        RETURNING kept.at, kept.month_before, kept.month_after
    )
    SELECT month, min(at) FROM gone
    CROSS JOIN LATERAL (VALUES (month_before), (month_after)) AS named (month)
    WHERE month IS NOT NULL GROUP BY month
"""

_Moved: TypeAlias = tuple[Any, ...]
"""What an entry moves: the deal, when, and the accounts before and after."""


def apply(connection: Connection[TupleRow], side: Side, changes: Mapping[str, Learned]) -> None:
    """Write what was learned of some deals; openings that it makes wrong are taken away.

    Args:
        connection: in UTC, in a transaction.
        side: whose tables.
        changes: by the deal's own id.

    Raises:
        Unavailable: `read-models-differ`, when a rectangle that should end is not there.
    """
    whole = [deal for deal, learned in changes.items() if learned.whole]
    stale: dict[date, Instant] = {}
    if whole:
        connection.execute(on(side, _FORGET_STATES), {"deals": whole})
        _forget_entries(connection, side, {deal: changes[deal] for deal in whole}, stale)
    going_on = {deal: each for deal, each in changes.items() if not each.whole}
    _end(connection, side, going_on)
    _replace_entries(connection, side, going_on, stale)
    load(connection, side, changes.items())
    openings.invalidate(connection, side, stale)


def load(connection: Connection[TupleRow], side: Side, deals: Iterable[tuple[str, Learned]]) -> int:
    """Write the rectangles and entries of deals of which nothing is kept, in constant memory.

    Args:
        connection: in a transaction.
        side: whose tables.
        deals: each with all that was learned of it.

    Returns:
        How many rows that was.
    """
    rows = 0
    waiting = iter(deals)
    while (first := next(waiting, None)) is not None:
        entries: list[bytes] = []
        with connection.cursor() as cursor:
            with cursor.copy(on(side, COPY_STATES)) as copy:
                copy.write(HEADER)
                part: list[bytes] = []
                for number, (deal, learned) in enumerate(_chain(first, waiting), 1):
                    part += state_rows(deal, learned.opened)
                    entries += entry_rows(deal, learned.entries)
                    if number % _DEALS_PER_WRITE == 0:
                        rows += len(part)
                        copy.write(b"".join(part))
                        part = []
                        if len(entries) >= ROWS_PER_COPY:
                            break
                rows += len(part)
                copy.write(b"".join(part) + TRAILER)
            rows += len(entries)
            with cursor.copy(on(side, COPY_ENTRIES)) as copy:
                copy.write(HEADER)
                copy.write(b"".join(entries))
                copy.write(TRAILER)
    return rows


def _chain(
    first: tuple[str, Learned], rest: Iterator[tuple[str, Learned]]
) -> Iterator[tuple[str, Learned]]:
    yield first
    yield from rest


def _end(connection: Connection[TupleRow], side: Side, changes: Mapping[str, Learned]) -> None:
    """End rectangles, in knowledge or in valid time."""
    for statement, ended in (
        (_CLOSE, [(deal, *each) for deal, told in changes.items() for each in told.closed]),
        (_SHORTEN, [(deal, *each) for deal, told in changes.items() for each in told.shortened]),
    ):
        if not ended:
            continue
        deals, valid_from, known_from, ends = map(list, zip(*ended, strict=True))
        done = connection.execute(
            on(side, statement),
            {"deals": deals, "valid_from": valid_from, "known_from": known_from, "ends": ends},
        )
        if done.rowcount != len(ended):
            raise Unavailable(
                "read-models-differ",
                f"{len(ended)} states should end, {done.rowcount} of them are in the tables",
                hint="run qledger rebuild",
            )


def _replace_entries(
    connection: Connection[TupleRow],
    side: Side,
    changes: Mapping[str, Learned],
    stale: dict[date, Instant],
) -> None:
    since = {deal: each.entries_from for deal, each in changes.items()}
    if not since:
        return
    gone = connection.execute(
        on(side, _REPLACE_ENTRIES), {"deals": list(since), "since": list(since.values())}
    )
    for month, at in gone:
        _note(stale, month, at)
    for learned in changes.values():
        for entry in learned.entries:
            for month in (month_of(entry.before), month_of(entry.after)):
                if month is not None:
                    _note(stale, month, parse_instant(entry.at))


def _forget_entries(
    connection: Connection[TupleRow],
    side: Side,
    changes: Mapping[str, Learned],
    stale: dict[date, Instant],
) -> None:
    """Take all entries of deals away; what comes again as it was leaves openings as they are."""
    gone = connection.execute(on(side, _FORGET_ENTRIES), {"deals": list(changes)}, binary=True)
    moved = set(gone.fetchall())
    moved ^= {_moved(deal, entry) for deal, each in changes.items() for entry in each.entries}
    for _deal, at, *accounts in moved:
        for month in (accounts[0], accounts[8]):
            if month is not None:
                _note(stale, month, at)


def _moved(deal: str, entry: Entry) -> _Moved:
    return (deal, parse_instant(entry.at), *_account(entry.before), *_account(entry.after))


def _account(state: DealState | None) -> _Moved:
    if state is None:
        return (None,) * 8
    amount = None if state.amount is None else Decimal(state.amount)
    return (
        month_of(state), state.owner, state.currency, amount, state.category, state.evidenced,
        state.weight_percent, state.outcome,
    )  # fmt: skip


def _note(stale: dict[date, datetime], month: date, at: datetime) -> None:
    stale[month] = min(at, stale.get(month, at))
