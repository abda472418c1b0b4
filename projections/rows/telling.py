"""The cells that rows of several tables share, and what they are made with.

Law: amounts are exact. An amount in the reporting currency is converted at the rate known and valid
at the basis and rounded once, half-even, to the minor unit, in each row; without a rate it is null.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import chain

import orjson

from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Outcome
from ledger.domain.money import Money, conversion_rate, format_amount, minor_units
from projections.book import Book
from projections.fold.claims import ClaimedDeal, counting_day
from projections.fold.settings import LedgerSettings
from projections.forecast import CATEGORIES, deal_dimension
from projections.qualified import BookDeal
from projections.rows.definition import Cell, Column, Filter, Kind, Row, Test, Wanted

_HUNDREDTH = Decimal("0.01")

OUTCOMES = (OPEN, *(str(each) for each in Outcome))

DEAL_COLUMNS = (
    Column("deal", Kind.ID, "The deal's id in the CRM.", required=True),
    Column("deal_name", Kind.STRING, "What the deal is called."),
    Column("account", Kind.ID, "The id of the account that it is with."),
    Column("owner", Kind.STRING, "The id of the person who owns the deal."),
    Column("manager", Kind.STRING, "The owner's manager, as it was at the basis."),
    Column("team", Kind.STRING, "The owner's team, as it was at the basis."),
    Column(
        "category", Kind.STRING,
        "The forecast category that is claimed; once closed, the outcome decides.", required=True,
    ),
    Column(
        "outcome", Kind.STRING,
        "open, won, lost, no_decision, disqualified or abandoned.", required=True,
    ),
    Column(
        "counts_on", Kind.DATE,
        "The day that decides in which period the deal counts: the close date that its record "
        "carries, else the day on which it closed.",
    ),
    Column("fiscal_quarter", Kind.STRING, "The fiscal quarter that holds counts_on: 2026-Q1."),
)  # fmt: skip
"""What is claimed of the deal that a row belongs to."""

DEAL_FILTERS = (
    Filter("deal", "deal", Test.IS, Kind.STRING, "Only this deal, by id."),
    Filter("account", "account", Test.IS, Kind.STRING, "Only deals with this account, by id."),
    Filter(
        "owner", "owner", Test.IS, Kind.STRING,
        "Only deals that this person owns, by id; one person, not several by commas.",
    ),
    Filter(
        "manager", "manager", Test.IS, Kind.STRING,
        "Only deals whose owner reports to this person directly.",
    ),
    Filter("team", "team", Test.IS, Kind.STRING, "Only deals whose owner is in this team."),
    Filter(
        "category", "category", Test.IS, Kind.STRING,
        f"Only deals of this claimed category: {', '.join(CATEGORIES)}.", CATEGORIES,
    ),
    Filter(
        "outcome", "outcome", Test.IS, Kind.STRING,
        f"Only deals of this outcome: {', '.join(OUTCOMES)}.", OUTCOMES,
    ),
    Filter(
        "period", "counts_on", Test.IN_PERIOD, Kind.STRING,
        "Only deals that count in this fiscal period: 2026, 2026-Q1 or 2026-03.",
    ),
    Filter(
        "counts_from", "counts_on", Test.AT_LEAST, Kind.DATE,
        "Only deals that count on this day or later.",
    ),
    Filter(
        "counts_until", "counts_on", Test.AT_MOST, Kind.DATE,
        "Only deals that count on this day or earlier.",
    ),
)  # fmt: skip


class Converter:
    """Converts amounts at the rates of a basis.

    Args:
        settings: the reporting currency and the rates.
    """

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._rates: dict[str, Decimal | None] = {}
        self.currency = settings.reporting_currency
        self.unit: Decimal | None = None
        if self.currency is not None:
            self.unit = Decimal(1).scaleb(-minor_units(self.currency))

    def rate(self, currency: str) -> Decimal | None:
        """How many units of the reporting currency one of a currency buys; None without a rate."""
        if currency not in self._rates:
            to = self.currency
            known = None if to is None else conversion_rate(currency, to, self._settings.rates)
            self._rates[currency] = known
        return self._rates[currency]

    def reporting(self, amount: Money | None, percent: int = 100) -> Decimal | None:
        """A share of an amount in the reporting currency, rounded once."""
        rate = None if amount is None else self.rate(amount.currency)
        if amount is None or rate is None or self.unit is None:
            return None
        exact = amount.amount * rate
        if percent != 100:
            exact = exact * (percent * _HUNDREDTH)
        return exact.quantize(self.unit, rounding=ROUND_HALF_EVEN)


class Teller:
    """Tells the cells of deals at one basis; what they share is looked up once.

    Args:
        book: the book at the basis.
    """

    def __init__(self, book: Book) -> None:
        self._book = book
        self._directory = book.directory
        self._quarters: dict[str, str | None] = {}
        self.converter = Converter(book.settings)

    def quarter(self, day: str | None) -> str | None:
        """The fiscal quarter that holds a day, an ISO date."""
        if day is None:
            return None
        month = day[:7]
        if month not in self._quarters:
            try:
                name = self._book.calendar.quarter_of(date.fromisoformat(day)).name
            except InvalidInput:  # years 1 and 9999 have no periods
                name = None
            self._quarters[month] = name
        return self._quarters[month]

    def of_deal(self, deal: ClaimedDeal) -> Row:
        """The cells of `DEAL_COLUMNS`."""
        day = counting_day(deal, self._book.calendar)
        return (
            deal.deal_id,
            deal.name,
            deal.account,
            deal.owner,
            deal_dimension(deal, "manager", self._directory),
            deal_dimension(deal, "team", self._directory),
            str(deal.category),
            deal.outcome,
            day,
            self.quarter(day),
        )

    def dimensions(self, deal: ClaimedDeal) -> str | None:
        """The deal's dimensions as a JSON object: its own, and those of its account besides.

        As PostgreSQL spells it, which keeps them: shorter keys come first.
        """
        account = self._directory.accounts.get(deal.account or "")
        shared = {} if account is None else account.dimensions
        found = {**shared, **deal.dimensions}
        told = [each for each in found.items() if each[1] is not None]
        if not told:
            return None
        told.sort(key=lambda each: (len(each[0].encode()), each[0].encode()))
        return "{" + ", ".join(f"{_json(key)}: {_json(value)}" for key, value in told) + "}"


def _json(text: str) -> str:
    return orjson.dumps(text).decode()


def deals_of(book: Book, wanted: Wanted) -> Iterator[BookDeal]:
    """The deals whose rows are wanted, in the order of their ids; the one of the key with them."""
    only = wanted.hints.get("deal")
    if only is not None:
        return book.deals(only=str(only))
    if wanted.after is None:
        return book.deals()
    last = str(wanted.after[0])
    return chain(book.deals(only=last), book.deals(after=last))


def listed(names: tuple[str, ...]) -> str | None:
    """Several keys in one cell, separated by commas; null when there are none."""
    return ",".join(names) or None


def positions(causes: tuple[int, ...]) -> str | None:
    """The positions of events in one cell, separated by commas."""
    return ",".join(map(str, causes)) or None


KEY_COLUMNS = (
    Column("key_1", Kind.STRING, "The value in the first dimension that it is grouped by."),
    Column("key_2", Kind.STRING, "The value in the second."),
    Column("key_3", Kind.STRING, "The value in the third."),
    Column("key_4", Kind.STRING, "The value in the fourth."),
)
"""Of a table that may be grouped by so many dimensions."""

KEY_FILTERS = tuple(
    Filter(
        column.name, column.name, Test.IS, Kind.STRING,
        f"Only rows of this value in the {place} dimension that is grouped by.",
    )
    for column, place in zip(KEY_COLUMNS, ("first", "second", "third", "fourth"), strict=True)
)  # fmt: skip
"""On the values of a group."""


def key_cells(values: Iterable[str | None]) -> Row:
    """The values of a group, in the columns `key_1` and on."""
    return (*values, *[None] * len(KEY_COLUMNS))[: len(KEY_COLUMNS)]


def amount_cells(amount: Decimal | None) -> tuple[Cell, Cell]:
    """An amount as a number for charts, and as exact text."""
    return (None, None) if amount is None else (float(amount), format_amount(amount))
