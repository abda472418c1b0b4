"""The accounts of a month of the journal, and their packed form.

Law: an account is (measure, owner, currency, category); its balance is an exact amount and a number
of deals. What an entry moves, it moves in every measure at once, so the accounts of a state are
always these:

    claimed    the claimed category     the amount
    evidenced  the category by evidence the amount
    weighted   the category by evidence the amount by the weight of the gate
    closed     closed                   the amount, of deals won

An account in which nothing is left is no account. What was packed is taken out the same. Accounts
are kept by whose they are, and packed with the names of measures and categories written once: an
opening of a large book holds thousands of them, and is read whole for each question.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from decimal import Decimal
from typing import NamedTuple, TypeAlias

import orjson

Holder: TypeAlias = tuple[str | None, str | None]
"""(owner, currency)"""

Line: TypeAlias = tuple[str, str]
"""(measure, category)"""

Amount: TypeAlias = tuple[Decimal, int]
"""An exact amount, and a number of deals."""

_PERCENT = Decimal("0.01")
_NOTHING = (Decimal(0), 0)
_CLOSED = ("closed", "closed")


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


class Balance:
    """The accounts of a month at an instant, or of several months together.

    Args:
        packed: an opening, from which it starts; None is empty.
    """

    def __init__(self, packed: str | None = None) -> None:
        self._holders: dict[Holder, dict[Line, Amount]] = {}
        if packed is not None:
            self.take(packed)

    def __len__(self) -> int:
        return sum(map(len, self._holders.values()))

    def holders(self) -> ItemsView[Holder, dict[Line, Amount]]:
        """The accounts, by whose they are."""
        return self._holders.items()

    def take(self, packed: str) -> None:
        """Add the accounts of an opening.

        Args:
            packed: its JSON.
        """
        opening = orjson.loads(packed)
        lines = [(measure, category) for measure, category in opening["lines"]]
        holders = self._holders
        for owner, currency, numbers, amounts, deals in opening["holders"]:
            named = [lines[number] for number in numbers]
            exact = map(Decimal, amounts)
            accounts = holders.get((owner, currency))
            if accounts is None:
                held = zip(exact, deals, strict=True)
                holders[owner, currency] = dict(zip(named, held, strict=True))
                continue
            for line, amount, number in zip(named, exact, deals, strict=True):
                before = accounts.get(line)
                accounts[line] = (
                    (amount, number) if before is None else (before[0] + amount, before[1] + number)
                )

    def post(self, posting: Posting) -> None:
        """Move an amount, in every measure."""
        owner, currency, category, evidenced, weight_percent, won, amount, deals = posting
        accounts = self._holders.get((owner, currency))
        if accounts is None:
            accounts = self._holders[owner, currency] = {}
        _add(accounts, ("claimed", category), amount, deals)
        _add(accounts, ("evidenced", evidenced), amount, deals)
        _add(accounts, ("weighted", evidenced), amount * weight_percent * _PERCENT, deals)
        if won:
            _add(accounts, _CLOSED, amount, deals)

    def copy(self) -> Balance:
        """The same accounts, which do not go on with these."""
        same = Balance()
        same._holders = {holder: held.copy() for holder, held in self._holders.items()}
        return same

    def packed(self) -> str:
        """As an opening keeps it."""
        numbers: dict[Line, int] = {}
        holders = [
            (
                *holder,
                [numbers.setdefault(line, len(numbers)) for line in accounts],
                [str(amount) for amount, _deals in accounts.values()],
                [deals for _amount, deals in accounts.values()],
            )
            for holder, accounts in self._holders.items()
            if accounts
        ]
        return orjson.dumps({"lines": list(numbers), "holders": holders}).decode()

    def less(self, other: Balance) -> Iterator[tuple[Holder, Line, Decimal, int]]:
        """By how much accounts are more than those of another balance, where they differ."""
        for holder in self._holders.keys() | other._holders.keys():
            one, two = self._holders.get(holder, {}), other._holders.get(holder, {})
            for line in one.keys() | two.keys():
                amount, deals = one.get(line, _NOTHING)
                other_amount, other_deals = two.get(line, _NOTHING)
                if amount != other_amount or deals != other_deals:
                    yield holder, line, amount - other_amount, deals - other_deals


def _add(accounts: dict[Line, Amount], line: Line, amount: Decimal, deals: int) -> None:
    before = accounts.get(line)
    if before is not None:
        amount, deals = before[0] + amount, before[1] + deals
    if amount or deals:
        accounts[line] = amount, deals
    else:
        accounts.pop(line, None)
