"""Calls and adjustments of a period at a basis: gut numbers, recorded as what they are.

Law: a person's last call for a category is their call. Of each adjuster the last adjustment of it
that has started and not expired at `valid_at` is in force. Adjustments apply in the order of the
chain of command above the person: the nearest superior first, adjusters outside the chain after
it in the order in which theirs took effect. A haircut cuts what the step before left, an override
replaces it; what the last step leaves is adjusted, and without a step it is what was called. A
haircut of a call that was never made is nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

from ledger.domain.events import Event, cause_of
from ledger.domain.history import effective
from ledger.domain.money import Money

Superiors: TypeAlias = Callable[[str], Sequence[str]]
"""Person -> who stands above them, the nearest first."""


class Step(NamedTuple):
    """One adjustment in force: a step of the ladder from a call to the adjusted number.

    Args:
        adjuster: who made it.
        level: 1 for the person's manager, 2 for theirs, and so on; None outside the chain.
        before: what the step before left; None where there is no number yet.
        after: what this one leaves.
        haircut_percent: the cut; None for an override.
        reason: as given.
        expires_at: the instant from which it holds no more.
        cause: the position of its event.
    """

    adjuster: str
    level: int | None
    before: Money | None
    after: Money | None
    haircut_percent: int | None
    reason: str
    expires_at: str
    cause: int


class Call(NamedTuple):
    """One person's number for one category, as called and as adjusted, with their causes."""

    person: str
    category: str
    called: Money | None
    adjusted: Money | None
    called_by: int | None
    adjusted_by: int | None
    steps: tuple[Step, ...] = ()


def nobody_above(person: str) -> tuple[str, ...]:  # noqa: ARG001 - a chart in which nobody reports
    """A chart without lines: adjustments apply in the order in which they took effect."""
    return ()


def calls_at(
    events: Iterable[Event], valid_at: str, superiors: Superiors = nobody_above
) -> list[Call]:
    """Fold a period's stream.

    Args:
        events: its visible events.
        valid_at: valid time, in the one spelling.
        superiors: the chain of command above a person, at the basis.

    Returns:
        One entry a person and category, in that order.
    """
    called: dict[tuple[str, str], Event] = {}
    adjusted: dict[tuple[str, str], dict[str, Event]] = {}
    for event in effective(events, valid_at):
        payload = event["payload"]
        if event["type"] == "forecast-called":
            called[payload["person"], payload["category"]] = event
        elif event["type"] == "forecast-adjusted" and payload["expires_at"] > valid_at:
            by_adjuster = adjusted.setdefault((payload["person"], payload["category"]), {})
            by_adjuster.pop(payload["adjuster"], None)  # the last one, in the order it took effect
            by_adjuster[payload["adjuster"]] = event
    return [
        _call(key, called.get(key), adjusted.get(key, {}), superiors)
        for key in sorted({*called, *adjusted})
    ]


def _call(
    key: tuple[str, str], call: Event | None, in_force: Mapping[str, Event], superiors: Superiors
) -> Call:
    called = None if call is None else _money(call["payload"]["amount"])
    person, _category = key
    above = {superior: level for level, superior in enumerate(superiors(person), 1)}
    adjusters = sorted(in_force, key=lambda adjuster: above.get(adjuster, len(above) + 1))
    steps: list[Step] = []
    adjusted = called
    for adjuster in adjusters:
        steps.append(_step(in_force[adjuster], above.get(adjuster), adjusted))
        adjusted = steps[-1].after
    return Call(
        *key,
        called,
        adjusted,
        None if call is None else cause_of(call),
        steps[-1].cause if steps else None,
        tuple(steps),
    )


def _step(adjustment: Event, level: int | None, before: Money | None) -> Step:
    payload = adjustment["payload"]
    percent: int | None = payload.get("haircut_percent")
    after = before
    if percent is None:
        after = _money(payload["override"])
    elif before is not None:
        after = before._replace(amount=before.amount * Decimal(100 - percent) / 100)
    return Step(
        adjuster=payload["adjuster"],
        level=level,
        before=before,
        after=after,
        haircut_percent=percent,
        reason=payload["reason"],
        expires_at=payload["expires_at"],
        cause=cause_of(adjustment),
    )


def _money(value: dict[str, Any]) -> Money:
    return Money(Decimal(value["amount"]), value["currency"])
