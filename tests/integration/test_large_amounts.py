"""The largest amounts that are accepted: sums of them are exact, from tables and from the fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import psycopg
import pytest

from ledger.domain.basis import Basis
from ledger.domain.money import AMOUNT_DECIMALS_MAX, AMOUNT_MAX
from ledger.store.ledger import Ledger
from projections.book import Book, MadeFrom, Origin
from projections.bridge import bridge
from projections.flows import By, flows
from projections.fold.steps import Measure
from projections.forecast import CATEGORIES, DEAL_MEASURES
from projections.movements import Between
from projections.opened import opened
from projections.reader import LogReader
from projections.rebuild import rebuild
from projections.rows.answering import Wishes, answer
from projections.rows.asking import question, rows
from projections.rows.catalogue import TABLES
from projections.series import Axis, Every, series
from tests.integration import bi_book

DEALS = 120
LAST_DIGIT = Decimal(1).scaleb(-AMOUNT_DECIMALS_MAX)
PERIOD = "2027"  # the fiscal year is named by its end
FIRST, SECOND = (datetime(2026, month, 28, tzinfo=UTC) for month in (2, 6))
Asked = Callable[[Between], Any]


def amount_of(number: int) -> Decimal:
    """The largest amounts: no two of them the same, all decimals taken."""
    return AMOUNT_MAX - (number + 1) * LAST_DIGIT if number % 3 else AMOUNT_MAX


@pytest.fixture
def book(ledger: Ledger) -> Iterator[Callable[[Basis, bool], Book]]:
    """Opens a book of large deals, by the tables or by the log alone."""
    bi_book.write(ledger, deals=0)
    for number in range(DEALS):
        stream, currency = f"deal:L{number:03d}", ("USD", "EUR", "GBP", "CHF")[number % 4]
        drafts = [
            bi_book.draft(stream, bi_book.said(
                "deal-opened", name="large", owner=f"rep{number % 3}", close_date="2026-09-15",
                amount={"amount": f"{amount_of(number):f}", "currency": currency}), 1),
            bi_book.draft(stream, bi_book.said(
                "category-claimed", category=("commit", "pipeline")[number % 2]), 2),
            bi_book.draft(stream, bi_book.said(
                "stakeholder-added", stakeholder="cho", name="Cho", role="buyer"), 3),
        ]  # fmt: skip
        drafts += [
            bi_book.draft(stream, bi_book.said(
                "evidence-recorded", criterion=criterion, stance="supports", source_kind="call",
                said_by="cho", quote="yes"), 10 + number % 90)
            for criterion in ("fit", "deadline", "price")[: number % 4]
        ]  # fmt: skip
        if number % 5 == 0:
            outcome = ("won", "lost")[number % 2]
            drafts.append(bi_book.draft(stream, bi_book.said("deal-closed", outcome=outcome), 80))
        if number % 7 == 0:  # one last digit less, or more
            revised = {"amount": f"{amount_of(number + 1):f}", "currency": currency}
            drafts.append(bi_book.draft(stream, bi_book.said("deal-revised", amount=revised), 95))
        ledger.import_events(drafts, strict=True)
    rebuild(ledger.url)
    with ExitStack() as stack:

        def opened_at(basis: Basis, by_tables: bool) -> Book:
            reader = stack.enter_context(LogReader.connect(ledger.url))
            return Book(Origin(reader, ledger.url, by_tables=by_tables), basis)

        yield opened_at


def basis(ledger: Ledger, at: datetime) -> Basis:
    return Basis(at, at, ledger.head().size)


def exact_sums(ledger: Ledger, at: datetime) -> dict[tuple[str, str, str], Fraction]:
    """By measure, category and currency what the states of deals add up to, one by one."""
    found: Counter[tuple[str, str, str]] = Counter()
    exact: dict[tuple[str, str, str], Fraction] = {}
    with psycopg.connect(ledger.url, autocommit=True) as connection:
        states = connection.execute(
            "SELECT category, evidenced, outcome, currency, amount, weight_percent"
            " FROM bi.deal_state(%s)", [at],
        ).fetchall()  # fmt: skip
    for category, evidenced, outcome, currency, amount, percent in states:
        whole = Fraction(amount)
        parts = [("claimed", category, whole), ("evidenced", evidenced, whole),
                 ("weighted", evidenced, whole * percent / 100)]  # fmt: skip
        parts += [("closed", "closed", whole)] if outcome == "won" else []
        for measure, in_category, part in parts:
            key = measure, in_category, currency
            exact[key] = exact.get(key, Fraction(0)) + part
            found[key] += 1
    assert len(states) == DEALS
    assert max(found.values()) > 10
    return exact


@pytest.mark.parametrize("by_tables", [True, False])
@pytest.mark.parametrize("group_by", [(), ("owner",), ("stage", "gate")])
def test_a_forecast_of_the_largest_amounts_is_exact(
    ledger: Ledger, book: Any, by_tables: bool, group_by: tuple[str, ...]
) -> None:
    asked = book(basis(ledger, SECOND), by_tables)
    forecast = asked.forecast(asked.period(PERIOD), group_by)
    assert asked.made_from is (MadeFrom.TABLES if by_tables else MadeFrom.LOG)
    found: dict[tuple[str, str, str], Fraction] = {}
    for (_group, measure, category), cell in forecast.tally.cells.items():
        for currency, amount in cell.amounts.items():
            key = measure, str(category), currency
            found[key] = found.get(key, Fraction(0)) + Fraction(amount)
    kept = {key: value for key, value in found.items() if key[0] in DEAL_MEASURES}
    assert kept == exact_sums(ledger, SECOND)
    assert set(CATEGORIES) >= {category for _measure, category, _currency in kept}


@pytest.mark.parametrize("by_tables", [True, False])
def test_the_largest_amounts_at_the_largest_rates_are_exact(
    ledger: Ledger, book: Any, by_tables: bool
) -> None:
    rates = {"EUR": "999999999.999999999999", "CHF": "1000000000000", "GBP": "1000000000"}
    ledger.import_events([
        bi_book.draft("settings:ledger", bi_book.said(
            "fx-rate-set", currency=one, to=to, rate=rate), 0.5)
        for one, to, rate in (("EUR", "USD", rates["EUR"]), ("GBP", "USD", rates["GBP"]),
                              ("USD", "CHF", "0.000000000001"))
    ], strict=True)  # fmt: skip
    rebuild(ledger.url)
    first, second = (book(basis(ledger, at), by_tables) for at in (FIRST, SECOND))
    exact: dict[tuple[str, str], Fraction] = {}
    for (measure, category, currency), whole in exact_sums(ledger, SECOND).items():
        rate = Fraction(rates.get(currency, 1))
        exact[measure, category] = exact.get((measure, category), Fraction(0)) + whole * rate
    told = second.forecast(second.period(PERIOD)).as_dict()["measures"]
    assert second.made_from is (MadeFrom.TABLES if by_tables else MadeFrom.LOG)
    for (measure, category), whole in exact.items():
        assert Fraction(told[measure][category]["amount"]) == Fraction(round(whole * 100), 100)
    assert max(exact.values()) > 10**28

    lines = bridge(Between(first, second, second.period(PERIOD)), "claimed").as_dict()
    open_now = sum(exact.get(("claimed", each), 0) for each in ("pipeline", "best_case", "commit"))
    assert Fraction(lines["closing"]["amount"]) == Fraction(round(open_now * 100), 100)
    steps = sum(Fraction(step["amount"]) for step in lines["steps"])
    assert Fraction(lines["opening"]["amount"]) + steps == Fraction(lines["closing"]["amount"])

    measures = frozenset({"reporting_amount"})
    sums = answer(second, question(TABLES["deals"], {}), Wishes((), measures)).sums.as_dict()
    exactly = TABLES["deals"].index["reporting_amount_exact"]
    told_of = rows(second, question(TABLES["deals"], {}), ["reporting_amount_exact"])
    each = [Fraction(str(row[exactly])) for row in told_of]
    assert Fraction(sums["sum_reporting_amount_exact"]) == sum(each)
    assert len(each) == DEALS


QUESTIONS: dict[str, Asked] = {
    "forecast": lambda between: between.closing.forecast(between.period, ("owner",)).as_dict(),
    "gates": lambda between: between.closing.forecast(between.period, ("gate",)).as_dict(),
    **{
        f"bridge {measure}": lambda between, measure=measure: bridge(  # type: ignore[misc]
            between, measure, ("owner", "currency")
        ).as_dict()
        for measure in Measure
    },
    "opened": lambda between: opened(between, "weighted", "advanced"),
    "amounts": lambda between: opened(between, "claimed", "amount_down"),
    "flows": lambda between: flows(between, "evidenced", By.GATE),
    "series": lambda between: series(
        between.closing, date(2026, 1, 5), date(2026, 6, 28), Every.MONTH, period=PERIOD,
        group_by=("currency",),
    ),
    "hindsight": lambda between: series(
        between.closing, date(2026, 1, 5), date(2026, 6, 28), Every.MONTH, period=PERIOD,
        axis=Axis.HINDSIGHT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", QUESTIONS)
def test_the_largest_amounts_give_the_same_bytes_from_tables_and_from_the_log(
    ledger: Ledger, book: Any, name: str
) -> None:
    told = []
    for by_tables in (True, False):
        first, second = (book(basis(ledger, at), by_tables) for at in (FIRST, SECOND))
        answer = QUESTIONS[name](Between(first, second, second.period(PERIOD)))
        told.append(orjson.dumps(answer))
    assert told[0] == told[1]
    assert len(told[0]) > 500
