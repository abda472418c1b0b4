"""What the tables keep of every deal, what folding the log gives, and where they differ.

Law: three answers to the same question come from three places - the live tables, the events of the
log fed to `DealHistory` at once and shuffled, and the fold of each deal at one basis (`BookDeal`) -
and must be equal, row by row and to the last digit. What is said here of a difference names the
deal, the basis and both answers, so that it can be asked again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from random import Random
from typing import Any, LiteralString, NamedTuple

import orjson
from psycopg import Connection

from ledger.domain.calendar import FiscalCalendar
from ledger.domain.envelope import decode
from ledger.domain.events import SETTINGS_STREAM, Event, stream_id
from ledger.domain.times import MICROSECOND, format_instant
from projections.fold.claims import counting_day
from projections.fold.deal_history import DealHistory, World
from projections.fold.known_then import accounts_mentioned
from projections.fold.rulebook import PlaybookHistory
from projections.fold.settings import settings_at
from projections.fold.states import DealState, Entry, Rectangle
from projections.qualified import BookDeal, Judge
from projections.tables.sides import Side, on

DIFFERENCES_MAX = 5
"""So many are named; one is enough to fail."""

_POSITION: LiteralString = "SELECT position FROM qledger.projection WHERE side = %s"
_LIVE: LiteralString = "SELECT side FROM qledger.projection WHERE live"
_LOG: LiteralString = "SELECT envelope FROM qledger.event WHERE position <= %s ORDER BY position"
_RECTANGLES: LiteralString = """
    SELECT deal, qledger.format_instant(valid_from), qledger.format_instant(valid_to),
        qledger.format_instant(known_from), qledger.format_instant(known_to),
        name, account, owner, stage, category, outcome, amount::text, currency, close_date::text,
        counts_on::text, dimensions::text, evidenced, gate, weight_percent
    FROM {side}.deal_state
"""
_ENTRIES: LiteralString = """
    SELECT deal, qledger.format_instant(at), move, causes,
        month_before::text, owner_before, currency_before, amount_before::text, category_before,
        evidenced_before, weight_before, outcome_before,
        month_after::text, owner_after, currency_after, amount_after::text, category_after,
        evidenced_after, weight_after, outcome_after
    FROM {side}.forecast_entry
