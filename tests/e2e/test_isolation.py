"""Fifty clients page, aggregate and export while history comes in and rebuilds run.

`scripts/isolate` does the same for as long as it is asked to.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from ledger.domain.basis import Basis
from ledger.domain.times import parse_instant
from ledger.store.embedded import EmbeddedServer
from scripts.isolating.asking import EXPORTED, PAGED, Told
from scripts.isolating.rounds import Differs, Rounds, check
from scripts.isolating.truth import Asked, Truth

SECONDS = 6
THEN = Basis(parse_instant("2026-03-31T00:00:00Z"), parse_instant("2026-03-31T00:00:00Z"), 9)


def test_every_answer_is_the_fold_at_its_stated_basis(
    server: EmbeddedServer, tmp_path: Path
) -> None:
    seed = random.randrange(2**31)
    print(f"seed {seed}")
    rounds = Rounds(server, tmp_path, seed)
    rounds.run(SECONDS)
    assert rounds.counts["answers"] >= 50
    assert rounds.counts["pages"] > rounds.counts["answers"]
    assert rounds.counts["bases"] > 10, "the ledger stood still"
    assert rounds.counts["rebuilds"] >= 1
    assert all(rounds.counts[each.table] for each in (*PAGED, *EXPORTED))


class _Folded(Truth):
    """A truth that is known beforehand."""

    def __init__(self) -> None:
        pass

    def rows(self, asked: Asked, basis: Basis) -> list[list[object]]:  # noqa: ARG002
        return [["D1", "100.00"], ["D2", None]]

    def sums(self, *_: object) -> dict[object, tuple[int, str]]:
        return {"ann": (2, "100")}


@pytest.mark.parametrize(
    "rows",
    [
        [["D1", "100.00"]],
        [["D1", "100.00"], ["D2", None], ["D2", None]],
        [["D2", None], ["D1", "100.00"]],
        [["D1", "100.0"], ["D2", None]],
    ],
    ids=["one is missing", "one comes twice", "another order", "other digits"],
)
def test_an_answer_that_differs_is_found(rows: list[list[object]]) -> None:
    asked = Asked("deals", None, ("deal", "amount_exact"))
    check(_Folded(), Told(asked, THEN, [["D1", "100.00"], ["D2", None]]))
    with pytest.raises(Differs):
        check(_Folded(), Told(asked, THEN, rows))


def test_a_sum_that_differs_is_found() -> None:
    asked = Asked("deals", None, ())
    check(_Folded(), Told(asked, THEN, None, "owner", {"ann": (2, "100")}))
    with pytest.raises(Differs):
        check(_Folded(), Told(asked, THEN, None, "owner", {"ann": (2, "100.01")}))
