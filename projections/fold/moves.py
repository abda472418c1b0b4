"""What moved in a month of the journal, day by day, and its packed form.

Law: the moves of a span are all of its postings, added up exactly by measure, account and day in a
time zone. So a line of day ends in that zone is a balance and the moves since, and no entry is read
again for it. What was packed is unpacked the same; what comes to nothing is left out. An account is
spelt as the index of its category, the currency (none for deals without an amount) and, after a
space, the owner where there is one. What moved is day, amount and deals of each day in turn, as one
text, since many are joined before they are read: days are ordinals of the calendar, amounts whole
numbers as in `projections.fold.accounts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import orjson

from ledger.domain.events import Category
from ledger.domain.times import Instant, end_of_day
from projections.fold.accounts import JSON_INTEGER_MAX, LINES, Posting, moved

MEASURES: Final = tuple(dict.fromkeys(measure for measure, _category in LINES))
"""Each has its own column: a line of points tells one measure."""

CATEGORIES: Final = tuple(map(str, Category))

_PLACES = [
    (MEASURES.index(measure), str(CATEGORIES.index(category))) for measure, category in LINES
]
"""By line of a row: which measure it is of, and how its category is spelt."""

Account: TypeAlias = tuple[str, str | None, str | None]
"""(category, currency, owner) of a measure."""

Moved: TypeAlias = tuple[int, Posting]
"""The ordinal of a day, and what came in or went out on it."""

_Sums: TypeAlias = dict[str, list[int]]
"""By account as it is spelt: day, amount and deals of each day in turn."""


def packed(moves: Iterable[Moved]) -> tuple[str, ...]:
    """The moves of a span as the tables keep them: JSON by measure, in the order of `MEASURES`.

    Args:
        moves: in the order of days.
    """
    sums: list[_Sums] = [{} for _measure in MEASURES]
    for day, posting in moves:
        owner, currency = posting.owner, posting.currency
        holder = (currency or "") if owner is None else f"{currency or ''} {owner}"
        for line, amount in moved(posting):
            measure, category = _PLACES[line]
            _add(sums[measure], category + holder, day, amount, posting.deals)
    return tuple(orjson.dumps(_kept(each)).decode() for each in sums)


def _add(sums: _Sums, account: str, day: int, units: int, deals: int) -> None:
    cells = sums.get(account)
    if cells is None:
        sums[account] = [day, units, deals]
    elif cells[-3] == day:
        cells[-2] += units
        cells[-1] += deals
    else:
        cells += day, units, deals


def _kept(sums: _Sums) -> dict[str, str]:
    """Without what comes to nothing; amounts larger than all readers of JSON take are text."""
    kept: dict[str, str] = {}
    most = JSON_INTEGER_MAX
    for account, cells in sums.items():
        each = iter(cells)
        left = [
            f"{day},{units},{deals}" if -most <= units <= most else f'{day},"{units}",{deals}'
            for day, units, deals in zip(each, each, each, strict=True)
            if units or deals
        ]
        if left:
            kept[account] = ",".join(left)
    return kept


def unpacked(texts: Iterable[str]) -> tuple[list[int], list[int], list[int]]:
    """The days, amounts and deals of an account that some texts tell."""
    joined = ",".join(texts)
    cells = orjson.loads(f"[{joined}]")
    amounts = cells[1::3]
    return cells[::3], list(map(int, amounts)) if '"' in joined else amounts, cells[2::3]


def by_day(text: str) -> dict[tuple[str, int], tuple[int, int]]:
    """The moves of a measure: amount and deals, by the account as it is spelt and the day."""
    return {
        (account, day): (units, deals)
        for account, its_text in orjson.loads(text).items()
        for day, units, deals in zip(*unpacked([its_text]), strict=True)
    }


def account_of(key: str) -> Account:
    """The account that a key spells."""
    first, space, owner = key[1:].partition(" ")
    return CATEGORIES[int(key[0])], first or None, owner if space else None


def days_beside(dates: Iterable[date], zone: ZoneInfo) -> tuple[list[int], list[Instant]]:
    """All days in a time zone in which an instant of some dates in UTC may be.

    Returns:
        Their ordinals, and their ends, both ascending: an instant is in the first day that does not
        end before it.
    """
    days = sorted({
        ordinal
        for each in dates
        for ordinal in range(each.toordinal() - 1, each.toordinal() + 2)
        if 1 <= ordinal <= date.max.toordinal()
    })  # fmt: skip
    return days, [end_of_day(date.fromordinal(day), zone) for day in days]


def days_ended(points: Sequence[Instant], zone: ZoneInfo) -> list[int] | None:
    """The ordinals of the days at whose ends points are; None where one is at no day's end."""
    days, ends = days_beside((point.astimezone(UTC).date() for point in points), zone)
    ended = dict(zip(ends, days, strict=True))
    return [ended[point] for point in points] if ended.keys() >= {*points} else None
