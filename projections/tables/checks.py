"""What must hold of the tables themselves, whatever the log says.

Law: of a deal at most one row holds any (valid, known); its entries are its rows on the diagonal,
each going on from the one before; the trial balance is zero: the journal is double-entry, what
enters an account leaves another one or the outside, and so what all entries moved into an account
is what the deals that stand there hold; every opening is the sum of the entries up to it, and its
moves are those of the entries since the opening before; and no event was known before its block of
positions says. All is read in one snapshot, deal by deal, in constant memory, and nothing is
written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, LiteralString, NamedTuple, TypeAlias

from psycopg import Connection

from ledger.domain.times import END_OF_TIME, format_instant
from projections.fold.accounts import Balance
from projections.fold.moves import MEASURES, Moved, by_day, packed
from projections.fold.states import DealState
from projections.tables.openings import WORK_MEMORY, day_ends
from projections.tables.sides import Side, on
from projections.tables.stabbing import FIRST_INSTANT

ROWS_PER_FETCH = 5_000
PROGRESS_DEALS = 1_000

Advance: TypeAlias = Callable[[int, int], None]
"""Told the deals that were checked and about how many there are."""

_LIVE: LiteralString = "SELECT side FROM qledger.projection WHERE live AND ready"
_DEALS: LiteralString = "SELECT count(DISTINCT deal) FROM {side}.deal_state"

_STATES: LiteralString = """
    SELECT deal, valid_from, valid_to, known_from, known_to, name, account, owner, stage, category,
        outcome, amount, currency, close_date, counts_on, dimensions::text, evidenced, gate,
        weight_percent
    FROM {side}.deal_state ORDER BY deal, known_from, valid_from
"""
_ENTRIES: LiteralString = """
    SELECT deal, at,
        month_before, owner_before, currency_before, amount_before, category_before,
        evidenced_before, weight_before, outcome_before,
        month_after, owner_after, currency_after, amount_after, category_after,
        evidenced_after, weight_after, outcome_after
    FROM {side}.forecast_entry ORDER BY deal, at
"""

# By all that an account of any measure is named by: where these sums agree, those of each measure
# do. What stands at the end of time is what the last entries led to.
_TRIAL_BALANCE: LiteralString = """
    SELECT ROW(month, owner, currency, category, evidenced, weight, outcome)::text,
        sum(amount), sum(deals) FROM (
        SELECT month_after, owner_after, currency_after, category_after, evidenced_after,
            weight_after, outcome_after, coalesce(amount_after, 0), 1
        FROM {side}.forecast_entry WHERE category_after IS NOT NULL
        UNION ALL
        SELECT month_before, owner_before, currency_before, category_before, evidenced_before,
            weight_before, outcome_before, -coalesce(amount_before, 0), -1
        FROM {side}.forecast_entry WHERE category_before IS NOT NULL
        UNION ALL
        SELECT date_trunc('month', counts_on::timestamp)::date, owner, currency, category,
            evidenced, weight_percent, outcome, -coalesce(amount, 0), -1
        FROM {side}.deal_state WHERE valid_to = %(end)s AND known_to = %(end)s
    ) AS posting (month, owner, currency, category, evidenced, weight, outcome, amount, deals)
    GROUP BY month, owner, currency, category, evidenced, weight, outcome
    HAVING sum(amount) <> 0 OR sum(deals) <> 0
"""

_OPENINGS: LiteralString = """
    SELECT month, zone, since, at, size, accounts::text,
        claimed::text, evidenced::text, weighted::text, closed::text
    FROM {side}.forecast_opening ORDER BY month, at
"""

_KNOWN_BLOCKS: LiteralString = """
    SELECT block, min(known_at), kept.known_from FROM (
        SELECT position / 1000 AS block, known_at FROM qledger.event
        WHERE position <= (SELECT position FROM qledger.projection WHERE side = %(side)s)
    ) AS event LEFT JOIN qledger.known_block AS kept USING (block)
    GROUP BY block, kept.known_from
    HAVING kept.known_from IS NULL OR kept.known_from > min(known_at)
