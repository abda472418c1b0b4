"""The laws of rectangles and of the journal, on random histories, against the fold itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.domain.events import Event
from ledger.domain.times import format_instant
from projections.fold.claims import counting_day
from projections.fold.deal_history import DealHistory, World
from projections.fold.rulebook import PlaybookHistory
from projections.fold.states import FOREVER, DealState, Entry, Learned, Rectangle
from projections.qualified import BookDeal, Judge
from tests.unit.domain.builders import Log, money, payload
from tests.unit.fold.test_qualification_laws import (
    DAYS,
    FIRST,
    SECOND,
    Drawn,
    day,
    drawn_events,
    log_of,
    text,
)

EXAMPLES = 150


def with_claims(log: Log, seed: int) -> list[Event]:
    """The same log with claims said of the deal, some late, some back-dated by a source."""
    random = Random(seed)
    for _ in range(random.randrange(9)):
        occurred = day(random.randrange(-1, DAYS))
        known = occurred + timedelta(days=random.choice([0, 0, 0, 0.5, 3, 7]))
        said = random.choice(
            [
                payload("deal-revised", amount=money(random.choice(["10.00", "20.00"]))),
                payload("deal-revised", close_date=random.choice(["2026-01-20", "2026-04-01"])),
                payload("deal-revised", owner=random.choice(["ann", "ben"])),
                payload("deal-revised", dimensions={"segment": random.choice(["smb", None])}),
                payload("stage-claimed", stage=random.choice(["Proof", "Proposal"])),
                payload("category-claimed", category=random.choice(["commit", "omitted"])),
                payload("deal-removed", reason="x") if random.random() < 0.2 else
                payload("category-claimed", category="pipeline"),
            ]
        )  # fmt: skip
        attested = known if random.random() < 0.3 else None
        log.record(said, occurred, recorded_at=known, known_at=attested)
    return log.events


def expected(events: Iterable[Event], valid: str, known: str) -> DealState | None:
    """The state by the fold from scratch."""
    seen = [event for event in events if event["known_at"] <= known]
    published = [event for event in seen if event["stream"].startswith("playbook:")]
    accounts: dict[str, list[Event]] = {}
    for event in seen:
        if event["stream"].startswith("account:"):
            accounts.setdefault(event["stream"].partition(":")[2], []).append(event)
    judge = Judge(valid, PlaybookHistory(published, valid), accounts)
    own = [event for event in seen if event["stream"] == "deal:D1"]
    deal = BookDeal.fold("D1", own, judge)
    if deal is None:
        return None
    claimed, money = deal.claimed, deal.claimed.amount
    own_dimensions = dict(claimed.dimensions)
    return DealState(
        claimed.name,
        claimed.account,
        claimed.owner,
        claimed.stage,
        str(claimed.category),
        claimed.outcome,
        None if money is None else str(money.amount),
        None if money is None else money.currency,
        None if claimed.close_date is None else claimed.close_date.isoformat(),
        counting_day(claimed, World([], "UTC").calendar),
        orjson.dumps(own_dimensions, option=orjson.OPT_SORT_KEYS).decode()
        if own_dimensions
        else None,
        str(deal.verdict.category),
        deal.verdict.gate,
        deal.verdict.weight_percent,
    )


class Kept:
    """What the tables keep of one deal."""

    def __init__(self) -> None:
        self.rectangles: dict[tuple[str, str], Rectangle] = {}
        self.entries: list[Entry] = []

    def take(self, learned: Learned) -> None:
        if learned.whole:
            self.rectangles.clear()
            self.entries.clear()
        for valid_from, known_from, known_to in learned.closed:
            kept = self.rectangles[valid_from, known_from]
            assert kept.known_to == FOREVER
            self.rectangles[valid_from, known_from] = kept._replace(known_to=known_to)
        for valid_from, known_from, valid_to in learned.shortened:
            kept = self.rectangles[valid_from, known_from]
            assert kept.valid_to > valid_to
            self.rectangles[valid_from, known_from] = kept._replace(valid_to=valid_to)
        for rectangle in learned.opened:
            key = rectangle.valid_from, rectangle.known_from
            assert key not in self.rectangles
            self.rectangles[key] = rectangle
        self.entries = [each for each in self.entries if each.at < learned.entries_from]
        self.entries += learned.entries

    def at(self, valid: str, known: str) -> list[DealState]:
        return [
            each.state
            for each in self.rectangles.values()
            if each.valid_from <= valid < each.valid_to and each.known_from <= known < each.known_to
        ]

    def then(self, instant: str) -> DealState | None:
        past = [each for each in self.entries if each.at <= instant]
        return past[-1].after if past else None


def history_of(events: Sequence[Event]) -> DealHistory:
    published = [event for event in events if event["stream"].startswith("playbook:")]
    return DealHistory("D1", World(published, "UTC"))


def of_deal(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if not event["stream"].startswith("playbook:")]


def kept_at_once(events: Sequence[Event]) -> Kept:
    kept = Kept()
    kept.take(history_of(events).learn(of_deal(events)))
    return kept


seeds = st.integers(0, 2**30)
HALF_DAYS = [format_instant(day(0) + timedelta(hours=12 * n)) for n in range(-10, 2 * DAYS + 30)]
instants = st.sampled_from([*HALF_DAYS, text(400), text(4000)])


@given(drawn_events, seeds, st.lists(st.tuples(instants, instants), min_size=12, max_size=12))
@settings(max_examples=EXAMPLES)
def test_one_rectangle_bears_what_the_fold_says(
    drawn: list[Drawn], seed: int, points: list[tuple[str, str]]
) -> None:
    events = with_claims(log_of(drawn), seed)
    kept = kept_at_once(events)
    for valid, known in [*points, *((known, known) for _valid, known in points)]:
        state = expected(events, valid, known)
        assert kept.at(valid, known) == ([] if state is None else [state]), (valid, known)


@given(drawn_events, seeds, st.lists(instants, min_size=8, max_size=8))
@settings(max_examples=EXAMPLES)
def test_the_entries_are_the_diagonal(drawn: list[Drawn], seed: int, points: list[str]) -> None:
    events = with_claims(log_of(drawn), seed)
    kept = kept_at_once(events)
    state = None
    for entry in kept.entries:
        assert entry.before == state != entry.after
        assert entry.causes
        state = entry.after
    assert sorted({each.at for each in kept.entries}) == [each.at for each in kept.entries]
    for instant in [*points, *(each.at for each in kept.entries)]:
        assert kept.then(instant) == expected(events, instant, instant)


@given(drawn_events, seeds, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_fed_piece_by_piece_it_comes_to_the_same(
    drawn: list[Drawn], seed: int, random: Random
) -> None:
    events = with_claims(log_of(drawn), seed)
    history, kept = history_of(events), Kept()
    recorded = of_deal(events)
    while recorded:
        size = random.choice([1, 1, 1, 2, 5])
        kept.take(history.learn(recorded[:size]))
        recorded = recorded[size:]
    at_once = kept_at_once(events)
    assert kept.rectangles == at_once.rectangles
    assert kept.entries == at_once.entries


# --- examples that were found by chance ---------------------------------------------------------


def begun() -> Log:
    """A deal opened under the first version."""
    log = Log()
    published = payload("playbook-published", playbook=FIRST.model_dump(mode="json"))
    log.record(published, day(-40), stream="playbook:first")
    log.record(payload("deal-opened", name="A deal"), day(0))
    return log


def states(events: Sequence[Event], instants: Iterable[int]) -> None:
    """As known then, tables and fold say the same."""
    kept = kept_at_once(events)
    for number in instants:
        instant = text(number)
        state = expected(events, instant, instant)
        assert kept.then(instant) == state
        assert kept.at(instant, instant) == ([] if state is None else [state])


def test_a_version_under_which_nothing_is_met_leaves_a_deal_out_that_stays_where_it_stood() -> None:
    log = begun()
    met = {"criterion": "b2", "stance": "supports", "source_kind": "meeting", "said_by": "pat"}
    log.record(payload("stakeholder-added", stakeholder="pat", name="X"), day(0))
    log.record(payload("evidence-recorded", **met), day(3))
    again = payload("playbook-published", playbook=SECOND.model_dump(mode="json"))
    published = log.record(again, day(5), stream="playbook:first", recorded_at=day(4))
    states(log.events, range(8))
    (last,) = kept_at_once(log.events).entries[-1:]
    assert (last.at, last.move, last.causes) == (
        text(5), "playbook_changed", (published["position"],)
    )  # fmt: skip


def test_an_act_that_a_source_told_before_what_it_acts_on_acts_on_it() -> None:
    log = begun()
    revised = payload("deal-revised", amount=money("10.00"))
    target = log.record(revised, day(3), recorded_at=day(6), known_at=day(4))
    retracted = payload("event-retracted", target=target["event_id"], reason="x")
    log.record(retracted, day(2), recorded_at=day(7), known_at=day(2))
    states(log.events, range(8))


def test_a_deal_that_two_sources_opened_at_one_instant_and_one_again_later() -> None:
    log = begun()
    log.record(payload("deal-opened", name="Told twice"), day(0))
    log.record(payload("deal-opened", name="Told again"), day(5))
    states(log.events, range(8))


def test_the_end_of_a_waiver_is_caused_by_the_waiver() -> None:
    log = begun()
    waived = payload("criterion-waived", criterion="a1", reason="x", ends_at=text(3))
    waiver = log.record(waived, day(2))
    states(log.events, range(5))
    (last,) = kept_at_once(log.events).entries[-1:]
    assert (last.at, last.move, last.causes) == (text(3), "lapsed", (waiver["position"],))


def test_a_lapse_at_the_instant_of_news_of_another_account_rests_on_the_evidence_that_aged() -> (
    None
):
    log = begun()
    log.record(payload("stakeholder-added", stakeholder="pat", name="X"), day(0))
    met = {"stance": "supports", "source_kind": "call", "said_by": "pat"}
    aged = log.record(payload("evidence-recorded", criterion="b1", **met), day(1))
    other = payload("evidence-recorded", criterion="c2", **met)
    log.record(other, day(7), stream="account:bolt")
    states(log.events, range(9))
    (last,) = kept_at_once(log.events).entries[-1:]
    assert (last.at, last.move, last.causes) == (text(7), "lapsed", (aged["position"],))
