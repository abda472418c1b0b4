"""A history that goes on from what is kept learns what one learns that was there all the time."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from projections.fold.states import FOREVER
from tests.unit.fold.test_qualification_laws import Drawn, drawn_events, log_of
from tests.unit.fold.test_states import EXAMPLES, Kept, history_of, of_deal, with_claims

seeds = st.integers(0, 2**30)


@given(drawn_events, seeds, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_a_resumed_history_learns_the_same(drawn: list[Drawn], seed: int, random: Random) -> None:
    events = with_claims(log_of(drawn), seed)
    recorded = of_deal(events)
    if random.random() < 0.5:
        recorded.sort(key=lambda event: str(event["known_at"]))
    history, kept = history_of(events), Kept()
    done = random.randrange(len(recorded) + 1)
    if done:
        kept.take(history.learn(recorded[:done]))
    while done < len(recorded):
        open_now = {
            each.valid_from: each.known_from
            for each in kept.rectangles.values()
            if each.known_to == FOREVER
        }
        resumed = history_of(events)
        if done:
            resumed.resume(recorded[:done], open_now)
        size = random.choice([1, 1, 2, 5])
        news = recorded[done : done + size]
        expected = history.learn(news)
        learned = resumed.learn(news)
        assert learned._replace(closed=sorted(learned.closed)) == expected._replace(
            closed=sorted(expected.closed)
        )
        kept.take(learned)
        assert resumed.accounts == history.accounts
        done += size