"""


class TableFault(NamedTuple):
    """Something that contradicts the law.

    Args:
        code: `states-overlap`, `entry-missing`, `entry-differs`, `entries-broken`,
            `trial-balance`, `opening-differs`, `moves-differ` or `known-block-differs`.
        where: the deal, the account, the opening or the block.
        message: what differs.
    """

    code: str
    where: str
    message: str


Account: TypeAlias = tuple[Any, ...]
"""What an entry tells of a state: month, owner, currency, amount, category, evidenced, weight and
outcome."""


class Held(NamedTuple):
    """A row of a deal: its rectangle, and its state in the order of `DealState`."""

    valid_from: datetime
    valid_to: datetime
    known_from: datetime
    known_to: datetime
    state: tuple[Any, ...]

    @property
    def diagonal(self) -> tuple[datetime, datetime]:
        """From when to when it was so as known then; the end comes first where it never was."""
        return max(self.valid_from, self.known_from), min(self.valid_to, self.known_to)

    @property
    def told(self) -> Account:
        """What an entry tells of it."""
        state = DealState(*self.state)
        day: Any = state.counts_on
        return (
            day and day.replace(day=1), state.owner, state.currency, state.amount, state.category,
            state.evidenced, state.weight_percent, state.outcome,
        )  # fmt: skip


class Told(NamedTuple):
    """An entry of a deal: when, and what it tells of the states before and after."""

    at: datetime
    before: Account | None
    after: Account | None


def check_tables(
    connection: Connection[Any], advance: Advance | None = None
) -> Iterator[TableFault]:
    """Check the live tables; those that were never made are without fault.

    Args:
        connection: a session in UTC that may read; not inside a transaction.
        advance: told of the progress.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        connection.execute("SELECT set_config('work_mem', %s, true)", [WORK_MEMORY])
        live = connection.execute(_LIVE).fetchone()
        if live is not None:
            side = Side(live[0])
            yield from _deals_faults(connection, side, advance)
            yield from _sums_faults(connection, side)


def _deals_faults(
    connection: Connection[Any], side: Side, advance: Advance | None
) -> Iterator[TableFault]:
    counted = connection.execute(on(side, _DEALS)).fetchone()
    total = 0 if counted is None else counted[0]
    for number, (deal, held, told) in enumerate(_deals(connection, side), 1):
        yield from deal_faults(deal, held, told)
        if advance is not None and number % PROGRESS_DEALS == 0:
            advance(number, total)


def _deals(connection: Connection[Any], side: Side) -> Iterator[tuple[str, list[Held], list[Told]]]:
    """Every deal with its rows and its entries, both read once, side by side."""
    states = groupby(_read(connection, "states", on(side, _STATES)), key=itemgetter(0))
    entries = groupby(_read(connection, "entries", on(side, _ENTRIES)), key=itemgetter(0))
    left, right = next(states, None), next(entries, None)
    while left is not None or right is not None:
        deal = min((each[0] for each in (left, right) if each is not None), key=str.encode)
        held: list[Held] = []
        told: list[Told] = []
        if left is not None and left[0] == deal:
            held = [Held(row[1], row[2], row[3], row[4], row[5:]) for row in left[1]]
            left = next(states, None)
        if right is not None and right[0] == deal:
            told = [Told(row[1], _account(row[2:10]), _account(row[10:])) for row in right[1]]
            right = next(entries, None)
        yield deal, held, told


def _account(told: Account) -> Account | None:
    """None where the deal is not in the book: then nothing is told, not even a category."""
    return None if told[4] is None else told


def _read(connection: Connection[Any], name: str, query: bytes) -> Iterator[tuple[Any, ...]]:
    with connection.cursor(name, binary=True) as cursor:
        cursor.itersize = ROWS_PER_FETCH
        yield from cursor.execute(query)


def deal_faults(deal: str, held: Sequence[Held], told: Sequence[Told]) -> Iterator[TableFault]:
    """What is wrong with the rows and the entries of one deal.

    Args:
        deal: the deal's own id.
        held: its rows, in the order of `known_from`.
        told: its entries, in the order of time.
    """
    for one, other in _overlaps(held):
        yield TableFault(
            "states-overlap", deal,
            f"two states hold {_spell(max(one.valid_from, other.valid_from))} as known at "
            f"{_spell(other.known_from)}",
        )  # fmt: skip
    before = None
    for entry in told:
        if entry.before != before:
            yield TableFault(
                "entries-broken", deal,
                f"the entry at {_spell(entry.at)} moves from {_tell(entry.before)}, it was "
                f"{_tell(before)}",
            )  # fmt: skip
        before = entry.after
    yield from _off_the_diagonal(deal, held, told)