"""

Row = tuple[Any, ...]


class Kept(NamedTuple):
    """What is kept of some deals.

    Args:
        rectangles: deal -> the rows of `deal_state`, in their order.
        entries: deal -> the rows of `forecast_entry`, in their order.
    """

    rectangles: Mapping[str, Sequence[Row]]
    entries: Mapping[str, Sequence[Row]]

    @property
    def rows(self) -> int:
        """How many rows that is."""
        return sum(map(len, self.rectangles.values())) + sum(map(len, self.entries.values()))


class Deals(NamedTuple):
    """The log up to a position, as deals are folded from it.

    Args:
        position: all events up to it are here.
        zone: the reporting time zone at the instant at which the last was recorded.
        shared: the events of playbooks.
        own: deal -> its events.
        of_accounts: account -> the events of its stream.
        instants: every instant that an event names: when it happened, was known, was recorded.
    """

    position: int
    zone: str
    shared: Sequence[Event]
    own: Mapping[str, Sequence[Event]]
    of_accounts: Mapping[str, Sequence[Event]]
    instants: Sequence[str]

    def told(self, deal: str) -> list[Event]:
        """All events that the states of a deal may depend on."""
        accounts = accounts_mentioned(self.own[deal])
        evidence = (each for name in accounts for each in self.of_accounts.get(name, ()))
        return [*self.own[deal], *evidence]


def live_side(connection: Connection[Any]) -> Side:
    """The side that is live."""
    ((side,),) = connection.execute(_LIVE).fetchall()
    return Side(side)


def kept_on(connection: Connection[Any], side: Side) -> Kept:
    """What the tables of a side hold."""
    rectangles: defaultdict[str, list[Row]] = defaultdict(list)
    for deal, *fields in connection.execute(on(side, _RECTANGLES)):
        fields[14] = _canonical(fields[14])
        rectangles[deal].append(tuple(fields))
    entries: defaultdict[str, list[Row]] = defaultdict(list)
    for deal, at, move, causes, *accounts in connection.execute(on(side, _ENTRIES)):
        entries[deal].append((at, move, tuple(causes), *accounts))
    return Kept(_sorted(rectangles), _sorted(entries))


def deals_of(connection: Connection[Any], side: Side) -> Deals:
    """The log up to the position of a side."""
    ((position,),) = connection.execute(_POSITION, [side]).fetchall()
    streams: defaultdict[str, list[Event]] = defaultdict(list)
    instants: set[str] = set()
    recorded_at = ""
    with connection.transaction(), connection.cursor(name="log") as cursor:
        for (envelope,) in cursor.execute(_LOG, [position], binary=True):
            event = decode(envelope)
            streams[event["stream"]].append(event)
            instants.update((event["occurred_at"], event["known_at"]))
            recorded_at = event["recorded_at"]
    settings = [each for each in streams[SETTINGS_STREAM] if each["known_at"] <= recorded_at]
    calendar = settings_at(settings, recorded_at, first_currency=None).calendar
    return Deals(
        position, calendar.time_zone,
        [each for name, own in streams.items() if name.startswith("playbook:") for each in own],
        {stream_id(name): each for name, each in streams.items() if name.startswith("deal:")},
        {stream_id(name): each for name, each in streams.items() if name.startswith("account:")},
        sorted(instants),
    )  # fmt: skip


def some_of(deals: Deals, random: Random, count: int) -> Deals:
    """The same log with some of its deals, chosen by chance."""
    if len(deals.own) <= count:
        return deals
    chosen = random.sample(sorted(deals.own), count)
    return deals._replace(own={deal: deals.own[deal] for deal in chosen})


def from_scratch(deals: Deals, random: Random) -> Kept:
    """What folding every deal at once gives, its events shuffled."""
    world = World(deals.shared, deals.zone)
    rectangles, entries = {}, {}
    for deal in deals.own:
        events = deals.told(deal)
        random.shuffle(events)
        learned = DealHistory(deal, world).learn(events)
        rectangles[deal] = sorted(map(_rectangle, learned.opened), key=repr)
        entries[deal] = sorted(map(_entry, learned.entries), key=repr)
    return Kept(_without_empty(rectangles), _without_empty(entries))


class StateAt(NamedTuple):
    """What a fold says of a deal at a basis; None where it is not in the book."""

    deal: str
    valid_at: str
    known_at: str
    state: Row | None


def states_at(deals: Deals, valid_at: str, known_at: str) -> Iterator[StateAt]:
    """Every deal folded at one basis, from the events known by then."""
    known = [event for event in deals.shared if event["known_at"] <= known_at]
    of_accounts = {
        account: [each for each in events if each["known_at"] <= known_at]
        for account, events in deals.of_accounts.items()
    }
    judge = Judge(valid_at, PlaybookHistory(known, valid_at), of_accounts)
    calendar = FiscalCalendar(time_zone=deals.zone)
    for deal, own in deals.own.items():
        seen = [event for event in own if event["known_at"] <= known_at]
        found = BookDeal.fold(deal, seen, judge) if seen else None
        state = None if found is None else _state(_state_of(found, calendar))
        yield StateAt(deal, valid_at, known_at, state)


def kept_at(kept: Kept, deal: str, valid_at: str, known_at: str) -> list[Row]:
    """The states of the rectangles of a deal that hold a point; one at the most."""
    return [
        tuple(state)
        for valid_from, valid_to, known_from, known_to, *state in kept.rectangles.get(deal, ())
        if valid_from <= valid_at < valid_to and known_from <= known_at < known_to
    ]


def bases(deals: Deals, random: Random, count: int) -> list[tuple[str, str]]:
    """Points (valid_at, known_at) where something may change, and just before it.

    A third are as known then, a third in hindsight, the others anywhere, also in the future.
    """
    instants = [*deals.instants, "2026-03-31T23:59:59.999999Z", "2031-01-01T00:00:00.000000Z"]
    found = []
    for number in range(count):
        valid_at = _nudged(random, random.choice(instants))
        known_at = _nudged(random, random.choice(instants))
        if number % 3 == 0:
            known_at = valid_at
        elif number % 3 == 1:
            known_at = max(valid_at, known_at)
        found.append((valid_at, known_at))
    return found


def _nudged(random: Random, instant: str) -> str:
    """An instant, or the microsecond before it."""
    if random.random() < 0.6:
        return instant
    return format_instant(datetime.fromisoformat(instant) - MICROSECOND)


def differences(name: str, one: Kept, other: Kept) -> list[str]:
    """In which deals two tables differ, and by which rows; empty where they are equal."""
    found: list[str] = []
    for table, left, right in (
        ("deal_state", one.rectangles, other.rectangles),
        ("forecast_entry", one.entries, other.entries),
    ):
        for deal in sorted(left.keys() | right.keys()):
            here, there = left.get(deal, ()), right.get(deal, ())
            if here != there:
                surplus = [row for row in here if row not in there][:2]
                missing = [row for row in there if row not in here][:2]
                found.append(f"{name}: {table} of {deal}: surplus {surplus}, missing {missing}")
    return found[:DIFFERENCES_MAX]


def differences_at(deals: Deals, kept: Kept, points: Iterable[tuple[str, str]]) -> list[str]:
    """At which points the rectangles of a deal say something else than the fold."""
    wrong = (
        f"state of {each.deal} at valid {each.valid_at}, known {each.known_at}: "
        f"tables {here}, fold {each.state}"
        for valid_at, known_at in points
        for each in states_at(deals, valid_at, known_at)
        if (here := kept_at(kept, each.deal, valid_at, known_at))
        != ([] if each.state is None else [each.state])
    )
    return list(islice(wrong, DIFFERENCES_MAX))


# --- rows as text, in one spelling ---------------------------------------------------------------


def _state_of(deal: BookDeal, calendar: FiscalCalendar) -> DealState:
    claimed, verdict = deal.claimed, deal.verdict
    money = claimed.amount
    own = dict(claimed.dimensions)
    return DealState(
        claimed.name,
        claimed.account,
        claimed.owner,
        claimed.stage,
        str(claimed.category),
        claimed.outcome,
        None if money is None else str(money.amount),
        None if money is None else money.currency,
        None if claimed.close_date is None else claimed.close_date.isoformat(),
        counting_day(claimed, calendar),
        orjson.dumps(own, option=orjson.OPT_SORT_KEYS).decode() if own else None,
        str(verdict.category),
        verdict.gate,
        verdict.weight_percent,
    )


def _rectangle(rectangle: Rectangle) -> Row:
    return (*rectangle[:4], *_state(rectangle.state))


def _state(state: DealState) -> Row:
    return tuple(state._replace(dimensions=_canonical(state.dimensions)))


def _entry(entry: Entry) -> Row:
    move = None if entry.move is None else str(entry.move)
    return (entry.at, move, entry.causes, *_account(entry.before), *_account(entry.after))


def _account(state: DealState | None) -> Row:
    """What an entry keeps of a state: the account that the amount is moved from or to."""
    if state is None:
        return (None,) * 8
    month = None if state.counts_on is None else f"{state.counts_on[:8]}01"
    return (
        month, state.owner, state.currency, state.amount, state.category, state.evidenced,
        state.weight_percent, state.outcome,
    )  # fmt: skip


def _canonical(dimensions: str | None) -> str | None:
    if dimensions is None:
        return None
    return orjson.dumps(orjson.loads(dimensions), option=orjson.OPT_SORT_KEYS).decode()


def _sorted(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    return {deal: sorted(found, key=repr) for deal, found in rows.items()}


def _without_empty(rows: Mapping[str, list[Row]]) -> dict[str, list[Row]]:
    return {deal: found for deal, found in rows.items() if found}
