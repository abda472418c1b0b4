"""Flows: where the deals of a period were at one basis and are at another, for a Sankey.

Law: every deal that counts in the period at either basis is in exactly one link, from where it was
to where it is; so the links out of a node add up to what stood there at the first basis, and the
links into one to what stands there at the second. Flows are net: what came and went in between is
told by the bridge. The amount from is at the rates of the first basis, the amount to at those of
the second; each is summed exactly and rounded once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from operator import itemgetter
from typing import Any

from ledger.domain.deal import OPEN
from ledger.domain.errors import InvalidInput
from ledger.domain.money import format_amount
from projections.bridge import converted_sum
from projections.fold.states import DealState
from projections.fold.steps import BridgeScope, Measure, Place, month_of, place_of
from projections.movements import Between, both_ends


class By(StrEnum):
    """What the nodes of open deals are."""

    CATEGORY = "category"
    GATE = "gate"


NOT_IN_BOOK = "not_in_book"
NO_GATE = "no_gate"
_ELSEWHERE = {
    Place.EARLIER: "earlier_period",
    Place.LATER: "later_period",
    Place.NEVER: "no_period",
}


@dataclass(slots=True)
class _Link:
    deals: int = 0
    before: dict[str, Decimal] = field(default_factory=dict)
    after: dict[str, Decimal] = field(default_factory=dict)


def flows(
    between: Between, measure: str = Measure.CLAIMED, by: str = By.CATEGORY
) -> dict[str, Any]:
    """From where to where the deals of a period went.

    Args:
        between: the two books, and the fiscal period.
        measure: claimed, evidenced or weighted: which category and amount a deal has.
        by: `category` or `gate` (where the deal really stands): the node of an open deal that
            counts in the period. One that ended is at its outcome, one that counts elsewhere at
            `later_period`, `earlier_period` or `no_period`; else it is `not_in_book`.

    Returns:
        JSON: `from`, `to`, `period`, `measure`, `by`, `currency`, and `links`: `source`, `target`,
        `deals`, `from_amount`, `to_amount`, in the order of their names.

    Raises:
        InvalidInput: `invalid-measure`, `invalid-flow`.
    """
    asked = _check(measure, by)
    scope = between.scope(asked)
    links: dict[tuple[str, str], _Link] = {}
    for first, second in both_ends(between):
        if not (_counts(first, scope) or _counts(second, scope)):
            continue
        link = links.setdefault((_node(first, scope, by), _node(second, scope, by)), _Link())
        link.deals += 1
        _add(link.before, first, asked)
        _add(link.after, second, asked)
    currency = between.reporting_currency
    opening, closing = between.opening.settings.rates, between.closing.settings.rates
    return {
        "from": between.opening.basis.as_dict(),
        "to": between.closing.basis.as_dict(),
        "period": between.period.name,
        "measure": str(asked),
        "by": by,
        "currency": currency,
        "links": [
            {
                "source": source,
                "target": target,
                "deals": link.deals,
                "from_amount": format_amount(converted_sum(link.before, currency, opening)),
                "to_amount": format_amount(converted_sum(link.after, currency, closing)),
            }
            for (source, target), link in sorted(links.items(), key=itemgetter(0))
        ],
    }


def _check(measure: str, by: str) -> Measure:
    if measure not in tuple(Measure) or measure == Measure.CLOSED:
        raise InvalidInput(
            "invalid-measure",
            f"there are no flows of {measure!r}",
            where="measure",
            hint="it is one of claimed, evidenced, weighted",
        )
    if by not in tuple(By):
        raise InvalidInput(
            "invalid-flow",
            f"deals do not flow between each {by!r}",
            where="by",
            hint="it is category or gate",
        )
    return Measure(measure)


def _counts(state: DealState | None, scope: BridgeScope) -> bool:
    return state is not None and place_of(month_of(state.counts_on), scope) is Place.IN


def _node(state: DealState | None, scope: BridgeScope, by: str) -> str:
    if state is None:
        return NOT_IN_BOOK
    place = place_of(month_of(state.counts_on), scope)
    if place is not Place.IN:
        return _ELSEWHERE[place]
    if state.outcome != OPEN:
        return state.outcome
    if by == By.GATE:
        return state.gate or NO_GATE
    return state.category if scope.measure is Measure.CLAIMED else state.evidenced


def _add(amounts: dict[str, Decimal], state: DealState | None, measure: Measure) -> None:
    if state is None or state.amount is None or state.currency is None:
        return
    amount = Decimal(state.amount)
    if measure is Measure.WEIGHTED:
        amount = amount * state.weight_percent / 100
    amounts[state.currency] = amounts.get(state.currency, Decimal(0)) + amount
