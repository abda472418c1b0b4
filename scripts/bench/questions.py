"""Questions to a generated book, asked of the read models and of DuckDB, their answers compared.

Law: both are asked the same at the same instants, which are chosen by chance but the same in every
run; a difference between the two ends the run. Ours is timed from a basis to the exact sums of a
`Forecast` or a `Bridge`, settings and rates included, without writing it as JSON; the peer until
its rows are fetched, or its many points are in a table.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

from api.door import Door
from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.money import Rates, conversion_rate, round_to_minor_unit
from ledger.domain.times import MICROSECOND, Instant
from projections.book import Book, MadeFrom
from projections.bridge import bridge
from projections.forecast import DEAL_MEASURES, Forecast
from projections.movements import Between
from projections.series import Every, series
from scripts.bench import lives
from scripts.bench.peers import DailyPoint, Duck, Sums, measures

GROUPS = ("owner",)
"""Each measure of a forecast is by category anyway."""
SERIES_PERIOD = "2025"
"""The year whose forecast the daily points tell."""

A_QUARTER = timedelta(days=91)
_FIRST_DAYS = 90
"""Nobody asks about the first days, in which the book is all but empty."""

_T = TypeVar("_T")


class Spread(NamedTuple):
    """What a question took at many instants, in milliseconds."""

    median_ms: float
    worst_ms: float

    @classmethod
    def of(cls, taken: Sequence[float]) -> Spread:
        """Of single figures in milliseconds."""
        return cls(statistics.median(taken), max(taken))

    def __str__(self) -> str:
        return f"{self.median_ms:.1f} ms (worst {self.worst_ms:.1f})"


class Both(NamedTuple):
    """What a question took us and the peer."""

    ours: Spread
    peer: Spread


class Clash(Exception):
    """An answer of ours and its peer's differ, or ours is not from the read models."""


def instants(count: int, seed: int = 11) -> list[Instant]:
    """Instants of the book's two years, chosen by chance, the same for the same seed."""
    chance = random.Random(seed)
    first, last = _FIRST_DAYS * 86_400, lives.WINDOW_DAYS * 86_400
    return [lives.BEGIN + timedelta(seconds=chance.randrange(first, last)) for _ in range(count)]


def as_known_then(count: int, horizon: int) -> list[Basis]:
    """Bases that look at an instant as it was known at that instant."""
    return [Basis(at, at, horizon) for at in instants(count)]


def at_any_basis(count: int, horizon: int) -> list[Basis]:
    """Bases whose valid time and knowledge have nothing to do with each other."""
    both = zip(instants(count), instants(count, seed=13), strict=True)
    return [Basis(valid_at, known_at, horizon) for valid_at, known_at in both]


def _timed(work: Callable[[], _T]) -> tuple[float, _T]:
    started = time.perf_counter()
    found = work()
    return (time.perf_counter() - started) * 1000, found


def _from_tables(opened: Book, work: Callable[[], _T]) -> tuple[float, _T]:
    """The same, of an answer that the read models gave."""
    taken, found = _timed(work)
    if opened.made_from is not MadeFrom.TABLES:
        raise Clash(f"the answer at {opened.basis} was folded from the log")
    return taken, found


# --- the forecast at a basis ----------------------------------------------------------------------


def ask_forecasts(door: Door, duck: Duck, bases: Sequence[Basis]) -> Both:
    """The forecast by owner and category of the quarter of each basis, in turns.

    The first is asked twice: once to warm up, which is not counted.

    Raises:
        Clash: the two differ.
    """
    taken = [_ask_forecast(door, duck, basis) for basis in (bases[0], *bases)]
    ours, peer = zip(*taken[1:], strict=True)
    return Both(Spread.of(ours), Spread.of(peer))


def _ask_forecast(door: Door, duck: Duck, basis: Basis) -> tuple[float, float]:
    period = FiscalCalendar().quarter_of(basis.valid_at.date())
    with door.book_at(basis) as opened:
        ours, forecast = _from_tables(opened, lambda: opened.forecast(period, GROUPS))
    peer, scanned = _timed(lambda: duck.scan(basis.valid_at, basis.known_at, period))
    if sums(forecast) != measures(scanned):
        raise Clash(f"the forecast of {period.name} at {basis}")
    return ours, peer


def sums(forecast: Forecast) -> Sums:
    """The exact sums of a forecast, as `peers.measures` gives them."""
    found: Sums = {}
    for (group, measure, category), cell in forecast.tally.cells.items():
        if measure in DEAL_MEASURES:
            found[group, measure, category, None] = Decimal(cell.deals)
            for currency, amount in cell.amounts.items():
                found[group, measure, category, currency] = amount
    return found


