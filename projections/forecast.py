"""The forecast of a period at a basis: measures side by side, by category.

Law: a deal counts in the period that holds its close date (expected while open; once closed, the
close date that its record carries, else the day it closed). A deal without an amount counts as a
deal with no amount, and is listed. Amounts are summed exactly in their own currency, converted at
the rate known and valid at the basis, and rounded once, at the end, half-even. What has no rate is
not guessed: it stays out of the reporting currency's sum and is named.

    claimed    by the category that the CRM claims; a closed deal's outcome decides
    evidenced  by the gate where the deal really stands (see `no_evidence_no_revenue`)
    weighted   the same, each amount by the weight of that gate
    called     what the reps submitted
    adjusted   the same after overrides and haircuts in force
    closed     deals won

A tally can be made over parts of the book and merged, in any order, to the same result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, NamedTuple

from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar, Period
from ledger.domain.errors import InvalidInput
from ledger.domain.events import Category, Outcome
from ledger.domain.money import Money, conversion_rate, format_amount, round_to_minor_unit
from projections.fold.calls import Call
from projections.fold.claims import ClaimedDeal, counting_day
from projections.fold.converted import Conversion
from projections.fold.people import Account, Organisation, Person
from projections.fold.settings import LedgerSettings
from projections.fold.verdict import without_judging
from projections.qualified import BookDeal
from projections.tally import Cell, CellPlace, GroupKey, Tally

CATEGORIES = tuple(str(category) for category in Category)
MEASURES = ("claimed", "evidenced", "weighted", "called", "adjusted", "closed")
DEAL_MEASURES = ("claimed", "evidenced", "weighted", "closed")
CALL_DIMENSIONS = frozenset({"owner", "manager", "team", "category", "currency"})
"""What a call can be grouped by: it names a person, not a deal."""

BY_PERSON = frozenset({"manager", "team"})
"""Dimensions that the owner's record tells."""

GROUPS_MAX = 50_000


class Directory(NamedTuple):
    """Who and what deals refer to, as of the basis."""

    people: Mapping[str, Person] = {}
    accounts: Mapping[str, Account] = {}
    calendar: FiscalCalendar = FiscalCalendar()


def check_group_by(group_by: Iterable[str]) -> tuple[str, ...]:
    """The dimensions to group by, each once.

    Raises:
        InvalidInput: `invalid-dimension`, `too-many-dimensions`.
    """
    dimensions = tuple(dict.fromkeys(group_by))
    for dimension in dimensions:
        if not dimension.isidentifier() or dimension != dimension.lower():
            raise InvalidInput(
                "invalid-dimension",
                f"{dimension!r} is not a dimension",
                hint="group by owner, manager, team, stage, category, currency, account, or a "
                "dimension of your deals or accounts such as segment",
            )
    if len(dimensions) > 4:
        raise InvalidInput("too-many-dimensions", "group by four dimensions at most")
    return dimensions


def counts_in(deal: ClaimedDeal, period: Period, calendar: FiscalCalendar) -> bool:
    """Whether a deal counts in a period."""
    day = counting_day(deal, calendar)
    return day is not None and period.holds_text(day)


def tally_deals(
    deals: Iterable[BookDeal], period: Period, group_by: tuple[str, ...], directory: Directory
) -> Tally:
    """Tally a part of the book.

    Args:
        deals: deals at the basis.
        period: the fiscal period asked about.
        group_by: dimensions, checked by `check_group_by`.
        directory: people, accounts and calendar at the basis.
    """
    tally = Tally()
    calendar = directory.calendar
    first, last = period.first_day.isoformat(), period.last_day.isoformat()
    for each in deals:
        deal = each.claimed
        tally.deals += 1
        day = counting_day(deal, calendar)
        if day is None:
            tally.without_close_date.append(deal.deal_id)
        if day is None or not first <= day <= last:
            continue
        amount = deal.amount
        if amount is None:
            tally.without_amount.append(deal.deal_id)
        group = tuple(
            each.verdict.gate if name == "gate" else deal_dimension(deal, name, directory)
            for name in group_by
        )
        tally.add((group, "claimed", deal.category), amount)
        if deal.outcome == Outcome.WON:
            tally.add((group, "closed", Category.CLOSED), amount)
        category, percent = _evidenced(each)
        tally.add((group, "evidenced", category), amount)
        tally.add((group, "weighted", category), _share(amount, percent))
    return tally


