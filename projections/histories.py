"""Deals in memory, each fed with all events up to the projected position, so that the next event
of a deal costs what it says and not what the deal has been through.

Law: a deal in memory and one that was read again from the log learn the same. What is not in memory
is read from its stream and the streams of the accounts that it names; memory holds at most
`EVENTS_HELD_MAX` events beside the deals at work, the longest unused are let go first. After a
failure nothing in memory is trusted: `forget`.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, LiteralString, Protocol, TypeAlias

from psycopg import Connection

from ledger.domain.envelope import decode
from ledger.domain.errors import Unavailable
from ledger.domain.events import Event, stream_id, stream_name
from projections.fold.deal_history import DealHistory, World
from projections.fold.known_then import accounts_mentioned
from projections.fold.states import ACCOUNT_TYPES, FOREVER, STATE_TYPES, Learned
from projections.tables.sides import Side, on

EVENTS_HELD_MAX = 200_000
"""About 0.6 GB."""

_STREAMS: LiteralString = """
SELECT found.stream, found.envelope
FROM unnest(%(streams)s::text[]) AS wanted (stream)
CROSS JOIN LATERAL (
    SELECT event.stream, event.envelope FROM qledger.event
    WHERE event.stream = wanted.stream AND event.position <= %(horizon)s
    AND event.type = ANY(%(types)s::text[])
    ORDER BY event.stream_version
) AS found
"""

_NOT_ENDED: LiteralString = """
SELECT deal, qledger.format_instant(valid_from), qledger.format_instant(known_from)
FROM {side}.deal_state
WHERE deal = ANY(%(deals)s::text[]) AND known_to = %(forever)s::timestamptz
"""


class History(Protocol):
    """What is asked of a deal's history; see `projections.fold.deal_history.DealHistory`."""

    @property
    def accounts(self) -> frozenset[str]: ...

    def learn(self, events: Iterable[Event]) -> Learned: ...


Fold: TypeAlias = Callable[[str, World], History]
"""Makes the empty history of a deal."""


class News(Mapping[str, Sequence[Event]]):
    """Newly recorded events by deal, and beside them those of accounts.

    Args:
        events: in the order of positions; what no state depends on is left out.
    """

    def __init__(self, events: Iterable[Event]) -> None:
        self._by_deal: dict[str, list[Event]] = {}
        self.by_account: dict[str, list[Event]] = {}
        for event in events:
            kind, _colon, name = event["stream"].partition(":")
            if kind == "deal" and event["type"] in STATE_TYPES:
                self._by_deal.setdefault(name, []).append(event)
            elif kind == "account" and event["type"] in ACCOUNT_TYPES:
                self.by_account.setdefault(name, []).append(event)

    def __getitem__(self, deal: str) -> Sequence[Event]:
        return self._by_deal[deal]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_deal)

    def __len__(self) -> int:
        return len(self._by_deal)


