"""Deals as the tables take them, and what the tables must hold of them, by a plain model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import orjson
from psycopg import Connection

from ledger.domain.times import format_instant, parse_instant
from projections.fold.accounts import Balance
from projections.fold.states import FOREVER, DealState, Entry, Learned, Rectangle
from projections.tables.rows import month_of
from projections.tables.sides import Side, on

Balances = dict[tuple[Any, ...], tuple[Decimal, int]]
"""(measure, owner, currency, category) -> amount and deals."""

START = datetime(2026, 1, 1, tzinfo=UTC)
OPENED = DealState(
    name="Deal", account="A1", owner="ann", stage="Proof", category="pipeline", outcome="open",
    amount="100.00", currency="USD", close_date="2026-03-31", counts_on="2026-03-31",
    dimensions=None, evidenced="omitted", gate="problem", weight_percent=10,
)  # fmt: skip


def day(number: float) -> str:
    """An instant so many days after the start, spelled."""
    return format_instant(START + timedelta(days=number))


def as_known_then(states: Sequence[tuple[float, DealState | None]]) -> Learned:
    """A deal that happened as it became known: (day, state from then on), None for out of it."""
    opened, entries = [], []
    before: DealState | None = None
    for number, (since, state) in enumerate(states):
        last = number + 1 == len(states)
        until = FOREVER if last else day(states[number + 1][0])
        entries.append(Entry(day(since), before, state, None, (number + 1,)))
        before = state
        if state is None:
            continue
        opened.append(Rectangle(day(since), FOREVER, day(since), until, state))
        if not last:
            opened.append(Rectangle(day(since), until, until, FOREVER, state))
    return Learned(True, [], opened, "", entries)


def random_deal(random: Random, changes: int = 8, days: int = 60) -> Learned:
    """A deal whose state changes at random."""
    at = sorted(random.sample(range(days * 24), changes))
    state, states = OPENED, list[tuple[float, DealState | None]]()
    for hour in at:
        state = state._replace(**random.choice(_CHANGES)(random))
        states.append((hour / 24, None if random.random() < 0.05 and states else state))
    return as_known_then(states)


_CHANGES: Sequence[Any] = (
    lambda random: {"amount": f"{random.randrange(10**6)}.{random.randrange(10**6):06d}"},
    lambda _: {"amount": None, "currency": None},
    lambda random: {"owner": random.choice(["ann", "ben", None])},
    lambda random: {"category": random.choice(["commit", "pipeline"]), "amount": "7.10",
                    "currency": random.choice(["USD", "EUR"])},
    lambda random: {"evidenced": random.choice(["commit", "omitted"]), "weight_percent": 33},
    lambda random: {"counts_on": random.choice(["2026-03-01", "2026-03-31", "2026-04-15", None])},
    lambda random: {"outcome": random.choice(["won", "open"])},
    lambda random: {"name": random.choice(["x", "y"])},
)  # fmt: skip


def balances(entries: Iterable[Entry], month: date, until: datetime) -> Balances:
    """The sum of the entries of a month up to and at an instant."""
    sums: defaultdict[tuple[Any, ...], list[Any]] = defaultdict(lambda: [Decimal(0), 0])
    for entry in entries:
        if parse_instant(entry.at) > until:
            continue
        for state, sign in ((entry.before, -1), (entry.after, 1)):
            if state is None or month_of(state) != month:
                continue
            for measure, category, amount in _measures(state):
                cell = sums[measure, state.owner, state.currency, category]
                cell[0] += sign * amount
                cell[1] += sign
    return {key: (amount, deals) for key, (amount, deals) in sums.items() if amount or deals}


def _measures(state: DealState) -> Iterator[tuple[str, str, Decimal]]:
    amount = Decimal(state.amount or 0)
    yield "claimed", state.category, amount
    yield "evidenced", state.evidenced, amount
    yield "weighted", state.evidenced, amount * state.weight_percent / 100
    if state.outcome == "won":
        yield "closed", "closed", amount


def openings_kept(
    connection: Connection[Any], side: Side
) -> Mapping[tuple[date, datetime], Balances]:
    """The openings in the tables."""
    rows = connection.execute(
        on(side, "SELECT month, at, size, accounts::text FROM {side}.forecast_opening")
    )
    found: dict[tuple[date, datetime], Balances] = {}
    for month, at, size, accounts in rows:
        balance = Balance(accounts)
        found[month, at] = {
            (measure, owner, currency, category): (amount, deals)
            for (owner, currency), held in balance.holders()
            for (measure, category), amount, deals in held
        }
        assert len(balance) == size
    return found


def states_kept(connection: Connection[Any], side: Side) -> dict[tuple[str, str, str], Rectangle]:
    """The rectangles in the tables, by deal, `valid_from` and `known_from`."""
    rows = connection.execute(
        on(
            side,
            "SELECT deal, valid_from, valid_to, known_from, known_to, name, account, owner, stage,"
            " category, outcome, amount::text, currency, close_date::text, counts_on::text,"
            " dimensions, evidenced, gate, weight_percent FROM {side}.deal_state",
        )
    )
    found: dict[tuple[str, str, str], Rectangle] = {}
    for deal, *times, told in ((*row[:5], row[5:]) for row in rows):
        state = DealState(*told)
        if state.dimensions is not None:
            own = orjson.dumps(state.dimensions, option=orjson.OPT_SORT_KEYS)
            state = state._replace(dimensions=own.decode())
        valid_from, valid_to, known_from, known_to = map(format_instant, times)
        key = deal, valid_from, known_from
        assert key not in found
        found[key] = Rectangle(valid_from, valid_to, known_from, known_to, state)
    return found


def entries_kept(connection: Connection[Any], side: Side) -> dict[tuple[str, str], tuple[Any, ...]]:
    """The entries in the tables, by deal and instant."""
    rows = connection.execute(
        on(
            side,
            "SELECT deal, at, move, causes,"
            " month_before, owner_before, currency_before, amount_before::text, category_before,"
            " evidenced_before, weight_before, outcome_before,"
            " month_after, owner_after, currency_after, amount_after::text, category_after,"
            " evidenced_after, weight_after, outcome_after FROM {side}.forecast_entry",
        )
    )
    return {(deal, format_instant(at)): tuple(rest) for deal, at, *rest in rows}


def entry_told(entry: Entry) -> tuple[Any, ...]:
    """What the tables hold of an entry."""
    return (entry.move, list(entry.causes), *_told(entry.before), *_told(entry.after))


def _told(state: DealState | None) -> tuple[Any, ...]:
    if state is None:
        return (None,) * 8
    return (
        month_of(state), state.owner, state.currency, state.amount, state.category,
        state.evidenced, state.weight_percent, state.outcome,
    )  # fmt: skip
