"""Where the product and the oracle say different things."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .oracle import Answer, Basis, Oracle, Quarter
from .product import Imported

SHOWN = 12


def differences(
    said: Imported,
    oracle: Oracle,
    basis: Basis,
    quarters: Iterable[Quarter],
    *,
    by_owner: bool = False,
) -> list[str]:
    """What differs between two opinions of a book, in words; nothing where they agree.

    Args:
        said: the product's opinion.
        oracle: the other.
        basis: as of when.
        quarters: the forecasts to compare.
        by_owner: compare them owner by owner as well.
    """
    found: list[str] = []
    for quarter in quarters:
        found += [
            f"{quarter.name} {difference}"
            for difference in _answers(
                said.answer(basis, quarter, by_owner=by_owner),
                oracle.answer(basis, quarter, by_owner=by_owner),
            )
        ]
    return found


def deal_differences(said: Imported, oracle: Oracle, basis: Basis) -> list[str]:
    """The deals that differ, field by field."""
    return _mappings("deal", said.deals(basis), oracle.deals(basis))


def _answers(product: Answer, oracle: Answer) -> list[str]:
    found: list[str] = []
    if product.in_book != oracle.in_book:
        found.append(f"deals in the book: product {product.in_book}, oracle {oracle.in_book}")
    found += _mappings("sum", product.sums, oracle.sums)
    found += _lists("without_amount", product.without_amount, oracle.without_amount)
    found += _lists("without_close_date", product.without_close_date, oracle.without_close_date)
    return found + _mappings("owner", product.by_owner, oracle.by_owner)


def _lists(what: str, product: list[str], oracle: list[str]) -> list[str]:
    if product == oracle:
        return []
    only_product = sorted(set(product) - set(oracle))[:SHOWN]
    only_oracle = sorted(set(oracle) - set(product))[:SHOWN]
    return [f"{what}: product {len(product)}, oracle {len(oracle)}; {only_product} / {only_oracle}"]


def _mappings(what: str, product: dict[Any, Any], oracle: dict[Any, Any]) -> list[str]:
    keys = [key for key in {**product, **oracle} if product.get(key) != oracle.get(key)]
    found = [
        f"{what} {key}: product {product.get(key)}, oracle {oracle.get(key)}"
        for key in keys[:SHOWN]
    ]
    return found + ([f"... and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else [])