class Histories:
    """The deals in memory.

    Args:
        fold: makes the empty history of a deal.
        events_held_max: how many events the deals in memory may have been fed.
    """

    def __init__(self, fold: Fold = DealHistory, events_held_max: int = EVENTS_HELD_MAX) -> None:
        self._fold = fold
        self._events_held_max = events_held_max
        self._held: OrderedDict[str, tuple[History, int]] = OrderedDict()
        self._events_held = 0

    def forget(self) -> None:
        """Trust nothing that is in memory."""
        self._held.clear()
        self._events_held = 0

    def naming(self, accounts: Iterable[str]) -> set[str]:
        """The deals in memory that ever named one of these accounts."""
        wanted = frozenset(accounts)
        if not wanted:
            return set()
        return {deal for deal, (history, _) in self._held.items() if history.accounts & wanted}

    def learn(
        self,
        connection: Connection[Any],
        side: Side,
        deals: Sequence[str],
        news: News,
        world: World,
        span: tuple[int, int],
    ) -> dict[str, Learned]:
        """Feed deals with what was recorded in a span of positions, in one go.

        Args:
            connection: for what is not in memory.
            side: whose tables say what was known when.
            deals: the deals; at most as many as may be in memory at once.
            news: what was recorded after `span[0]`, up to `span[1]`.
            world: what all deals are folded with.
            span: the position that the tables and memory are at, and the one to come to.

        Returns:
            What to change in the tables, by deal; deals for which nothing changes are left out.
        """
        self._load(connection, side, deals, world, span[0])
        fresh = self._accounts_newly_named(connection, deals, news, span[1])
        learned = {}
        for deal in deals:
            history, count = self._held[deal]
            events = list(news.get(deal, ()))
            for account in history.accounts:
                events += news.by_account.get(account, ())
            for account in fresh.get(deal, ()):
                events += fresh[deal][account]
            result = history.learn(events)
            self._held[deal] = history, count + len(events)
            self._events_held += len(events)
            if result.whole or result.closed or result.opened or result.entries_from < FOREVER:
                learned[deal] = result
        self._let_go()
        return learned

    def anew(
        self, connection: Connection[Any], deals: Sequence[str], world: World, horizon: int
    ) -> dict[str, Learned]:
        """Fold deals from scratch, up to a horizon, and keep them in memory."""
        found = told(connection, deals, horizon)
        learned = {}
        for deal in deals:
            history = self._fold(deal, world)
            events = found.get(deal, [])
            learned[deal] = history.learn(events)
            self._held[deal] = history, len(events)
            self._events_held += len(events)
        self._let_go()
        return learned

    def _load(
        self,
        connection: Connection[Any],
        side: Side,
        deals: Sequence[str],
        world: World,
        position: int,
    ) -> None:
        """Bring deals into memory as they are in the tables."""
        for deal in deals:
            if deal in self._held:
                self._held.move_to_end(deal)
        missing = [deal for deal in deals if deal not in self._held]
        found = told(connection, missing, position)
        kept = _not_ended(connection, side, found)
        for deal in missing:
            history = self._fold(deal, world)
            events = found.get(deal, [])
            if events:
                _resume(history, events, kept.get(deal, {}))
            self._held[deal] = history, len(events)
            self._events_held += len(events)

    def _accounts_newly_named(
        self, connection: Connection[Any], deals: Sequence[str], news: News, horizon: int
    ) -> dict[str, dict[str, list[Event]]]:
        """Deal -> account that it names for the first time -> all its evidence up to a horizon."""
        named = {
            deal: fresh
            for deal in deals
            if deal in news
            and (fresh := accounts_mentioned(news[deal]) - self._held[deal][0].accounts)
        }
        evidence = _evidence_on(connection, frozenset().union(*named.values()), horizon)
        return {
            deal: {account: evidence[account] for account in fresh if account in evidence}
            for deal, fresh in named.items()
        }

    def _let_go(self) -> None:
        while self._events_held > self._events_held_max and self._held:
            _deal, (_history, count) = self._held.popitem(last=False)
            self._events_held -= count


def _resume(history: History, events: Sequence[Event], kept: Mapping[str, str]) -> None:
    """Bring a history to where the tables are; it says nothing that they do not say already."""
    if not isinstance(history, DealHistory):
        history.learn(events)
        return
    try:
        history.resume(events, kept)
    except KeyError as error:
        raise Unavailable(
            "read-models-differ",
            f"a state that is true from {error} on is not in the tables",
            where=f"deal {history.deal_id}",
            hint="run qledger rebuild",
        ) from None


def _not_ended(
    connection: Connection[Any], side: Side, deals: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Deal -> valid_from -> known_from of its states that are still held for true."""
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(
        on(side, _NOT_ENDED), {"deals": list(deals), "forever": FOREVER}, prepare=True
    )
    for deal, valid_from, known_from in rows:
        found.setdefault(deal, {})[valid_from] = known_from
    return found


def told(connection: Connection[Any], deals: Sequence[str], horizon: int) -> dict[str, list[Event]]:
    """The events that the states of deals depend on, those of their accounts among them.

    Args:
        connection: reads the log.
        deals: their ids.
        horizon: the last position to take into account.
    """
    found = _streams(connection, [stream_name("deal", deal) for deal in deals], horizon, _DEAL)
    return with_evidence(
        connection, {stream_id(stream): events for stream, events in found.items()}, horizon
    )


def with_evidence(
    connection: Connection[Any], deals: dict[str, list[Event]], horizon: int
) -> dict[str, list[Event]]:
    """Deals with the evidence on the accounts that they name added to their own events."""
    named = {deal: accounts_mentioned(events) for deal, events in deals.items()}
    evidence = _evidence_on(connection, frozenset().union(*named.values()), horizon)
    if evidence:
        for deal, accounts in named.items():
            for account in accounts & evidence.keys():
                deals[deal] = deals[deal] + evidence[account]
    return deals


_DEAL = sorted(STATE_TYPES)
_ACCOUNT = sorted(ACCOUNT_TYPES)


def _evidence_on(
    connection: Connection[Any], accounts: Iterable[str], horizon: int
) -> dict[str, list[Event]]:
    streams = [stream_name("account", account) for account in sorted(accounts)]
    found = _streams(connection, streams, horizon, _ACCOUNT)
    return {stream_id(stream): events for stream, events in found.items()}


def _streams(
    connection: Connection[Any], streams: Sequence[str], horizon: int, types: Sequence[str]
) -> dict[str, list[Event]]:
    if not streams:
        return {}
    parameters = {"streams": streams, "horizon": horizon, "types": types}
    rows = connection.execute(_STREAMS, parameters, prepare=True, binary=True)
    found: dict[str, list[Event]] = {}
    for stream, envelope in rows:
        found.setdefault(stream, []).append(decode(envelope))
    return found
