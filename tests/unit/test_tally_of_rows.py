"""A tally of rows of whole numbers: the cells it would have been, and amounts as they are told."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.money import Money
from projections.fold.accounts import Balance, Posting
from projections.fold.settings import LedgerSettings
from projections.forecast import DEAL_MEASURES, Forecast
from projections.tally import Cell, CellPlace, GroupKey, Tally
from tests.unit.domain.builders import basis_of
from tests.unit.fold.test_forecast_tally import CALENDAR, Q1

OWNERS = ("ann", "ben", None)
REPORTING = ("USD", "JPY", "KWD", None)
RATES = {
    ("EUR", "USD"): Decimal("1.115"),
    ("USD", "GBP"): Decimal("0.77"),
    ("JPY", "USD"): Decimal("0.0067"),
    ("USD", "JPY"): Decimal("1E+2"),
    ("EUR", "KWD"): Decimal("0.3"),
}
postings = st.lists(
    st.builds(
        Posting,
        owner=st.sampled_from(OWNERS),
        currency=st.sampled_from(("USD", "EUR", "GBP", "CHF", "JPY")),
        category=st.sampled_from(("commit", "pipeline", "closed")),
        evidenced=st.sampled_from(("best_case", "omitted", "closed")),
        weight_percent=st.sampled_from((0, 10, 55)),
        won=st.booleans(),
        amount=st.decimals(-(10**15), 10**15, places=6),
        deals=st.integers(1, 3),
    ),
    max_size=20,
)
calls = st.lists(
    st.tuples(
        st.sampled_from(OWNERS),
        st.sampled_from(("called", "adjusted")),
        st.builds(Money, st.decimals(0, 10**6, places=3), st.sampled_from(("USD", "CHF"))),
    ),
    max_size=4,
)


def tallies(posted: list[Posting]) -> tuple[Tally, Tally]:
    """The same in rows and in cells."""
    rows, cells = Tally(), Tally()
    balance = Balance()
    for posting in posted:
        balance.post(posting)
    for (owner, currency), row in balance.rows():
        rows.add_row((owner,), currency, row)
    for (owner, currency), accounts in balance.holders():
        assert currency is not None
        for (measure, category), amount, deals in accounts:
            if deals:
                cells.add(((owner,), measure, category), Money(amount, currency), deals)
    return rows, cells


def told(answer: Forecast) -> dict[GroupKey, dict[CellPlace, tuple[str, int]]]:
    return {
        group: {place: (amount, deals) for place, amount, deals in cells}
        for group, cells in answer.told_by_group()
    }


@given(postings, calls, st.sampled_from(REPORTING))
def test_rows_are_told_as_the_cells_they_stand_for(
    posted: list[Posting], called: list[tuple[str | None, str, Money]], reporting: str | None
) -> None:
    answers = []
    for tally in tallies(posted):
        of_calls = Tally()
        for person, measure, amount in called:
            of_calls.add(((person,), measure, "commit"), amount, deals=0)
        tally.merge(of_calls)
        settings = LedgerSettings(CALENDAR, reporting, RATES)
        answers.append(Forecast(basis_of("2026-03-31"), Q1, settings, ("owner",), tally))
    of_rows, of_cells = answers
    assert told(of_rows) == told(of_cells)
    assert of_rows.as_dict() == of_cells.as_dict()
    assert of_rows.tally.cells == of_cells.tally.cells
    assert of_rows.tally.currencies() == of_cells.tally.currencies()
    for group in [*of_rows.groups(), ("nobody",)]:
        for measure in DEAL_MEASURES:
            assert of_rows.cell(measure, "closed", group) == of_cells.cell(measure, "closed", group)


@given(postings, postings, st.booleans(), st.booleans())
def test_parts_in_rows_and_in_cells_merge_to_the_same_sums(
    first: list[Posting], second: list[Posting], first_in_rows: bool, second_in_rows: bool
) -> None:
    parts = [tallies(posted)[not in_rows] for posted, in_rows in
             ((first, first_in_rows), (second, second_in_rows))]  # fmt: skip
    expected: dict[tuple[GroupKey, str, str], Cell] = {}
    for posted in (first, second):
        for key, cell in tallies(posted)[1].cells.items():
            expected.setdefault(key, Cell()).merge(cell)
    merged = Tally()
    for part in parts:
        merged.merge(part)
    left = {key: cell for key, cell in merged.cells.items() if cell.deals}
    assert left == {key: cell for key, cell in expected.items() if cell.deals}
    assert not merged.rows or not {measure for _g, measure, _c in merged.other_cells}