# --- daily points ---------------------------------------------------------------------------------

Key: TypeAlias = tuple[str | None, str, date]
"""(owner, category, day)"""

Points: TypeAlias = dict[Key, tuple[int, Decimal | None]]
"""By key the deals and, on the days on which it is compared, the amount."""


def ask_series(door: Door, duck: Duck, horizon: int, repeats: int) -> Both:
    """What is evidenced of a year at the end of each of 730 days, by owner, in turns.

    Raises:
        Clash: the two differ.
    """
    days = lives.days()
    period = FiscalCalendar().period(SERIES_PERIOD)
    end = lives.BEGIN + timedelta(days=lives.WINDOW_DAYS)
    ours, peer = [], []
    told: dict[str, Any] = {}
    for _ in range(repeats + 1):
        with door.book_at(Basis(end, end, horizon)) as opened:
            taken, told = _from_tables(opened, partial(_series, opened, days))
        ours.append(taken)
        taken, _ = _timed(lambda: duck.daily(days[0], days[-1], period))
        peer.append(taken)
    if _points(told) != _converted(door, horizon, duck.points(days[-1])):
        raise Clash(f"the daily points of {SERIES_PERIOD}")
    return Both(Spread.of(ours[1:]), Spread.of(peer[1:]))


def _series(opened: Book, days: Sequence[date]) -> dict[str, Any]:
    return series(
        opened, days[0], days[-1], Every.DAY,
        period=SERIES_PERIOD, group_by=("owner",), measures=("evidenced",),
    )  # fmt: skip


def _points(told: Mapping[str, Any]) -> Points:
    days = [date.fromisoformat(point["day"]) for point in told["points"]]
    return {
        (line["key"]["owner"], line["category"], day): (
            deals,
            Decimal(amount) if _is_compared(day) else None,
        )
        for line in told["lines"]
        for day, deals, amount in zip(days, line["deals"], line["amounts"], strict=True)
        if deals
    }


def _is_compared(day: date) -> bool:
    """Amounts are compared on the first day of each month; deals are on every day."""
    return day.day == 1


def _converted(door: Door, horizon: int, points: Iterable[DailyPoint]) -> Points:
    """The peer's points in the reporting currency, each at the rates of its own basis."""
    deals: dict[Key, int] = {}
    amounts: dict[Key, dict[str, Decimal]] = {}
    for owner, currency, category, day, count, amount in points:
        key = owner, category, day
        deals[key] = deals.get(key, 0) + count
        if currency is not None:
            amounts.setdefault(key, {})[currency] = amount
    days = {day for _owner, _category, day in deals if _is_compared(day)}
    rates = {day: _rates(door, horizon, day) for day in days}
    return {
        key: (count, _in_dollars(amounts.get(key, {}), rates[key[2]]) if key[2] in rates else None)
        for key, count in deals.items()
    }


def _rates(door: Door, horizon: int, day: date) -> Rates:
    at = lives.BEGIN + (day - lives.BEGIN.date() + timedelta(days=1)) - MICROSECOND
    with door.book_at(Basis(at, at, horizon)) as opened:
        return opened.settings.rates


def _in_dollars(amounts: Mapping[str, Decimal], rates: Rates) -> Decimal:
    total = Decimal(0)
    for currency, amount in sorted(amounts.items()):
        rate = conversion_rate(currency, "USD", rates)
        total += Decimal(0) if rate is None else amount * rate
    return round_to_minor_unit(total, "USD")


# --- the bridge -----------------------------------------------------------------------------------


def ask_bridges(door: Door, horizon: int, count: int) -> Spread:
    """The bridge by owner of the quarter of an instant, from a quarter before to that instant."""
    taken = [
        _ask_bridge(door, horizon, max(at, lives.BEGIN + 2 * A_QUARTER))
        for at in instants(count + 1, seed=17)
    ]
    return Spread.of(taken[1:])


def _ask_bridge(door: Door, horizon: int, closing: Instant) -> float:
    opening = closing - A_QUARTER
    period = FiscalCalendar().quarter_of(closing.date())
    with (
        door.book_at(Basis(opening, opening, horizon)) as first,
        door.book_at(Basis(closing, closing, horizon)) as second,
    ):
        return _from_tables(
            second, lambda: bridge(Between(first, second, period), group_by=("owner",))
        )[0]
