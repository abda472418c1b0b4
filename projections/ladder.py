"""The ladder of a period: what the rep called, what each superior made of it, and what happened.

Law: the steps of a call are those of `projections.fold.calls`; a step's difference is what it
leaves less what the step before left, both in the reporting currency and each rounded once, so the
differences add up to adjusted less called, exactly. No number yet counts as nothing. A category's
totals are told level by level: as called, after every person's manager (level 1), after theirs
(level 2), and last after those outside the chain.

Beside each person's commit stands what evidence said at the same basis, and what had been won by
then. A call is for the whole period, so it is scored against the *outcome*: all that was won in the
period, as it was when the horizon was recorded, at the rates of the basis. So are the adjusted
number, and evidenced commit with what had been won by then. Once the period is over for that later
instant too, the one that came closest is named; of equals, the first in this order: evidenced,
adjusted, called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ledger.domain.calendar import Period
from ledger.domain.events import Category, Event
from ledger.domain.money import Money, format_amount
from ledger.domain.times import end_of_day
from projections.book import Book
from projections.explain import opened
from projections.fold.calls import Call, Step
from projections.fold.settings import LedgerSettings
from projections.forecast import Forecast
from projections.reporting import converted, own_amount, rounded, spelled, summed

_OUTSIDE = 1_000_000
"""The level of adjusters outside the chain: behind every one in it."""


def ladder(book: Book, period: Period) -> dict[str, Any]:
    """From call to adjusted number, step by step, and beside it the evidence and the outcome.

    Args:
        book: the book at the basis.
        period: the fiscal period.

    Returns:
        JSON: `basis`, `period`, `outcome_basis` (as of which the outcome is) and whether the period
        had `ended` by then, `currency`, `calls` with their `steps`, `categories` with the totals by
        `levels`, `people` with called, adjusted and evidenced commit, what had been won and the
        outcome, and `unconverted`: the positions of numbers that have no rate.
    """
    calls = book.calls(period)
    events = book.causes({cause for call in calls for cause in _causes(call)})
    settings = book.settings
    return {
        "basis": book.basis.as_dict(),
        "period": period.name,
        "outcome_basis": book.as_is.basis.as_dict(),
        "ended": has_ended(book.as_is, period),
        "currency": settings.reporting_currency,
        "calls": [_call(call, book, events) for call in calls],
        "categories": [
            _levels(category, [call for call in calls if call.category == category], settings)
            for category in (Category.COMMIT, Category.BEST_CASE, Category.PIPELINE)
        ],
        "people": _people(book, period, calls),
        "unconverted": _unconverted(calls, settings),
    }


def has_ended(book: Book, period: Period) -> bool:
    """Whether a period's last day is over at the basis, in the reporting time zone."""
    return book.basis.valid_at >= end_of_day(period.last_day, book.calendar.zone)


def _causes(call: Call) -> tuple[int, ...]:
    causes = {step.cause for step in call.steps}
    if call.called_by is not None:
        causes.add(call.called_by)
    return tuple(sorted(causes))


def _call(call: Call, book: Book, events: Mapping[int, Event]) -> dict[str, Any]:
    settings = book.settings
    person = book.directory.people.get(call.person)
    return {
        "person": call.person,
        "name": None if person is None else person.name,
        "category": call.category,
        "called": _number(call.called, settings),
        "steps": [_step(step, settings) for step in call.steps],
        "adjusted": _number(call.adjusted, settings),
        "difference": difference(call.called, call.adjusted, settings),
        "because": opened(_causes(call), events),
    }


def _number(amount: Money | None, settings: LedgerSettings) -> dict[str, Any] | None:
    if amount is None:
        return None
    own = own_amount(amount)
    return {**own, "reporting_amount": spelled(converted(amount, settings), settings)}


def _step(step: Step, settings: LedgerSettings) -> dict[str, Any]:
    return {
        "adjuster": step.adjuster,
        "level": step.level,
        "kind": "override" if step.haircut_percent is None else "haircut",
        "haircut_percent": step.haircut_percent,
        "after": _number(step.after, settings),
        "difference": difference(step.before, step.after, settings),
        "reason": step.reason,
        "expires_at": step.expires_at,
        "position": step.cause,
    }


