"""The months that a stab looks through."""

from datetime import date

from projections.rows.served import _bounds
from projections.tables.stabbing import months_between


def test_months_are_listed_up_to_the_last_day_there_is() -> None:
    assert months_between(date(2026, 11, 1), date(2027, 1, 31)) == [
        date(2026, 11, 1), date(2026, 12, 1), date(2027, 1, 1),
    ]  # fmt: skip
    assert months_between(date(9999, 11, 1), date(9999, 12, 31)) == [
        date(9999, 11, 1), date(9999, 12, 1),
    ]  # fmt: skip


def test_days_near_the_end_of_time_bound_a_question_too() -> None:
    given = {"counts_from": "9990-01-01", "counts_until": "9999-12-31"}
    assert _bounds(None, given) == (date(9990, 1, 1), date(9999, 12, 31))  # type: ignore[arg-type]
