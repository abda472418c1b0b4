"""The won deal that is most like another one, to hold the two side by side.

Law: of the deals won at the basis, those are looked at that were judged by the same playbook, whose
amount lies in the same band, and that reached every gate before the decision that the other one
reached. Among them the most similar is the one that reached the fewest gates besides; of several,
the one whose id comes first. A deal is never compared with itself.

A band is half a decade of the amount in the reporting currency, at the rates of the basis: band k
holds amounts from 10^(k/2) up to, not including, 10^((k+1)/2). Which band an amount lies in is
exact. A deal whose amount is none, zero, or without a rate lies in no band, and is like no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Any

from ledger.domain.events import EvidenceRecorded, Outcome
from ledger.domain.history import effective
from ledger.domain.money import conversion_rate, format_amount, round_to_minor_unit
from projections.fold.settings import LedgerSettings
from projections.fold.statistics import days, duration
from projections.fold.stays import Way, way
from projections.qualified import BookDeal

_DIGITS = 120
"""Enough for the square of any amount at any rate."""


def band_of(deal: BookDeal, settings: LedgerSettings) -> int | None:
    """The half-decade of a deal's amount; None where it lies in no band.

    Args:
        deal: the deal at the basis.
        settings: reporting currency and rates at the basis.
    """
    amount, currency = deal.claimed.amount, settings.reporting_currency
    if amount is None or currency is None or amount.amount <= 0:
        return None
    rate = conversion_rate(amount.currency, currency, settings.rates)
    return None if rate is None else half_decade(amount.amount, rate)


def half_decade(amount: Decimal, rate: Decimal = Decimal(1)) -> int:
    """The k with 10^(k/2) <= amount * rate < 10^((k+1)/2).

    Args:
        amount: above zero.
        rate: above zero.
    """
    with localcontext() as exact:
        exact.prec = _DIGITS
        converted = amount * rate
        return (converted * converted).adjusted()


def band_as_dict(band: int | None, settings: LedgerSettings) -> dict[str, Any] | None:
    """A band with its ends, rounded to the reporting currency's minor unit."""
    currency = settings.reporting_currency
    if band is None or currency is None:
        return None
    ends = (round_to_minor_unit((Decimal(10) ** k).sqrt(), currency) for k in (band, band + 1))
    low, high = map(format_amount, ends)
    return {"half_decade": band, "from": low, "below": high, "currency": currency}


def most_similar_won(
    deal: BookDeal, deals: Iterable[BookDeal], settings: LedgerSettings
) -> BookDeal | None:
    """The won deal that is most like another one; None where none is like it.

    Args:
        deal: the deal to compare with.
        deals: the deals of the book at the same basis.
        settings: reporting currency and rates at the basis.
    """
    band = band_of(deal, settings)
    reached = _reached_before_decision(deal)
    if band is None or not reached:
        return None
    found: list[tuple[int, str, BookDeal]] = []
    for other in deals:
        if other.claimed.outcome != Outcome.WON or other.deal_id == deal.deal_id:
            continue
        if band_of(other, settings) != band or _playbook(other) != _playbook(deal):
            continue
        theirs = _reached_before_decision(other)
        if theirs >= reached:
            found.append((len(theirs - reached), other.deal_id, other))
    return min(found, key=lambda each: each[:2])[2] if found else None


def _playbook(deal: BookDeal) -> str | None:
    rulebook = deal.qualification.rulebook
    return None if rulebook is None else rulebook.playbook.key


def _reached_before_decision(deal: BookDeal) -> frozenset[str]:
    """The gates before the decision that a deal reached, by key: versions may differ."""
    rulebook = deal.qualification.rulebook
    if rulebook is None:
        return frozenset()
    reached = way(deal.qualification).reached
    return frozenset(rulebook.gates[gate].key for gate in reached if gate < rulebook.decision)


def compared_as_dict(deal: BookDeal, other: BookDeal, settings: LedgerSettings) -> dict[str, Any]:
    """A deal and the won deal most like it, side by side.

    Returns:
        JSON: the won deal's `deal`, `name`, `amount`, `band`, and for `this` and `that` each the
        pieces of `evidence` recorded up to the decision, `days` from opening to decision; `gates[]`
        with the days that each stood there up to the decision.
    """
    sides = {"this": deal, "that": other}
    ways = {side: way(each.qualification) for side, each in sides.items()}
    amount = other.claimed.amount
    return {
        "deal": other.deal_id,
        "name": other.claimed.name,
        "amount": None if amount is None else format_amount(amount.amount),
        "currency": None if amount is None else amount.currency,
        "band": band_as_dict(band_of(other, settings), settings),
        **{
            side: {"evidence": evidence_count(each), "days": _days_open(each)}
            for side, each in sides.items()
        },
        "gates": [
            {
                "gate": gate.key,
                **{side: _days_at(gate.key, sides[side], ways[side]) for side in sides},
            }
            for gate in _gates_before_decision(deal)
        ],
    }  # fmt: skip


def _gates_before_decision(deal: BookDeal) -> tuple[Any, ...]:
    rulebook = deal.qualification.rulebook
    return () if rulebook is None else rulebook.gates[: rulebook.decision]


def _days_at(gate: str, deal: BookDeal, went: Way) -> float | None:
    """How long a deal stood at a gate; None where its version lacks it, or it never reached it."""
    rulebook = deal.qualification.rulebook
    index = None if rulebook is None else rulebook.gate_index.get(gate)
    if index is None or index not in went.reached:
        return None
    length = went.lengths.get(index)
    return 0.0 if length is None else days(length)


def _days_open(deal: BookDeal) -> float:
    """From the opening to the decision, or to `valid_at`."""
    claimed = deal.claimed
    end = claimed.value("closed_at") or deal.judge.valid_at
    return days(duration(claimed.value("opened"), end))


def evidence_count(deal: BookDeal) -> int:
    """How many pieces of evidence the deal's own events hold, of what happened by the decision."""
    until = deal.claimed.value("closed_at") or deal.judge.valid_at
    told = effective(deal.events, until)
    return sum(event["type"] == EvidenceRecorded.type for event in told)
