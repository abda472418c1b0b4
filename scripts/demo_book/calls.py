"""What sellers call each week, their quotas, and the rates of the month."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from scripts.demo_book.cast import (
    LEAVER,
    REPS,
    TEAMS,
    Calendar,
    Habit,
    Person,
    quarter_end,
    quarter_name,
)
from scripts.demo_book.crm import Record, Row, State

Rates = dict[tuple[date, str], Decimal]
"""(first day of the month, currency) -> US dollars for one unit."""

_FIRST_RATES = {"EUR": Decimal("1.0840"), "GBP": Decimal("1.2690")}
_FACTOR = {Habit.STEADY: 1.0, Habit.OPTIMIST: 1.05, Habit.INFLATOR: 1.2, Habit.SANDBAGGER: 0.65}


def make_rates(seed: int, calendar: Calendar) -> Rates:
    rng = random.Random(f"{seed}/rates")
    rates: Rates = {}
    current = dict(_FIRST_RATES)
    for month in calendar.months():
        for currency, rate in current.items():
            rates[month, currency] = rate
            step = Decimal(rng.randrange(-140, 150)) / 10000
            current[currency] = (rate * (1 + step)).quantize(Decimal("0.0001"))
    return rates


def rate_rows(rates: Rates) -> Iterator[Row]:
    for (month, currency), rate in rates.items():
        yield {
            "effective_date": month.isoformat(),
            "currency": currency,
            "to": "USD",
            "rate": str(rate),
        }


def quota_rows(seed: int, calendar: Calendar) -> Iterator[Row]:
    rng = random.Random(f"{seed}/quotas")
    for rep in REPS:
        quota = rng.randrange(180, 320) * 1000
        for quarter in calendar.quarters():
            if rep is LEAVER and quarter >= calendar.leaver_left_on:
                continue
            yield {
                "fiscal_quarter": quarter_name(quarter),
                "rep_id": rep.id,
                "quota": f"{quota}.00",
                "currency": TEAMS[rep.team].currency,
                "set_on": max(quarter - timedelta(days=20), calendar.start).isoformat(),
            }
            quota = whole_thousands(quota * rng.uniform(1.0, 1.06))


def call_rows(seed: int, calendar: Calendar, records: list[Record], rates: Rates) -> Iterator[Row]:
    """Each Monday each seller submits a commit and a best case for the running quarter."""
    rng = random.Random(f"{seed}/calls")
    held: dict[tuple[str, str], int] = {}
    monday = calendar.start + timedelta(days=(7 - calendar.start.weekday()) % 7)
    while monday < calendar.anchor:
        at = datetime.combine(monday, time(7), tzinfo=UTC)
        totals = _claimed(at, records, rates)
        period = quarter_name(monday)
        for rep in REPS:
            if rep is LEAVER and monday >= calendar.leaver_left_on:
                continue
            rate = _rate(rates, monday, TEAMS[rep.team].currency)
            commit, best = (
                int(total / rate) for total in totals.get(rep.id, (Decimal(), Decimal()))
            )
            commit = _called(rng, rep, monday, commit, held)
            yield {
                "submission_week": monday.isoformat(),
                "fiscal_quarter": period,
                "rep_id": rep.id,
                "commit_call": f"{commit}.00",
                "best_case_call": f"{max(commit, whole_thousands(best))}.00",
                "currency": TEAMS[rep.team].currency,
            }
        monday += timedelta(days=7)


def _called(
    rng: random.Random, rep: Person, monday: date, claimed: int, held: dict[tuple[str, str], int]
) -> int:
    """The commit as the seller says it: some hold on to their number until the last weeks."""
    key = quarter_name(monday), rep.id
    fresh = whole_thousands(claimed * _FACTOR[rep.habit] * rng.uniform(0.95, 1.05))
    nearly_over = (quarter_end(monday) - monday).days < 16
    if rep.habit is Habit.INFLATOR and not nearly_over:
        fresh = max(fresh, held.get(key, 0))
    if rep.habit is Habit.SANDBAGGER and nearly_over:
        fresh = whole_thousands(claimed)
    held[key] = fresh
    return fresh


def _claimed(
    at: datetime, records: list[Record], rates: Rates
) -> dict[str, tuple[Decimal, Decimal]]:
    """Seller -> (won and commit, won and commit and best case) in US dollars, for the quarter."""
    period = quarter_name(at.date())
    totals: dict[str, tuple[Decimal, Decimal]] = {}
    for record in records:
        state = _state_at(record, at)
        if state is None or state.amount is None or quarter_name(state.close_date) != period:
            continue
        value = state.amount * _rate(rates, at.date(), record.life.currency)
        commit, best = totals.get(state.owner, (Decimal(), Decimal()))
        if state.category in {"Commit", "Closed"}:
            totals[state.owner] = commit + value, best + value
        elif state.category == "Best Case":
            totals[state.owner] = commit, best + value
    return totals


def _state_at(record: Record, at: datetime) -> State | None:
    index = bisect_right(record.versions, at, key=lambda version: version.at)
    return record.versions[index - 1].state if index else None


def whole_thousands(amount: float | Decimal) -> int:
    return round(amount / 1000) * 1000


def _rate(rates: Rates, day: date, currency: str) -> Decimal:
    return Decimal(1) if currency == "USD" else rates[day.replace(day=1), currency]
