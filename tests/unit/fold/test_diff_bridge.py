"""The difference of two bases: opening + revaluation + the deals' changes = closing, exactly."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from decimal import Decimal
from typing import Any, NamedTuple, cast

from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.basis import Basis
from ledger.domain.calendar import FiscalCalendar
from ledger.domain.events import Event
from ledger.domain.history import ACTS
from projections.book import Book, Origin
from projections.diff import Diff, diff
from projections.reader import LogReader, StreamRange
from tests.unit.domain.builders import Log, basis_of, money, opened, payload, revised

Q1 = FiscalCalendar().period("2026-Q1")


class LogInMemory:
    """What a book asks of a reader, answered from a log in memory."""

    def __init__(self, log: Log) -> None:
        self._log = log

    def stream(self, basis: Basis, stream: str) -> list[Event]:
        return [event for event in self._log.visible(basis) if event["stream"] == stream]

    def streams(
        self, basis: Basis, streams: StreamRange, types: Collection[str]
    ) -> Iterator[tuple[str, list[Event]]]:
        found: dict[str, list[Event]] = {}
        for event in self._log.visible(basis):
            wanted = event["type"] in types or event["type"] in ACTS
            if wanted and streams.first <= event["stream"] < streams.end:
                found.setdefault(event["stream"], []).append(event)
        yield from sorted(found.items(), key=lambda item: item[0].encode())

    def at_positions(self, positions: Collection[int]) -> dict[int, Event]:
        return {position: self._log.events[position - 1] for position in positions}

    def first_currency(self, basis: Basis) -> str | None:
        for event in self._log.visible(basis):
            if event["payload"].get("amount"):
                return str(event["payload"]["amount"]["currency"])
        return None


def book(log: Log, valid_at: str, known_at: str | None = None) -> Book:
    reader = cast("LogReader", LogInMemory(log))
    return Book(Origin(reader, ""), basis_of(valid_at, known_at))


def between(log: Log, opening: str, closing: str) -> Diff:
    """The difference between two days, each as known then."""
    return diff(book(log, opening), book(log, closing), Q1)


INVERSE_RATE_ERROR = Decimal("1e-20")
"""A rate that is known only as its inverse has 28 digits: sums of such amounts miss the last."""


def adds_up(found: Diff) -> None:
    """The bridge, on exact amounts and on what is written."""
    change = sum((each.value_after - each.value_before for each in found.moved), Decimal(0))
    missing = found.closing - found.opening - found.revaluation - change
    assert abs(missing) < INVERSE_RATE_ERROR
    written = found.as_dict()
    parts = [Decimal(written[part]) for part in ("opening", "revaluation", "change")]
    assert sum(parts) == Decimal(written["closing"])


def bridge(found: Diff) -> tuple[str, ...]:
    return tuple(f"{part:.1f}" for part in (found.opening, found.revaluation, found.closing))


def rate(log: Log, day: str, value: str, currency: str = "EUR") -> None:
    log.record(
        payload("fx-rate-set", currency=currency, to="USD", rate=value),
        day,
        stream="settings:ledger",
    )


# --- single cases ---------------------------------------------------------------------------------


def log_of_a_quarter() -> Log:
    log = Log()
    rate(log, "2025-12-01", "1.1")
    facts: dict[str, Any] = {"close_date": "2026-03-15"}
    log.record(opened(amount=money("100"), **facts), "2026-01-01", stream="deal:A")
    log.record(opened(amount=money("100", "EUR"), **facts), "2026-01-01", stream="deal:B")
    log.record(opened(amount=money("7"), **facts), "2026-01-01", stream="deal:C")
    return log


def test_an_unchanged_book_has_no_moves() -> None:
    found = between(log_of_a_quarter(), "2026-01-10", "2026-01-20")
    assert bridge(found) == ("217.0", "0.0", "217.0")
    assert found.moved == []


def test_a_new_rate_alone_is_revaluation_and_moves_no_deal() -> None:
    log = log_of_a_quarter()
    rate(log, "2026-01-15", "1.2")
    found = between(log, "2026-01-10", "2026-01-20")
    assert bridge(found) == ("217.0", "10.0", "227.0")
    assert found.moved == []


def test_each_change_names_the_event_that_answers_for_it() -> None:
    log = log_of_a_quarter()
    bigger = log.record(revised(amount=money("150")), "2026-01-15", stream="deal:A")
    lost = log.record(payload("deal-closed", outcome="lost"), "2026-01-16", stream="deal:B")
    slipped = log.record(revised(close_date="2026-04-01"), "2026-01-17", stream="deal:C")
    fresh = log.record(
        opened(amount=money("1"), close_date="2026-02-01"), "2026-01-18", stream="deal:D"
    )
    found = between(log, "2026-01-10", "2026-01-20")
    adds_up(found)
    assert [(each.deal_id, each.causes) for each in found.moved] == [
        ("B", (lost["position"],)),
        ("A", (bigger["position"],)),
        ("C", (slipped["position"],)),
        ("D", (fresh["position"],)),
    ]
    assert [each.value_after - each.value_before for each in found.moved] == [-110, 50, -7, 1]
    because = [each["because"][0]["event_id"] for each in found.as_dict()["deals"]]
    assert because[0] == lost["event_id"]


def test_a_deal_that_was_removed_leaves_with_its_value() -> None:
    log = log_of_a_quarter()
    removed = log.record(payload("deal-removed"), "2026-01-15", stream="deal:A")
    found = between(log, "2026-01-10", "2026-01-20")
    adds_up(found)
    (moved,) = found.moved
    assert (moved.deal_id, moved.after, moved.causes) == ("A", None, (removed["position"],))


def test_what_came_back_is_answered_for_by_the_retraction() -> None:
    log = log_of_a_quarter()
    opening = log.events[1]
    wrong = log.record(revised(amount=money("900")), "2026-01-05", stream="deal:A")
    act = payload("event-retracted", target=wrong["event_id"], reason="x")
    retraction = log.record(act, "2026-01-15", stream="deal:A")
    found = between(log, "2026-01-10", "2026-01-20")
    adds_up(found)
    (moved,) = found.moved
    assert moved.causes == (retraction["position"],)
    assert [(change.field, change.cause) for change in moved.changes] == [
        ("amount", opening["position"])
    ]


def test_what_was_known_but_had_not_happened_yet_is_named_beside_what_is_new() -> None:
    log = log_of_a_quarter()
    stage = log.record(payload("stage-claimed", stage="Proposal"), "2026-02-01", stream="deal:A")
    amount = log.record(revised(amount=money("101")), "2026-02-05", stream="deal:A")
    opening = book(log, "2026-01-10", "2026-02-03")
    found = diff(opening, book(log, "2026-02-10"), Q1)
    (moved,) = found.moved
    assert moved.causes == (stage["position"], amount["position"])


def test_what_is_written_adds_up_although_it_is_rounded() -> None:
    log = Log()
    facts: dict[str, Any] = {"close_date": "2026-03-15"}
    log.record(opened(amount=money("0.005", "USD"), **facts), "2026-01-01", stream="deal:A")
    log.record(opened(amount=money("0.005", "USD"), **facts), "2026-01-15", stream="deal:B")
    found = between(log, "2026-01-10", "2026-01-20")
    adds_up(found)
    assert (found.as_dict()["change"], found.as_dict()["closing"]) == ("0.01", "0.01")


# --- the law --------------------------------------------------------------------------------------


class Step(NamedTuple):
    """One thing that happens on a day of January."""

    day: int
    kind: str
    deal: int
    amount: Decimal
    currency: str
    in_period: bool


steps = st.lists(
    st.builds(
        Step,
        day=st.integers(2, 28),
        kind=st.sampled_from(
            ["open", "open", "amount", "date", "won", "lost", "reopen", "remove", "rate", "retract"]
        ),
        deal=st.integers(0, 3),
        amount=st.decimals("0.0001", "1000", places=4),
        currency=st.sampled_from(["USD", "EUR", "GBP"]),
        in_period=st.booleans(),
    ),
    max_size=14,
)


def play(drawn: list[Step]) -> Log:
    log = Log()
    rate(log, "2026-01-01", "1.1")
    for step in sorted(drawn, key=lambda step: step.day):
        day, stream = f"2026-01-{step.day:02d}", f"deal:D{step.deal}"
        if step.kind == "rate":
            rate(log, day, str(step.amount), "GBP" if step.currency == "GBP" else "EUR")
            continue
        close_date = "2026-03-01" if step.in_period else "2026-05-01"
        facts = {"amount": money(str(step.amount), step.currency), "close_date": close_date}
        theirs = [event for event in log.events if event["stream"] == stream]
        happening = {
            "open": opened(**facts),
            "amount": revised(amount=facts["amount"]),
            "date": revised(close_date=close_date),
            "won": payload("deal-closed", outcome="won"),
            "lost": payload("deal-closed", outcome="lost"),
            "reopen": payload("deal-reopened"),
            "remove": payload("deal-removed"),
        }
        if step.kind in happening:
            log.record(happening[step.kind], day, stream=stream)
        elif theirs:
            target = theirs[-1]["event_id"]
            log.record(payload("event-retracted", target=target, reason="x"), day, stream=stream)
    return log


@given(steps, st.integers(1, 29), st.integers(1, 29))
@settings(max_examples=60)
def test_opening_and_revaluation_and_changes_are_the_closing(
    drawn: list[Step], opening: int, closing: int
) -> None:
    """In either direction of time, with every cause opened."""
    log = play(drawn)
    found = between(log, f"2026-01-{opening:02d}", f"2026-01-{closing:02d}")
    adds_up(found)
    if opening <= closing:
        assert all(each.causes for each in found.moved), "every move has its reason"


@given(steps, st.integers(1, 29), st.integers(1, 29), st.integers(1, 29))
@settings(max_examples=40)
def test_two_steps_lead_to_where_one_does(
    drawn: list[Step], first: int, second: int, third: int
) -> None:
    log = play(drawn)
    days = [f"2026-01-{day:02d}" for day in (first, second, third)]
    one = between(log, days[0], days[1])
    two = between(log, days[1], days[2])
    whole = between(log, days[0], days[2])
    if one.currency == two.currency == whole.currency:
        assert (one.closing, whole.closing) == (two.opening, two.closing)
        assert whole.opening == one.opening
