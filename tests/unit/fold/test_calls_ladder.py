"""The ladder: adjustments apply up the chain of command, each to what the one before left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.money import Money
from projections.fold.calls import Call, Step, calls_at
from projections.fold.settings import LedgerSettings
from projections.ladder import difference
from tests.unit.domain.builders import Log, money, payload, spelled

PERIOD = "period:2026-Q1"
CHAIN = {"ann": ("mia", "dora")}
"""Ann reports to Mia, who reports to Dora."""


def called(amount: str, day: str = "2026-01-05") -> tuple[str, Any]:
    return day, payload(
        "forecast-called", period="2026-Q1", person="ann", category="commit", amount=money(amount)
    )


def by(adjuster: str, day: str, expires_at: str = "2026-04-01", **change: Any) -> tuple[str, Any]:
    return day, payload(
        "forecast-adjusted",
        period="2026-Q1",
        person="ann",
        category="commit",
        adjuster=adjuster,
        reason="by habit",
        expires_at=spelled(expires_at),
        **change,
    )


def folded(*dated: tuple[str, Any], at: str = "2026-03-01") -> Call:
    log = Log()
    for day, each in dated:
        log.record(each, day, recorded_at="2026-01-01", stream=PERIOD)
    (call,) = calls_at(log.events, spelled(at), lambda person: CHAIN.get(person, ()))
    return call


def usd(amount: str) -> Money:
    return Money(Decimal(amount), "USD")


def test_the_nearest_superior_comes_first_whoever_was_earlier() -> None:
    call = folded(
        called("100"),
        by("dora", "2026-01-10", haircut_percent=10),
        by("mia", "2026-02-10", haircut_percent=50),
    )
    assert [(s.adjuster, s.level, s.before, s.after, s.cause) for s in call.steps] == [
        ("mia", 1, usd("100"), usd("50"), 3),
        ("dora", 2, usd("50"), usd("45"), 2),
    ]
    assert (call.called, call.adjusted, call.adjusted_by) == (usd("100"), usd("45"), 2)


def test_an_override_replaces_what_the_step_before_left() -> None:
    call = folded(
        called("100"),
        by("dora", "2026-01-10", override=money("80")),
        by("mia", "2026-02-10", haircut_percent=50),
    )
    assert [step.after for step in call.steps] == [usd("50"), usd("80")]
    call = folded(
        called("100"),
        by("mia", "2026-01-10", override=money("80")),
        by("dora", "2026-02-10", haircut_percent=50),
    )
    assert [step.after for step in call.steps] == [usd("80"), usd("40")]


def test_of_one_adjuster_the_last_adjustment_in_force_counts() -> None:
    twice = (
        called("100"),
        by("mia", "2026-01-10", haircut_percent=50),
        by("mia", "2026-01-20", expires_at="2026-02-20", haircut_percent=10),
    )
    assert folded(*twice, at="2026-02-01").adjusted == usd("90")
    assert folded(*twice, at="2026-02-20").adjusted == usd("50")


def test_adjusters_outside_the_chain_follow_in_the_order_in_which_theirs_took_effect() -> None:
    call = folded(
        called("100"),
        by("zoe", "2026-01-11", haircut_percent=50),
        by("bob", "2026-01-12", override=money("30")),
        by("dora", "2026-02-10", haircut_percent=10),
    )
    assert [(s.adjuster, s.level, s.after) for s in call.steps] == [
        ("dora", 2, usd("90")),
        ("zoe", None, usd("45")),
        ("bob", None, usd("30")),
    ]
    again = folded(
        called("100"),
        by("zoe", "2026-01-11", haircut_percent=50),
        by("bob", "2026-01-12", override=money("30")),
        by("zoe", "2026-01-13", haircut_percent=10),
    )
    assert [step.adjuster for step in again.steps] == ["bob", "zoe"]
    assert again.adjusted == usd("27")


def test_a_step_that_expires_goes_alone() -> None:
    both = (
        called("100"),
        by("mia", "2026-01-10", expires_at="2026-02-01", haircut_percent=50),
        by("dora", "2026-01-20", haircut_percent=10),
    )
    assert folded(*both, at="2026-01-31").adjusted == usd("45")
    assert folded(*both, at="2026-02-01").adjusted == usd("90")


def test_a_haircut_of_no_call_leaves_nothing_and_an_override_after_it_is_the_number() -> None:
    call = folded(
        by("mia", "2026-01-10", haircut_percent=50), by("dora", "2026-01-20", override=money("7"))
    )
    assert [(step.before, step.after) for step in call.steps] == [(None, None), (None, usd("7"))]
    assert (call.called, call.adjusted) == (None, usd("7"))


def test_nothing_is_rounded_on_the_way() -> None:
    call = folded(
        called("100.01"),
        by("mia", "2026-01-10", haircut_percent=15),
        by("dora", "2026-01-20", haircut_percent=33),
    )
    assert call.adjusted == usd("56.955695")


def test_a_difference_is_told_in_the_reporting_currency_and_is_unknown_without_a_rate() -> None:
    settings = LedgerSettings(reporting_currency="USD", rates={("EUR", "USD"): Decimal("1.2")})
    assert difference(usd("100"), Money(Decimal(50), "EUR"), settings) == "-40.00"
    assert difference(None, usd("5"), settings) == "5.00"
    assert difference(usd("5"), Money(Decimal(1), "CHF"), settings) is None


changes = st.one_of(
    st.integers(0, 100).map(lambda percent: {"haircut_percent": percent}),
    st.integers(0, 10_000_000).map(lambda cents: {"override": money(str(Decimal(cents) / 100))}),
)


@given(
    st.integers(0, 10_000_000),
    st.lists(st.tuples(st.sampled_from(["mia", "dora", "zoe"]), changes), max_size=6),
)
def test_the_differences_of_the_steps_add_up_to_adjusted_less_called(
    cents: int, adjustments: list[tuple[str, dict[str, Any]]]
) -> None:
    call = folded(
        called(str(Decimal(cents) / 100)),
        *(
            by(adjuster, f"2026-01-{10 + n}", **change)
            for n, (adjuster, change) in enumerate(adjustments)
        ),
    )
    settings = LedgerSettings(reporting_currency="USD")
    steps = [difference(step.before, step.after, settings) for step in call.steps]
    whole = difference(call.called, call.adjusted, settings)
    assert sum(Decimal(step or 0) for step in steps) == Decimal(whole or 0)
    assert len({step.adjuster for step in call.steps}) == len(call.steps)
    assert _levels(call.steps) == sorted(_levels(call.steps))


def _levels(steps: tuple[Step, ...]) -> list[int]:
    return [step.level or 99 for step in steps]