def _overlaps(held: Sequence[Held]) -> Iterator[tuple[Held, Held]]:
    known: list[Held] = []
    for each in held:
        known = [other for other in known if other.known_to > each.known_from]
        for other in known:
            if other.valid_from < each.valid_to and each.valid_from < other.valid_to:
                yield other, each
        known.append(each)


def _off_the_diagonal(
    deal: str, held: Sequence[Held], told: Sequence[Told]
) -> Iterator[TableFault]:
    """The changes along the diagonal, as rows say them, against those that entries say."""
    changes = dict(_along_the_diagonal(held))
    entered = {entry.at for entry in told}
    for at in sorted(changes.keys() - entered):
        yield TableFault("entry-missing", deal, f"its state changes at {_spell(at)} without entry")
    state: Account | None = None
    steps = sorted(changes)
    number = 0
    for entry in told:
        while number < len(steps) and steps[number] <= entry.at:
            state = changes[steps[number]]
            number += 1
        if entry.after != state:
            yield TableFault(
                "entry-differs", deal,
                f"the entry at {_spell(entry.at)} moves to {_tell(entry.after)}, the states say "
                f"{_tell(state)}",
            )  # fmt: skip


def _along_the_diagonal(held: Sequence[Held]) -> Iterator[tuple[datetime, Account | None]]:
    """When the state as known then changes, and what an entry tells of the new one."""
    pieces = [(*each.diagonal, each) for each in held]
    pieces = sorted((each for each in pieces if each[0] < each[1]), key=itemgetter(0))
    end, state = None, None
    for start, until, each in pieces:
        if end is not None and end < start:
            yield end, None
            state = None
        if each.state != state:
            yield start, each.told
        end, state = until, each.state
    if end is not None and end < END_OF_TIME:
        yield end, None


def _sums_faults(connection: Connection[Any], side: Side) -> Iterator[TableFault]:
    for account, amount, deals in connection.execute(
        on(side, _TRIAL_BALANCE), {"end": END_OF_TIME}
    ).fetchall():
        yield TableFault(
            "trial-balance", account, f"is {amount} and {deals} deals out of balance: it must be 0"
        )
    openings = _read(connection, "openings", on(side, _OPENINGS))
    for (month, zone), kept in groupby(openings, itemgetter(0, 1)):
        yield from _opening_faults(connection, side, (month, zone), kept)
    for block, known_at, kept in connection.execute(_KNOWN_BLOCKS, {"side": side}).fetchall():
        kept_from = "nothing" if kept is None else _spell(kept)
        yield TableFault(
            "known-block-differs", f"block {block}",
            f"an event was known at {_spell(known_at)}, the block says {kept_from}",
        )  # fmt: skip


def _opening_faults(
    connection: Connection[Any],
    side: Side,
    of: tuple[date, str],
    kept: Iterator[tuple[Any, ...]],
) -> Iterator[TableFault]:
    """What is wrong with the openings of a month whose days are cut in one time zone.

    Each is held against the entries up to it, its moves against those since the one before.
    """
    month, zone = of
    days = day_ends(connection, side, month, (FIRST_INSTANT, END_OF_TIME), Balance(), zone)
    balance, following = Balance(), next(days, None)
    before = FIRST_INSTANT
    for _month, _zone, since, at, size, accounts, *moves in kept:
        moved: list[Moved] = []
        while following is not None and following.at <= at:
            if following.at > since:
                moved += following.moved
            balance, following = following.balance.copy(), next(days, None)
        opening = Balance(accounts)
        where = f"{month} at {_spell(at)}"
        if len(opening) != size:
            yield TableFault("opening-differs", where, f"is of {len(opening)} holders, not {size}")
        for (owner, currency), ((measure, category), amount, deals) in opening.less(balance):
            account = _tell((measure, owner, currency, category))
            yield TableFault(
                "opening-differs", where,
                f"{account} is {amount} and {deals} deals more than its entries",
            )  # fmt: skip
        for measure, one, other in zip(MEASURES, moves, packed(moved), strict=True):
            if since < before or by_day(one) != by_day(other):
                yield TableFault(
                    "moves-differ", where,
                    f"what is {measure} moves otherwise since {_spell(since)} than its entries",
                )  # fmt: skip
        before = at


def _tell(account: Account | None) -> str:
    return "no account" if account is None else ", ".join(map(str, account))


def _spell(instant: datetime) -> str:
    return format_instant(instant)