def _evidenced(deal: BookDeal) -> tuple[Category, int]:
    at_once = without_judging(deal.claimed.outcome, unproven=deal.unproven)
    return at_once or (deal.verdict.category, deal.verdict.weight_percent)


def _share(amount: Money | None, percent: int) -> Money | None:
    if amount is None:
        return None
    return amount._replace(amount=amount.amount * percent / 100)


def deal_dimension(deal: ClaimedDeal, dimension: str, directory: Directory) -> str | None:
    """A deal's value in a dimension, as it was at the basis; None where it has none."""
    match dimension:
        case "owner":
            return deal.owner
        case "manager" | "team":
            return person_dimension(deal.owner, dimension, directory)
        case "stage":
            return deal.stage
        case "category":
            return str(deal.category)
        case "outcome":
            return deal.outcome
        case "currency":
            return None if deal.amount is None else deal.amount.currency
        case "account":
            return deal.account
        case _:
            own = deal.dimensions.get(dimension)
            account = directory.accounts.get(deal.account or "")
            return own if own is not None or account is None else account.dimensions.get(dimension)


def person_dimension(person_id: str | None, dimension: str, directory: Directory) -> str | None:
    """A person's manager or team, as the directory has it."""
    person = directory.people.get(person_id or "")
    if person is None:
        return None
    return person.manager if dimension == "manager" else person.team


def tally_calls(calls: Iterable[Call], group_by: tuple[str, ...], directory: Directory) -> Tally:
    """Tally a period's calls; nothing where they cannot be grouped so."""
    tally = Tally()
    if not CALL_DIMENSIONS.issuperset(group_by):
        return tally
    for call in calls:
        for measure, amount in (("called", call.called), ("adjusted", call.adjusted)):
            if amount is None:
                continue
            values = {"owner": call.person, "category": call.category, "currency": amount.currency}
            group = tuple(
                values[each] if each in values else person_dimension(call.person, each, directory)
                for each in group_by
            )
            tally.add((group, measure, call.category), amount, deals=0)
    return tally


