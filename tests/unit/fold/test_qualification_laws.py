"""The laws of the fold of gates, on random histories, and its agreement with a naive model.

Days are few and ages short, so that lapses, departures, waivers, decisions and words of every kind
meet at one instant often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random
from typing import Any, NamedTuple

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.domain.basis import Basis
from ledger.domain.events import Event, EventPayload
from ledger.domain.history import ACTS, effective
from ledger.domain.playbook import Playbook
from ledger.domain.times import MICROSECOND, Instant, format_instant
from projections.fold.gates import MoveKind, Qualification
from projections.fold.qualification import qualify
from projections.fold.rulebook import PlaybookHistory
from projections.fold.verdict import no_evidence_no_revenue
from tests.unit.domain.builders import EPOCH, LAST_POSITION, Log, payload, sees
from tests.unit.fold.qualification_model import Expected, Model

DAYS = 20
EXAMPLES = 120

_FIRST = {
    "key": "first",
    "version": "1",
    "name": "First",
    "gates": [
        {"key": "a", "name": "A", "stage": "S", "category": "pipeline", "criteria": [
            {"key": "a1", "question": "?", "lapses_with_stakeholder": False},
        ]},
        {"key": "b", "name": "B", "stage": "S", "category": "pipeline", "criteria": [
            {"key": "b1", "question": "?", "fresh_for_days": 6, "fresher_at": {"c": 3}},
            {"key": "b2", "question": "?", "mandatory": False, "fresh_for_days": 5,
             "fresher_at": {"c": 2}, "layer": "organization"},
        ]},
        {"key": "c", "name": "C", "stage": "S", "category": "best_case", "threshold": 1,
         "criteria": [
            {"key": "c1", "question": "?", "fresh_for_days": 4, "said_by_role": "payer"},
            {"key": "c2", "question": "?", "mandatory": False, "source_kinds": ["crm", "call"],
             "layer": "organization"},
            {"key": "c3", "question": "?", "mandatory": False, "fresh_for_days": 9,
             "said_by_seniority": "director",
             "said_by_role": "payer", "lapses_with_stakeholder": False},
        ]},
        {"key": "d", "name": "D", "stage": "S", "category": "commit", "after_decision": True,
         "criteria": [{"key": "d1", "question": "?", "fresh_for_days": 3}]},
    ],
}  # fmt: skip
_SECOND = {
    "key": "first",
    "version": "2",
    "name": "First again: B is gone, E is new, what A asks ages",
    "gates": [
        {"key": "a", "name": "A", "stage": "S", "category": "pipeline", "criteria": [
            {"key": "a1", "question": "?", "fresh_for_days": 8, "fresher_at": {"e": 4}},
        ]},
        {"key": "e", "name": "E", "stage": "S", "category": "best_case", "criteria": [
            {"key": "b1", "question": "?", "fresh_for_days": 5},
        ]},
        {"key": "c", "name": "C", "stage": "S", "category": "commit", "criteria": [
            {"key": "c1", "question": "?", "fresh_for_days": 3, "said_by_role": "payer"},
        ]},
    ],
}  # fmt: skip
_OTHER = {
    "key": "other",
    "version": "1",
    "name": "Another playbook",
    "gates": [
        {"key": "c", "name": "C", "stage": "S", "category": "best_case", "criteria": [
            {"key": "c1", "question": "?", "fresh_for_days": 5},
        ]},
        {"key": "a", "name": "A", "stage": "S", "category": "commit", "criteria": [
            {"key": "a1", "question": "?"},
        ]},
    ],
}  # fmt: skip
FIRST, SECOND, OTHER = (Playbook.model_validate(each) for each in (_FIRST, _SECOND, _OTHER))

CRITERIA = (*["a1", "b1", "c1"] * 4, "b2", "b2", "c2", "c2", "c3", "d1", "d1", "nonsense")
GATES = ("a", "b", "b", "c", "c", "d", "e", "nowhere")
DECISIONS = {MoveKind.DECIDED, MoveKind.REOPENED}
PEOPLE = ("pat", "pat", "pat", "pat", "sam", None)


class Drawn(NamedTuple):
    """An event as drawn; what it does not need of it is ignored.

    Args:
        kind: what happens.
        day: when; days before the opening are below zero.
        delay: how many days later it became known.
        target: chooses among the events before it, where it corrects or takes back one.
    """

    kind: str
    day: int
    delay: int
    criterion: str
    gate: str
    other_gate: str
    who: str | None
    role: str
    seniority: str
    source: str
    lasts: int
    target: int


KINDS = (
    *["for"] * 60, *["against"] * 3, *["account for"] * 5, "account against", *["waived"] * 3,
    "revoked", "joined", "changed", *["left"] * 2, "back", "looped", "advanced", "closed", "won",
    "reopened", "reopened", "version", "playbook", "account", "retract", "correct", "move",
)  # fmt: skip
EVENTS_MAX = 36


def _event(random: Random) -> Drawn:
    return Drawn(
        kind=random.choice(KINDS),
        day=random.randint(-3, DAYS),
        delay=random.choice([0, 0, 0, 1, 4]),
        criterion=random.choice(CRITERIA),
        gate=random.choice(GATES),
        other_gate=random.choice(GATES),
        who=random.choice(PEOPLE),
        role=random.choice(["payer", "payer", "user"]),
        seniority=random.choice(["c_level", "director", "director", "staff"]),
        source=random.choice(["meeting", "call", "call", "crm"]),
        lasts=random.randint(0, 6),
        target=random.randint(0, 50),
    )


def _story(seed: int) -> list[Drawn]:
    random = Random(seed)
    return [_event(random) for _ in range(EVENTS_MAX)]


drawn_events = st.builds(
    lambda seed, kept: [each for each, keep in zip(_story(seed), kept, strict=True) if keep],
    st.integers(0, 2**40),
    st.lists(st.sampled_from([False, *[True] * 5]), min_size=EVENTS_MAX, max_size=EVENTS_MAX),
)
"""Rich histories by chance, which shrink by leaving events out."""
days = st.integers(0, DAYS + 6)
days_known = st.integers(0, DAYS + 8)


def day(number: int) -> Instant:
    return EPOCH + timedelta(days=number)


def text(number: int) -> str:
    return format_instant(day(number))


TEMPLATES: dict[str, tuple[str, dict[str, Any]]] = {
    "for": ("evidence-recorded", {"stance": "supports"}),
    "account for": ("evidence-recorded", {"stance": "supports"}),
    "against": ("evidence-recorded", {"stance": "contradicts"}),
    "account against": ("evidence-recorded", {"stance": "contradicts"}),
    "waived": ("criterion-waived", {"reason": "x"}),
    "revoked": ("waiver-revoked", {"reason": "x"}),
    "joined": ("stakeholder-added", {"name": "X"}),
    "changed": ("stakeholder-changed", {}),
    "left": ("stakeholder-left", {}),
    "back": ("buyer-regressed", {}),
    "advanced": ("buyer-advanced", {}),
    "looped": ("buyer-looped", {}),
    "closed": ("deal-closed", {"outcome": "no_decision"}),
    "won": ("deal-closed", {"outcome": "won"}),
    "reopened": ("deal-reopened", {}),
    "version": ("playbook-published", {"playbook": SECOND.model_dump(mode="json")}),
    "playbook": ("deal-revised", {}),
    "account": ("deal-revised", {}),
}
WITHOUT_ORDER = {"for", "against", "account for", "account against", "back", "advanced"}
"""Kinds of which several may stand at one instant in any order."""


def _payload(each: Drawn, kind: str, log: Log) -> EventPayload:
    event_type, fields = TEMPLATES[kind]
    fields = dict(fields)
    if event_type == "evidence-recorded":
        fields |= {"criterion": each.criterion, "source_kind": each.source}
        fields |= {} if each.who is None else {"said_by": each.who}
    elif kind in {"waived", "revoked"}:
        fields |= {"criterion": each.criterion}
        fields |= {"ends_at": text(each.day + each.lasts)} if kind == "waived" else {}
    elif kind in {"joined", "changed"}:
        fields |= {"stakeholder": each.who or "pat", "role": each.role, "seniority": each.seniority}
    elif kind == "left":
        fields |= {"stakeholder": each.who or "pat"}
    elif kind in {"back", "advanced"}:
        fields |= {"gate": each.gate}
    elif kind == "looped":
        fields |= {"from_gate": each.gate, "to_gate": each.other_gate}
    elif kind == "playbook":
        fields |= {"playbook": ("first", "other", "unpublished")[each.lasts % 3]}
    elif kind == "account":
        fields |= {"account": ("acme", "bolt")[each.lasts % 2]}
    return payload(event_type, **fields)


def _act(each: Drawn, log: Log, target: Event) -> EventPayload:
    about = {"target": target["event_id"], "reason": "x"}
    if each.kind == "retract":
        return payload("event-retracted", **about)
    changed: dict[str, Any] = {"occurred_at": text(each.day)}
    if each.kind == "correct" and target["type"] == "evidence-recorded":
        changed = {"payload": {**target["payload"], "criterion": each.criterion}}
    return payload("event-corrected", **about, **changed)


def _stream(kind: str, each: Drawn) -> str:
    if kind.startswith("account "):
        return f"account:{('acme', 'bolt')[each.lasts % 2]}"
    return "playbook:first" if kind == "version" else "deal:D1"


def log_of(drawn: Sequence[Drawn], *, spread: bool = False) -> Log:
    """The usual beginning, and what was drawn, in the order in which it became known.

    Args:
        drawn: the events.
        spread: no two events whose order matters stand at one instant.
    """
    log = Log()
    for number, playbook in ((-40, FIRST), (-39, OTHER)):
        published = payload("playbook-published", playbook=playbook.model_dump(mode="json"))
        log.record(published, day(number), stream=f"playbook:{playbook.key}")
    log.record(payload("deal-opened", account="acme"), day(0))
    for who, role in (("pat", "payer"), ("sam", "user")):
        log.record(payload("stakeholder-added", stakeholder=who, name="X", role=role), day(-4))
    first = len(log.events)
    has_version_2 = False
    in_order = sorted(enumerate(drawn, 1), key=lambda item: item[1].day + item[1].delay)
    for number, each in in_order:
        kind = "for" if each.kind == "version" and has_version_2 else each.kind
        has_version_2 |= kind == "version"
        targets = [e for e in log.events[first:] if e["type"] not in ACTS]
        if kind in {"retract", "correct", "move"} and not targets:
            continue
        known = day(each.day + each.delay)
        away = number * MICROSECOND if spread and kind not in WITHOUT_ORDER else timedelta(0)
        if kind in {"retract", "correct", "move"}:
            target = targets[each.target % len(targets)]
            log.record(_act(each, log, target), known, stream=target["stream"])
        else:
            log.record(
                _payload(each, kind, log),
                day(each.day) + away,
                stream=_stream(kind, each),
                recorded_at=known + away,
            )
    return log


def basis_at(valid_at: Instant, known_at: Instant) -> Basis:
    return Basis(valid_at, known_at, LAST_POSITION)


def _streams(events: Iterable[Event], basis: Basis) -> dict[str, list[Event]]:
    streams: dict[str, list[Event]] = {"deal:D1": []}
    for event in events:
        if sees(basis, event):
            streams.setdefault(event["stream"], []).append(event)
    return streams


def _of(category: str, streams: dict[str, list[Event]]) -> dict[str, list[Event]]:
    return {
        name.partition(":")[2]: each
        for name, each in streams.items()
        if name.startswith(f"{category}:")
    }


def _published(streams: dict[str, list[Event]]) -> list[Event]:
    return [event for each in _of("playbook", streams).values() for event in each]


def fold(events: Iterable[Event], basis: Basis, ahead: Instant | None = None) -> Qualification:
    streams = _streams(events, basis)
    valid_at = format_instant(basis.valid_at)
    found = qualify(
        "D1",
        streams["deal:D1"],
        valid_at,
        PlaybookHistory(_published(streams), valid_at),
        _of("account", streams),
        ahead_until=None if ahead is None else format_instant(ahead),
    )
    assert found is not None
    return found


def hindsight(events: Iterable[Event], valid: Instant, ahead: Instant | None = None) -> Any:
    return fold(events, basis_at(valid, day(99)), ahead)


def whole(deal: Qualification) -> Any:
    """All that is said, the version by its name."""
    label = None if deal.rulebook is None else deal.rulebook.label
    return label, deal._replace(rulebook=None)


def happenings(events: Iterable[Event]) -> set[str]:
    """The instants at which anything happens, as we know it in hindsight."""
    streams = _streams(events, basis_at(day(99), day(99)))
    return {e["occurred_at"] for each in streams.values() for e in effective(each, text(99))}


def essence(deal: Qualification) -> tuple[Any, ...]:
    """Statuses, gates and standing, without the receipts."""
    return (
        deal.outcome,
        deal.stands_at,
        deal.stands_since,
        deal.bar,
        [(each.key, each.status, each.judgement.rule, each.since) for each in deal.criteria],
        [(each.key, each.status, each.since, each.passes, each.missing) for each in deal.gates],
        [(each.gate, each.lost_at, each.again_at) for each in deal.loops],
    )


# --- the laws -------------------------------------------------------------------------------------


@given(drawn_events, drawn_events, days, days_known)
@settings(max_examples=EXAMPLES)
def test_what_becomes_known_later_never_changes_an_answer(
    drawn: list[Drawn], more: list[Drawn], valid: int, known: int
) -> None:
    log = log_of([*drawn, *more])
    by_then = [e for e in log.events if e["known_at"] <= text(known)]
    basis = basis_at(day(valid), day(known))
    assert whole(fold(log.events, basis)) == whole(fold(by_then, basis))


@given(drawn_events, days)
@settings(max_examples=EXAMPLES)
def test_what_happens_later_never_changes_an_answer(drawn: list[Drawn], valid: int) -> None:
    log = log_of(drawn)
    streams = _streams(log.events, basis_at(day(99), day(99)))
    never = [e for each in streams.values() for e in effective(each, text(valid))]
    assert whole(hindsight(never, day(valid))) == whole(hindsight(log.events, day(valid)))


@given(drawn_events, st.integers(0, 50), days)
@settings(max_examples=EXAMPLES)
def test_a_retraction_restores_what_would_have_been_without_the_event(
    drawn: list[Drawn], chosen: int, valid: int
) -> None:
    log = log_of(drawn)
    targets = [e for e in log.events[5:] if e["type"] not in ACTS]
    assume(targets)
    target = targets[chosen % len(targets)]
    without = [e for e in log.events if e["position"] != target["position"]]
    before = whole(fold(log.events, basis_at(day(valid), day(49))))
    act = payload("event-retracted", target=target["event_id"], reason="x")
    log.record(act, day(50), stream=target["stream"])
    assert whole(hindsight(log.events, day(valid))) == whole(hindsight(without, day(valid)))
    assert whole(fold(log.events, basis_at(day(valid), day(49)))) == before


@given(drawn_events, days, st.randoms(use_true_random=False))
@settings(max_examples=EXAMPLES)
def test_the_order_of_arrival_does_not_matter_in_hindsight(
    drawn: list[Drawn], valid: int, random: Random
) -> None:
    log = log_of([each for each in drawn if each.kind not in {"correct", "move"}], spread=True)
    arrived = list(log.events)
    random.shuffle(arrived)
    known = text(40)
    shuffled: list[Any] = [
        {**event, "position": number, "known_at": known, "recorded_at": known}
        for number, event in enumerate(arrived, 1)
    ]
    found, expected = hindsight(shuffled, day(valid)), hindsight(log.events, day(valid))
    assert essence(found) == essence(expected)


@given(drawn_events, days, st.integers(1, 12))
@settings(max_examples=EXAMPLES)
def test_until_something_happens_only_what_was_announced_changes(
    drawn: list[Drawn], valid: int, ahead: int
) -> None:
    log = log_of(drawn)
    start, until = day(valid), day(valid + ahead)
    later = [each for each in happenings(log.events) if each > format_instant(start)]
    if later and min(later) <= format_instant(until):
        until = max(start, EPOCH.fromisoformat(min(later)) - MICROSECOND)
    now, then = hindsight(log.events, start, until), hindsight(log.events, until)
    statuses = {each.key: each.status for each in now.criteria}
    statuses |= {each.criterion: each.after.status for each in now.upcoming}
    assert statuses == {each.key: each.status for each in then.criteria}
    assert (*now.changes, *now.upcoming) == then.changes
    assert (*now.moves, *now.upcoming_moves) == then.moves


@given(drawn_events)
@settings(max_examples=EXAMPLES)
def test_a_status_changes_only_when_something_happens_or_at_an_announced_lapse(
    drawn: list[Drawn],
) -> None:
    log = log_of(drawn)
    happened = happenings(log.events)
    for change in hindsight(log.events, day(DAYS + 10)).changes:
        if change.at not in happened:
            just_before = EPOCH.fromisoformat(change.at) - MICROSECOND
            state = hindsight(log.events, just_before).criterion(change.criterion)
            assert state.status is change.before
            assert state.judgement.lapses_at == change.at


@given(drawn_events, days, st.booleans())
@settings(max_examples=EXAMPLES)
def test_the_history_in_one_fold_is_what_folding_at_each_instant_gives(
    drawn: list[Drawn], valid: int, just_before: bool
) -> None:
    log = log_of(drawn)
    last = hindsight(log.events, day(DAYS + 10))
    instant = day(valid) - (MICROSECOND if just_before and valid else timedelta(0))
    then, at = hindsight(log.events, instant), format_instant(instant)
    assert then.moves == tuple(each for each in last.moves if each.at <= at)
    assert then.changes == tuple(each for each in last.changes if each.at <= at)
    assert then.loops == tuple(each for each in last.loops if each.again_at <= at)
    assert then.stands_at == [each for each in last.moves if each.at <= at][-1].to_gate


@given(drawn_events, days)
@settings(max_examples=EXAMPLES)
def test_what_holds_has_not_lapsed_yet(drawn: list[Drawn], valid: int) -> None:
    deal = hindsight(log_of(drawn).events, day(valid))
    for each in deal.criteria:
        unsettled = deal.outcome == "open"
        if unsettled and each.judgement.lapses_at is not None:
            assert each.judgement.holds
            assert each.judgement.lapses_at > deal.valid_at


@given(drawn_events)
@settings(max_examples=EXAMPLES)
def test_a_criterion_turns_at_most_once_in_an_instant_and_is_so_since_it_turned_last(
    drawn: list[Drawn],
) -> None:
    """But where the deal is decided or reopened: there is a before and an after to that instant."""
    log = log_of(drawn)
    deal = hindsight(log.events, day(DAYS + 10))
    decided = {text(0)} | {move.at for move in deal.moves if move.kind in DECISIONS}
    turned = [(each.at, each.criterion) for each in deal.changes if each.at not in decided]
    assert len(turned) == len(set(turned))
    for state in deal.criteria:
        last = [each for each in deal.changes if each.criterion == state.key][-1:]
        assert [each.after.status for each in last] in [[], [state.status]]
        assert all(each.at == state.since for each in last)


# --- the model ------------------------------------------------------------------------------------


def told(deal: Qualification) -> Expected:
    """What the fold says, in the words of the model."""
    return Expected(
        None if deal.rulebook is None else deal.rulebook.label,
        deal.outcome,
        {each.key: each.status.value for each in deal.criteria},
        {each.key: each.status.value for each in deal.gates},
        {key for each in deal.gates for key in each.too_old if deal.outcome in {"open", "won"}},
        deal.stands_at,
        0 if deal.rulebook is None else deal.bar,
        len(deal.loops),
        no_evidence_no_revenue(deal).category.value,
    )


@given(drawn_events, days, days_known, st.booleans())
@settings(max_examples=600)
def test_the_fold_agrees_with_the_naive_model(
    drawn: list[Drawn], valid: int, known: int, just_before: bool
) -> None:
    log = log_of(drawn)
    instant = day(valid) - (MICROSECOND if just_before and valid else timedelta(0))
    basis = basis_at(instant, max(day(known), day(0)))
    streams = _streams(log.events, basis)
    model = Model(
        streams["deal:D1"],
        _published(streams),
        _of("account", streams),
        format_instant(instant),
    )
    assert told(fold(log.events, basis)) == model.answer()
