"""The forecast as the schema shows it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any, NamedTuple, TypeAlias

import orjson
import strawberry
from starlette.concurrency import run_in_threadpool

from api.graphql.compiled import Unsure
from api.graphql.row_answers import Shape
from api.graphql.scalars import ExactDecimal
from api.graphql.types import BasisType, Money
from ledger.domain.money import format_amount
from projections import forecast
from projections.fold import people
from projections.tally import Cell, CellPlace

CATEGORIES = "omitted, pipeline, best_case, commit or closed"
MEASURES = "claimed, evidenced, weighted, called, adjusted or closed"


@strawberry.enum(description="Whose manager and team a roll-up follows.")
class Organisation(Enum):
    AS_WAS = strawberry.enum_value("as_was", description="Who they reported to at the basis.")
    AS_IS = strawberry.enum_value("as_is", description="Who they report to at its horizon.")

    @property
    def asked(self) -> people.Organisation:
        """The same as the projections name it."""
        return people.Organisation(str(self.value))


@strawberry.type(description="A measure's sum in one category.")
class ForecastCell:
    measure: str = strawberry.field(
        description=f"{MEASURES}. Claimed is what the CRM says, evidenced what the evidence "
        "supports; weighted is that times the weight of the gate; called is what the reps "
        "submitted, adjusted what their superiors made of it; closed is won."
    )
    category: str = strawberry.field(description=f"{CATEGORIES}.")
    amount: ExactDecimal = strawberry.field(description="In the reporting currency.")
    deals: int | None = strawberry.field(description="How many deals; null for calls.")
    by_currency: list[Money] = strawberry.field(
        description="The same in the deals' own currencies."
    )


@strawberry.type(description="A dimension's value in a group.")
class GroupKey:
    dimension: str = strawberry.field(description="Such as owner.")
    value: str | None = strawberry.field(description="Null for deals that have none.")


@strawberry.type(description="The measures of one group.")
class ForecastGroup:
    key: list[GroupKey] = strawberry.field(
        description="Its values, in the order in which the dimensions were asked for."
    )
    cells: list[ForecastCell] = strawberry.field(
        description="Every measure by category; called and adjusted only where calls can be "
        "grouped so."
    )


@strawberry.type(description="What is missing from the sums for want of a rate.")
class Unconverted:
    measure: str = strawberry.field(description=f"{MEASURES}.")
    category: str = strawberry.field(description=f"{CATEGORIES}.")
    amount: ExactDecimal = strawberry.field(description="In its own currency.")
    currency: str = strawberry.field(description="The currency that has no rate.")


class Wanted(NamedTuple):
    """The parts of a forecast that take time to work out.

    Args:
        cells: those over all groups.
        by_currency: each sum in the deals' own currencies too.
    """

    cells: bool
    by_currency: bool


EVERYTHING_TOLD = Wanted(cells=True, by_currency=True)


class _Cells:
    """Makes the cells of a forecast; those in which nothing is are the same for all groups.

    Args:
        answer: the forecast.
        wanted: whether each sum is told in the deals' own currencies too.
    """

    def __init__(self, answer: forecast.Forecast, wanted: Wanted) -> None:
        self.answer = answer
        self._by_currency = wanted.by_currency

    def all_together(self) -> list[ForecastCell]:
        """The cells over all groups."""
        empty, index = self._empty(by_group=False)
        return self._filled(empty, index, self.answer.tally.totals())

    def groups(self) -> list[ForecastGroup]:
        """The groups in their order, each with its cells."""
        empty, index = self._empty(by_group=True)
        return [
            ForecastGroup(
                key=[
                    GroupKey(dimension=name, value=value)
                    for name, value in zip(self.answer.group_by, group, strict=True)
                ],
                cells=self._filled(empty, index, cells),
            )
            for group, cells in self.answer.by_group().items()
        ]

    def spelt_groups(self, make: Callable[[Sequence[Any]], list[Any]]) -> bytes:
        """The groups as JSON: one of them is made into what is told, and the others are told alike.

        Args:
            make: makes groups into what is told of them.

        Raises:
            Unsure: something is told that differs from group to group, and cannot be cut out.
        """
        if self._by_currency:
            raise Unsure("byCurrency")
        empty, index = self._empty(by_group=True)
        sample = orjson.dumps(make([_sample(self.answer.group_by, empty)])[0]).decode()
        parts, values, amounts, counts = _cut(sample)
        for number, cell in enumerate(empty):
            _fill(parts, amounts[number], cell.amount)
            _fill(parts, counts[number], str(cell.deals))
        where = {place: (amounts[number], counts[number]) for place, number in index.items()}
        told = []
        for group, cells in self.answer.told_by_group():
            spelt = parts.copy()
            for number, value in enumerate(group):
                _fill(spelt, values[number], orjson.dumps(value).decode())
            for place, amount, deals in cells:
                of_amount, of_deals = where[place]
                for at in of_amount:
                    spelt[at] = amount
                for at in of_deals:
                    spelt[at] = str(deals)
            told.append("".join(spelt))
        return f"[{','.join(told)}]".encode()

    def _empty(self, *, by_group: bool) -> tuple[list[ForecastCell], dict[CellPlace, int]]:
        """Every cell, with nothing in it, and where each stands."""
        places = [
            (measure, category)
            for measure in forecast.MEASURES
            if self.answer.has_measure(measure, by_group=by_group)
            for category in forecast.CATEGORIES
        ]
        nothing = Cell()
        empty = [self._cell(place, nothing) for place in places]
        return empty, {place: index for index, place in enumerate(places)}

    def _filled(
        self,
        empty: list[ForecastCell],
        index: Mapping[CellPlace, int],
        cells: Mapping[CellPlace, Cell],
    ) -> list[ForecastCell]:
        filled = empty.copy()
        for place, cell in cells.items():
            filled[index[place]] = self._cell(place, cell)
        return filled

    def _cell(self, place: CellPlace, cell: Cell) -> ForecastCell:
        measure, category = place
        by_currency = self.answer.by_currency(cell) if self._by_currency else []
        return ForecastCell(
            measure=measure,
            category=category,
            amount=ExactDecimal(format_amount(self.answer.amount(cell))),
            deals=cell.deals if measure in forecast.DEAL_MEASURES else None,
            by_currency=[
                Money(amount=ExactDecimal(amount), currency=currency)
                for currency, amount in by_currency
            ],
        )


GROUPS_AT_ONCE = 250
"""So many are told in a few milliseconds: it takes longer to hand them over to another thread, and
to wait for it, than others would wait."""

_VALUE, _AMOUNT, _DEALS = "\ue000", "\ue001", 1_000_000_000
"""What stands in a sample, before a number, where something is cut out: of no other use there."""

_HOLE = re.compile(r'"\ue000([0-9]+)"|\ue001([0-9]+)(?=")|(?<=:)1([0-9]{9})(?=[,}])')


def _sample(group_by: Sequence[str], empty: Sequence[ForecastCell]) -> ForecastGroup:
    """A group in which everything that differs from one to the next is to be cut out."""
    return ForecastGroup(
        key=[
            GroupKey(dimension=name, value=f"{_VALUE}{number}")
            for number, name in enumerate(group_by)
        ],
        cells=[
            ForecastCell(
                measure=each.measure,
                category=each.category,
                amount=ExactDecimal(f"{_AMOUNT}{number}"),
                deals=None if each.deals is None else _DEALS + number,
                by_currency=[],
            )
            for number, each in enumerate(empty)
        ],
    )


_Places: TypeAlias = defaultdict[int, list[int]]
"""By number, in which parts it is told; nowhere where it is not asked for."""


def _cut(sample: str) -> tuple[list[str], _Places, _Places, _Places]:
    """The parts of a text, and which of them tell values, amounts and numbers of deals."""
    parts: list[str] = []
    places: tuple[_Places, _Places, _Places] = (
        defaultdict(list),
        defaultdict(list),
        defaultdict(list),
    )
    end = 0
    for hole in _HOLE.finditer(sample):
        kind = hole.lastindex or 0
        parts += sample[end : hole.start()], ""
        places[kind - 1][int(hole[kind])].append(len(parts) - 1)
        end = hole.end()
    return [*parts, sample[end:]], *places


def _fill(parts: list[str], places: Sequence[int], text: str) -> None:
    for at in places:
        parts[at] = text


@strawberry.type(description="The forecast of a period at the snapshot's basis.")
class Forecast:
    basis: BasisType = strawberry.field(description="The basis used.")
    period: str = strawberry.field(description="Such as 2026-Q1.")
    first_day: str = strawberry.field(description="A calendar date.")
    last_day: str = strawberry.field(description="A calendar date.")
    currency: str | None = strawberry.field(
        description="The reporting currency; null while there is none."
    )
    organisation: str = strawberry.field(
        description="as_was or as_is: by whose manager and team it is grouped."
    )
    cells: list[ForecastCell] = strawberry.field(description="Every measure by category.")
    without_amount: list[strawberry.ID] = strawberry.field(
        description="Deals that count with no amount."
    )
    without_close_date: list[strawberry.ID] = strawberry.field(
        description="Deals that count in no period for want of a close date."
    )
    unconverted: list[Unconverted] = strawberry.field(
        description="Amounts that are in no sum of the reporting currency for want of a rate."
    )
    made_from: str = strawberry.field(
        description="What it was made from, tables or log; the answer is the same."
    )

    made: strawberry.Private[_Cells]

    @strawberry.field(description="The same by group; empty where no groups were asked for.")
    async def groups(self) -> list[ForecastGroup]:
        return await run_in_threadpool(self.made.groups)

    async def spelt(self, shape: Shape) -> orjson.Fragment:
        """The groups as JSON.

        Args:
            shape: how they are told.

        Raises:
            Exception: more is told than can be spelt.
        """
        if len(self.made.answer.tally.groups()) <= GROUPS_AT_ONCE:
            return orjson.Fragment(self.made.spelt_groups(shape.make))
        return orjson.Fragment(await run_in_threadpool(self.made.spelt_groups, shape.make))

    @classmethod
    def of(
        cls, answer: forecast.Forecast, made_from: str, wanted: Wanted = EVERYTHING_TOLD
    ) -> Forecast:
        """What is asked of a forecast.

        Args:
            answer: the forecast.
            made_from: tables or log.
            wanted: the parts that are worked out; the others are empty.
        """
        cells = _Cells(answer, wanted)
        return cls(
            basis=BasisType.of(answer.basis.as_dict()),
            period=answer.period.name,
            first_day=answer.period.first_day.isoformat(),
            last_day=answer.period.last_day.isoformat(),
            currency=answer.settings.reporting_currency,
            organisation=str(answer.organisation),
            cells=cells.all_together() if wanted.cells else [],
            without_amount=sorted(map(strawberry.ID, answer.tally.without_amount)),
            without_close_date=sorted(map(strawberry.ID, answer.tally.without_close_date)),
            unconverted=[
                Unconverted(
                    measure=each["measure"],
                    category=each["category"],
                    amount=ExactDecimal(each["amount"]),
                    currency=each["currency"],
                )
                for each in answer.unconverted()
            ],
            made_from=made_from,
            made=cells,
        )