@dataclass(frozen=True, slots=True)
class Forecast:
    """An answer: what the forecast of a period was at a basis."""

    basis: Basis
    period: Period
    settings: LedgerSettings
    group_by: tuple[str, ...]
    tally: Tally
    organisation: Organisation = Organisation.AS_WAS
    _rates: dict[str, Decimal | None] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )
    """By currency, what was found so far."""

    def groups(self) -> list[GroupKey]:
        """The groups, in order; missing values last."""
        keys = self.tally.groups()
        if len(keys) > GROUPS_MAX:
            raise InvalidInput(
                "too-many-groups",
                f"that is {len(keys)} groups; the limit is {GROUPS_MAX}",
                hint="group by fewer dimensions",
            )
        return sorted(keys, key=lambda key: tuple((part is None, part or "") for part in key))

    def cell(self, measure: str, category: str, group: GroupKey | None = None) -> Cell:
        """The exact sums of a measure and category, over all groups or in one."""
        place = measure, category
        if group is not None:
            return self.tally.cell(group, place)
        return self.tally.totals().get(place) or Cell()

    def amount(self, cell: Cell) -> Decimal:
        """A cell in the reporting currency, rounded once."""
        currency = self.settings.reporting_currency
        if currency is None:
            return Decimal(0)
        total = Decimal(0)
        for each in sorted(cell.amounts):  # inexact rates add alike in one order
            rate = self._rate(each)
            if rate is not None:
                total += cell.amounts[each] * rate
        return round_to_minor_unit(total, currency)

    def _rate(self, currency: str) -> Decimal | None:
        """The factor from a currency to the reporting currency, found once."""
        if currency not in self._rates:
            to = self.settings.reporting_currency or ""
            self._rates[currency] = conversion_rate(currency, to, self.settings.rates)
        return self._rates[currency]

    def by_group(self) -> dict[GroupKey, dict[CellPlace, Cell]]:
        """The cells of each group, in the order of groups; none where no groups were asked for."""
        return self.tally.by_group(self.groups()) if self.group_by else {}

    def told_by_group(self) -> Iterator[tuple[GroupKey, list[tuple[CellPlace, str, int]]]]:
        """Each group, in their order, with its cells: (place, amount as told, deals).

        The same as `by_group` and `amount`, without making what comes from the journal into cells.
        """
        rates = {each: self._rate(each) for each in self.tally.currencies()}
        conversion = Conversion(
            self.settings.reporting_currency,
            {each: rate for each, rate in rates.items() if rate is not None},
        )
        others: dict[GroupKey, list[tuple[CellPlace, str, int]]] = {}
        for (group, *place), cell in self.tally.other_cells.items():
            told = (place[0], place[1]), format_amount(self.amount(cell)), cell.deals
            others.setdefault(group, []).append(told)
        for group in self.groups() if self.group_by else ():
            of_rows = conversion.told(self.tally.rows.get(group, {}))
            yield group, of_rows + others.get(group, [])

    def has_measure(self, measure: str, *, by_group: bool) -> bool:
        """Whether a measure can be told: calls are of people, and cannot be grouped by all.

        Args:
            measure: one of `MEASURES`.
            by_group: of a group, not of all together.
        """
        return not by_group or measure in DEAL_MEASURES or CALL_DIMENSIONS.issuperset(self.group_by)

    def as_dict(self) -> dict[str, Any]:
        """The answer as JSON: decimal strings, every category of every measure."""
        totals = self.tally.totals()
        nothing = {measure: self._cell_as_dict(Cell(), measure) for measure in MEASURES}
        return {
            "basis": self.basis.as_dict(),
            "period": {
                "name": self.period.name,
                "first_day": self.period.first_day.isoformat(),
                "last_day": self.period.last_day.isoformat(),
            },
            "currency": self.settings.reporting_currency,
            "organisation": str(self.organisation),
            "measures": self._measures(totals, nothing, by_group=False),
            "groups": [
                {
                    "key": dict(zip(self.group_by, group, strict=True)),
                    "measures": self._measures(cells, nothing, by_group=True),
                }
                for group, cells in self.by_group().items()
            ],
            "without_amount": sorted(self.tally.without_amount),
            "without_close_date": sorted(self.tally.without_close_date),
            "unconverted": self.unconverted(),
        }

    def _measures(
        self, cells: Mapping[CellPlace, Cell], nothing: Mapping[str, Any], *, by_group: bool
    ) -> dict[str, Any]:
        return {
            measure: {
                category: nothing[measure]
                if (cell := cells.get((measure, category))) is None
                else self._cell_as_dict(cell, measure)
                for category in CATEGORIES
            }
            if self.has_measure(measure, by_group=by_group)
            else None
            for measure in MEASURES
        }

    def _cell_as_dict(self, cell: Cell, measure: str) -> dict[str, Any]:
        return {
            "amount": format_amount(self.amount(cell)),
            "deals": cell.deals if measure in DEAL_MEASURES else None,
            "by_currency": dict(self.by_currency(cell)),
        }

    @staticmethod
    def by_currency(cell: Cell) -> list[tuple[str, str]]:
        """The sums of a cell in the deals' own currencies: (currency, amount), in their order."""
        return [
            (currency, format_amount(round_to_minor_unit(amount, currency)))
            for currency, amount in sorted(cell.amounts.items())
        ]

    def unconverted(self) -> list[dict[str, str]]:
        """What is missing from the reporting currency's sums for want of a rate."""
        to = self.settings.reporting_currency
        without_rate = {
            each for each in self.tally.currencies() if to is None or self._rate(each) is None
        }
        if not without_rate:
            return []
        missing = [
            {
                "measure": measure,
                "category": category,
                "currency": currency,
                "amount": format_amount(round_to_minor_unit(amount, currency)),
            }
            for (measure, category), cell in self.tally.totals().items()
            for currency, amount in cell.amounts.items()
            if amount and currency in without_rate
        ]
        return sorted(missing, key=lambda each: tuple(each.values()))
