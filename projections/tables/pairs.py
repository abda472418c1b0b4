"""The states of deals at two points of the two axes, side by side, read from the tables.

Law: a pair says what folding the log at either point would say, of every deal that the two points
do not agree on and that counts in one of the months at either of them; of others a pair may be
given, and says the truth. Where both points lie on one instant's diagonal, only what was restated
is read; else all that counts in the months.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any, LiteralString, NamedTuple

from ledger.domain.money import format_amount
from projections.fold.states import DealState
from projections.tables import stabbing
from projections.tables.serving import Tables
from projections.tables.stabbing import Point

_DEALS: LiteralString = "SELECT s.deal FROM {months}".replace("{months}", stabbing.MONTHS)
_STATES: LiteralString = """
    SELECT deal,
        valid_from <= %(valid_0)s AND %(valid_0)s < valid_to
            AND known_from <= %(known_0)s AND %(known_0)s < known_to,
        valid_from <= %(valid_1)s AND %(valid_1)s < valid_to
            AND known_from <= %(known_1)s AND %(known_1)s < known_to,
        owner, category, outcome, amount, currency, counts_on, evidenced, gate, weight_percent
    FROM {side}.deal_state
    WHERE deal = ANY(%(deals)s::text[]) AND (
        (valid_from <= %(valid_0)s AND %(valid_0)s < valid_to
            AND known_from <= %(known_0)s AND %(known_0)s < known_to)
        OR (valid_from <= %(valid_1)s AND %(valid_1)s < valid_to
            AND known_from <= %(known_1)s AND %(known_1)s < known_to))
"""


class Pair(NamedTuple):
    """A deal at two points; None where it is not in the book. Name, stage, account and close date
    are not told."""

    deal_id: str
    first: DealState | None
    second: DealState | None


def on_diagonal(point: Point) -> Point:
    """The point as known then that belongs to a point: both axes at the earlier of its times."""
    return point._replace(valid_at=point.diagonal, known_at=point.diagonal)


def pairs(tables: Tables, first: Point, second: Point) -> Iterator[Pair]:
    """The states of deals at two points, in the order of their ids.

    Args:
        tables: they may answer at both points.
        first: a point, and the months.
        second: another, and the same months.
    """
    alike = first.diagonal == second.diagonal
    deals = _restated if alike else _counting
    yield from _states(tables, {*deals(tables, first), *deals(tables, second)}, first, second)


def all_pairs(tables: Tables, first: Point, second: Point) -> Iterator[Pair]:
    """The same for all deals that count in the months at either point."""
    deals = {*_counting(tables, first), *_counting(tables, second)}
    yield from _states(tables, deals, first, second)


def _restated(tables: Tables, point: Point) -> Iterable[str]:
    """The deals whose state at a point is not the one as known then."""
    if point.added is None:
        return ()
    return _deals(tables, point, stabbing.DROPPED, point.added)


def _counting(tables: Tables, point: Point) -> Iterable[str]:
    added = () if point.added is None else (point.added,)
    return _deals(tables, point, stabbing.AT_ONCE, *added)


def _deals(tables: Tables, point: Point, *stabs: LiteralString) -> Iterator[str]:
    for stab in stabs:
        for (deal,) in tables.rows(_DEALS + stab, point.parameters()):
            yield deal


def _states(tables: Tables, deals: set[str], first: Point, second: Point) -> Iterator[Pair]:
    found: dict[str, list[DealState | None]] = {}
    asked = {
        "deals": sorted(deals),
        "valid_0": first.valid_at,
        "known_0": first.known_at,
        "valid_1": second.valid_at,
        "known_1": second.known_at,
    }
    rows = tables.rows(_STATES, asked) if deals else []
    for deal, at_first, at_second, *facts in rows:
        sides = found.setdefault(deal, [None, None])
        state = _state(*facts)
        if at_first:
            sides[0] = state
        if at_second:
            sides[1] = state
    for deal in sorted(found, key=str.encode):
        yield Pair(deal, *found[deal])


def _state(
    owner: str | None, category: str, outcome: str, amount: Decimal | None, *facts: Any
) -> DealState:
    currency, counts_on, evidenced, gate, weight_percent = facts
    spelt = None if amount is None else format_amount(amount)
    day: str | None = None if counts_on is None else counts_on.isoformat()
    return DealState(
        None, None, owner, None, category, outcome, spelt, currency, None, day, None,
        evidenced, gate, weight_percent,
    )  # fmt: skip
