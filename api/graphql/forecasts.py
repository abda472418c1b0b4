"""The forecast as the schema shows it."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Any

import strawberry

from api.graphql.scalars import ExactDecimal
from api.graphql.types import BasisType, Money
from ledger.domain.basis import Basis
from projections.fold import people

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
    groups: list[ForecastGroup] = strawberry.field(
        description="The same by group; empty where no groups were asked for."
    )
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

    @classmethod
    def at(cls, basis: Basis, answer: dict[str, Any]) -> Forecast:
        groups = [
            ForecastGroup(
                key=[GroupKey(dimension=name, value=value) for name, value in group["key"].items()],
                cells=_cells(group["measures"]),
            )
            for group in answer["groups"]
        ]
        return cls(
            basis=BasisType.of(basis.as_dict()),
            period=answer["period"]["name"],
            first_day=answer["period"]["first_day"],
            last_day=answer["period"]["last_day"],
            currency=answer["currency"],
            organisation=answer["organisation"],
            cells=_cells(answer["measures"]),
            groups=groups,
            without_amount=answer["without_amount"],
            without_close_date=answer["without_close_date"],
            unconverted=[Unconverted(**each) for each in answer["unconverted"]],
            made_from=answer["made_from"],
        )


def _cells(measures: dict[str, Any]) -> list[ForecastCell]:
    return [
        _cell(measure, category, cell)
        for measure, categories in measures.items()
        for category, cell in (categories or {}).items()
    ]


def _cell(measure: str, category: str, cell: dict[str, Any]) -> ForecastCell:
    if not cell["by_currency"]:
        return _cell_of_nothing(measure, category, cell["amount"], cell["deals"])
    return ForecastCell(
        measure=measure,
        category=category,
        amount=ExactDecimal(cell["amount"]),
        deals=cell["deals"],
        by_currency=[
            Money(amount=ExactDecimal(amount), currency=currency)
            for currency, amount in cell["by_currency"].items()
        ],
    )


@lru_cache(maxsize=4_096)
def _cell_of_nothing(measure: str, category: str, amount: str, deals: int | None) -> ForecastCell:
    """One for all groups in which nothing is so; most cells of a large answer are."""
    return ForecastCell(
        measure=measure, category=category, amount=ExactDecimal(amount), deals=deals, by_currency=[]
    )