def difference(before: Money | None, after: Money | None, settings: LedgerSettings) -> str | None:
    """What a step changed, in the reporting currency; None where a number has no rate."""
    both = [Decimal(0) if each is None else converted(each, settings) for each in (after, before)]
    if both[0] is None or both[1] is None:
        return None
    return format_amount(rounded(both[0], settings) - rounded(both[1], settings))


def _levels(category: str, calls: Sequence[Call], settings: LedgerSettings) -> dict[str, Any]:
    """The totals of a category, as called and after each level."""
    levels = sorted({_level(step) for call in calls for step in call.steps})
    totals = [rounded(summed((call.called for call in calls), settings), settings)]
    rows: list[dict[str, Any]] = []
    for level in levels:
        after = summed((_after(call, level) for call in calls), settings)
        totals.append(rounded(after, settings))
        rows.append(
            {
                "level": None if level == _OUTSIDE else level,
                "adjusters": sorted(
                    {s.adjuster for call in calls for s in call.steps if _level(s) == level}
                ),
                "total": format_amount(totals[-1]),
                "difference": format_amount(totals[-1] - totals[-2]),
            }
        )
    return {
        "category": str(category),
        "called": format_amount(totals[0]),
        "levels": rows,
        "adjusted": format_amount(totals[-1]),
        "difference": format_amount(totals[-1] - totals[0]),
    }


def _level(step: Step) -> int:
    return _OUTSIDE if step.level is None else step.level


def _after(call: Call, level: int) -> Money | None:
    """A call's number once everybody up to a level has adjusted it."""
    amount = call.called
    for step in call.steps:
        if _level(step) <= level:
            amount = step.after
    return amount


def _people(book: Book, period: Period, calls: Sequence[Call]) -> list[dict[str, Any]]:
    commits = {call.person: call for call in calls if call.category == Category.COMMIT}
    told = book.forecast(period, ("owner",))
    became = book.as_is.forecast(period, ("owner",))
    owners = {key[0] for key in (*told.groups(), *became.groups())} | {c.person for c in calls}
    return [
        _person(owner, book, (told, became), commits.get(owner))
        for owner in sorted(each for each in owners if each is not None)
        if book.as_is.scope.holds(owner)  # else what became of it is not told
    ]


def _person(
    owner: str, book: Book, forecasts: tuple[Forecast, Forecast], commit: Call | None
) -> dict[str, Any]:
    settings = book.settings
    person = book.directory.people.get(owner)
    forecast, became = forecasts
    outcome = forecast.amount(became.cell("closed", Category.CLOSED, (owner,)))
    closed = forecast.amount(forecast.cell("closed", Category.CLOSED, (owner,)))
    commit_only = forecast.cell("evidenced", Category.COMMIT, (owner,))
    evidence = forecast.cell("evidenced", Category.CLOSED, (owner,))
    evidence.merge(commit_only)
    numbers = {
        "evidenced": forecast.amount(evidence),
        "adjusted": _rounded(None if commit is None else commit.adjusted, settings),
        "called": _rounded(None if commit is None else commit.called, settings),
    }
    scored = numbers["called"] is not None and has_ended(book.as_is, forecast.period)
    misses = {
        measure: number - outcome for measure, number in numbers.items() if number is not None
    }
    return {
        "person": owner,
        "name": None if person is None else person.name,
        "manager": None if person is None else person.manager,
        "called": _spelt(numbers["called"]),
        "adjusted": _spelt(numbers["adjusted"]),
        "evidenced_commit": format_amount(forecast.amount(commit_only)),
        "closed": format_amount(closed),
        "outcome": format_amount(outcome),
        "called_less_outcome": _spelt(misses.get("called")),
        "adjusted_less_outcome": _spelt(misses.get("adjusted")),
        "evidenced_less_outcome": _spelt(misses["evidenced"]),
        "closest": min(misses, key=lambda measure: abs(misses[measure])) if scored else None,
    }


def _rounded(amount: Money | None, settings: LedgerSettings) -> Decimal | None:
    exact = converted(amount, settings)
    return None if exact is None else rounded(exact, settings)


def _spelt(amount: Decimal | None) -> str | None:
    return None if amount is None else format_amount(amount)


def _unconverted(calls: Sequence[Call], settings: LedgerSettings) -> list[int]:
    numbers = [(call.called, call.called_by) for call in calls]
    numbers += [(step.after, step.cause) for call in calls for step in call.steps]
    return sorted(
        {
            cause
            for amount, cause in numbers
            if amount is not None and cause is not None and converted(amount, settings) is None
        }
    )
