"""The buyer's reasons, wherever they are told: analysts read none of them."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.e2e.sales_force import House, attested

TOLD = [
    ("buyer-advanced", "2025-02-01", {"gate": "problem"}),
    ("buyer-regressed", "2025-02-02", {"gate": "problem"}),
    ("buyer-looped", "2025-02-03", {"from_gate": "problem", "to_gate": "problem"}),
    ("stakeholder-left", "2025-02-04", {"stakeholder": "eve"}),
    ("deal-closed", "2025-02-05", {"outcome": "lost"}),
    ("deal-reopened", "2025-02-06", {}),
]
ASKED = """{ snapshot(asOf: "2025-03-31") { deal(id: "of-ann") {
    timeline { nodes { payload event { summary } } } moves { summary } } } }"""


@pytest.fixture(scope="module")
def told(house: House) -> House:
    """The sales force, and a buyer who says why."""
    drafts = []
    for kind, day, facts in TOLD:
        field = "buyer_reason" if kind == "deal-closed" else "reason"
        said = {**facts, field: f"their words on {kind}"}
        drafts.append(attested("deal:of-ann", kind, day, **said))
    house.ledger.import_events(drafts, strict=True)
    return house


@pytest.mark.parametrize("who", ["una", "otto", "ann"])
def test_reasons_of_the_buyer_are_withheld_from_analysts_alone(told: House, who: str) -> None:
    answer: Any = orjson.dumps(told.as_(who).ask(ASKED)).decode()
    for kind, _day, _facts in TOLD:
        assert (f"their words on {kind}" in answer) is (who != "una"), kind
    assert ("(withheld)" in answer) is (who == "una")
