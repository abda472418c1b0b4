"""The accounts of a month of the journal, and their packed form.

Law: an account is (measure, owner, currency, category); its balance is an exact amount and a number
of deals. What an entry moves, it moves in every measure at once, so the accounts of a state are
always these:

    claimed    the claimed category     the amount
    evidenced  the category by evidence the amount
    weighted   the category by evidence the amount by the weight of the gate
    closed     closed                   the amount, of deals won

What was packed is taken out the same. Accounts are kept by whose they are: each holder has one row
of whole numbers, the amounts of all lines and then their deals. Whole numbers are added exactly
whatever their size, and rows are added to rows without a look at each account: an opening of a
large book holds thousands of accounts, and is read whole for each question.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from operator import add
from typing import Final, NamedTuple, TypeAlias, TypeVar

import orjson

from ledger.domain.events import Category
from ledger.domain.money import AMOUNT_DECIMALS_MAX

Holder: TypeAlias = tuple[str | None, str | None]
"""(owner, currency)"""

Line: TypeAlias = tuple[str, str]
"""(measure, category)"""

Row: TypeAlias = list[int]
"""The amounts of all lines, then their deals."""

_IN_ALL_CATEGORIES = ("claimed", "evidenced", "weighted")

LINES: Final[tuple[Line, ...]] = (
    *[(measure, str(each)) for measure in _IN_ALL_CATEGORIES for each in Category],
    ("closed", "closed"),
)

WIDTH: Final = len(LINES)
"""A row has so many amounts, and then as many numbers of deals."""

_CLAIMED, _EVIDENCED, _WEIGHTED = (
    {category: index for index, (each, category) in enumerate(LINES) if each == measure}
    for measure in _IN_ALL_CATEGORIES
)
_CLOSED = WIDTH - 1
_DEALS = slice(WIDTH + min(_CLAIMED.values()), WIDTH + max(_CLAIMED.values()) + 1)

DECIMALS: Final = AMOUNT_DECIMALS_MAX + 2
"""Of an amount by a weight in percent; amounts are whole numbers of the last one."""

_UNIT = Decimal(1).scaleb(-DECIMALS)
_UNITS_A_PERCENT = Decimal(1).scaleb(AMOUNT_DECIMALS_MAX)
"""One percent of an amount is so many times the amount in units: a whole number."""

JSON_INTEGER_MAX: Final = 2**63 - 1
"""The largest that all readers of JSON take."""

_K = TypeVar("_K")


class Posting(NamedTuple):
    """What came into a month, or went out of it, by deals that are alike.

    Args:
        owner: of the deals.
        currency: None for deals without an amount.
        category: as claimed.
        evidenced: the category by evidence.
        weight_percent: of the gate.
        won: whether they are won.
        amount: what came in, less what went out.
        deals: likewise.
    """

    owner: str | None
    currency: str | None
    category: str
    evidenced: str
    weight_percent: int
    won: bool
    amount: Decimal
    deals: int


Account: TypeAlias = tuple[Line, Decimal, int]
"""(line, amount, number of deals)"""


class Balance:
    """The accounts of a month at an instant, or of several months together.

    Args:
        packed: an opening, from which it starts; None is empty.
    """

    def __init__(self, packed: str | None = None) -> None:
        self._rows: dict[Holder, Row] = {}
        if packed is not None:
            self.take(packed)

    def __len__(self) -> int:
        """How many hold anything."""
        return sum(map(any, self._rows.values()))

    def holders(self) -> Iterator[tuple[Holder, list[Account]]]:
        """The accounts in which anything is left, by whose they are."""
        for holder, row in self._rows.items():
            yield holder, accounts_in(row)

    def rows(self) -> Iterator[tuple[Holder, Row]]:
        """The rows in which any deal is left, by whose they are."""
        for holder, row in self._rows.items():
            if any(row[WIDTH:]):
                yield holder, row

    def take(self, packed: str) -> None:
        """Add the accounts of an opening.

        Args:
            packed: its JSON.
        """
        for owner, currency, row in orjson.loads(packed):
            numbers = row if type(row) is list else [int(each) for each in row.split()]
            add_row(self._rows, (owner, currency), numbers)

    def post(self, posting: Posting) -> None:
        """Move an amount, in every measure."""
        holder = posting.owner, posting.currency
        row = self._rows.get(holder)
        if row is None:
            row = self._rows[holder] = [0] * (2 * WIDTH)
        for line, amount in moved(posting):
            row[line] += amount
            row[WIDTH + line] += posting.deals

    def copy(self) -> Balance:
        """The same accounts, which do not go on with these."""
        same = Balance()
        same._rows = {holder: row.copy() for holder, row in self._rows.items()}
        return same

    def packed(self) -> str:
        """As an opening keeps it."""
        kept = [(*holder, _spelt(row)) for holder, row in self._rows.items() if any(row)]
        return orjson.dumps(kept).decode()

    def less(self, other: Balance) -> Iterator[tuple[Holder, Account]]:
        """By how much accounts are more than those of another balance, where they differ."""
        nothing = [0] * (2 * WIDTH)
        for holder in self._rows.keys() | other._rows.keys():
            one, two = (each._rows.get(holder, nothing) for each in (self, other))
            for account in accounts_in([mine - its for mine, its in zip(one, two, strict=True)]):
                yield holder, account


def moved(posting: Posting) -> list[tuple[int, int]]:
    """What a posting moves: an amount in a line of each measure, by its index in `LINES`."""
    _owner, _currency, category, evidenced, weight_percent, won, amount, _deals = posting
    percent = int(amount * _UNITS_A_PERCENT)
    whole = 100 * percent
    found = [
        (_CLAIMED[category], whole),
        (_EVIDENCED[evidenced], whole),
        (_WEIGHTED[evidenced], weight_percent * percent),
    ]
    if won:
        found.append((_CLOSED, whole))
    return found


def add_row(rows: dict[_K, Row], key: _K, row: Row) -> None:
    """Add a row to the one at a key."""
    before = rows.get(key)
    rows[key] = row if before is None else [*map(add, before, row)]


def deals_in(row: Row) -> int:
    """How many deals there are: each is claimed in one category."""
    return sum(row[_DEALS])


def accounts_in(row: Row) -> list[Account]:
    """The accounts of a row in which anything is left."""
    return [
        (line, amount * _UNIT, deals)
        for line, amount, deals in zip(LINES, row, row[WIDTH:], strict=False)
        if amount or deals
    ]


def units(amount: Decimal) -> int:
    """An amount as a whole number; exact for amounts of deals, and such by a weight in percent."""
    return int(amount.scaleb(DECIMALS))


def _spelt(row: Row) -> Row | str:
    """A row as JSON keeps it: text where numbers are larger than all readers of JSON take."""
    if max(row) <= JSON_INTEGER_MAX and min(row) >= -JSON_INTEGER_MAX:
        return row
    return " ".join(map(str, row))
