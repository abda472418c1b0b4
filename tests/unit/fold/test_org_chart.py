"""The chart: chains of command, circles in it, and sums rolled up through it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.money import Money
from projections.fold.people import Chart, Cycle, Person, chart_of, people_at
from projections.tally import Cell
from projections.team import Sums, roll_up
from tests.unit.domain.builders import Log, payload, spelled

KEY = ("claimed", "commit")


def people(**managers: str | None) -> dict[str, Person]:
    return {
        each: Person(each, each.title(), manager=manager, causes=(number,))
        for number, (each, manager) in enumerate(managers.items(), 1)
    }


def owned(amount: int) -> Sums:
    cell = Cell()
    cell.add(Money(Decimal(amount), "USD"), 1)
    return {KEY: cell}


def test_the_chain_of_command_begins_with_the_nearest_superior() -> None:
    chart = chart_of(people(ann="mia", mia="dora", dora=None, bob="mia"))
    assert chart.above("ann") == ("mia", "dora")
    assert chart.above("dora") == ()
    assert chart.above("nobody") == ()
    assert chart.below("dora") == {"ann", "mia", "bob"}
    assert chart.below("mia") == {"ann", "bob"}
    assert chart.cycles == ()


def test_a_manager_whom_no_record_names_still_stands_in_the_chart() -> None:
    chart = chart_of(people(ann="ghost"))
    assert chart.above("ann") == ("ghost",)
    nodes = roll_up(people(ann="ghost"), chart, {"ann": owned(5)})
    assert [(node.person_id, node.depth, node.reports) for node in nodes] == [
        ("ghost", 0, ("ann",)),
        ("ann", 1, ()),
    ]


def test_a_circle_is_named_and_cut_at_the_smallest_id() -> None:
    chart = chart_of(people(cid="ann", ann="bob", bob="cid", dan="bob"))
    assert chart.cycles == (Cycle(("ann", "bob", "cid"), (1, 2, 3)),)
    assert chart.managers == {"bob": "cid", "cid": "ann", "dan": "bob"}
    assert chart.above("dan") == ("bob", "cid", "ann")


def test_who_reports_to_themselves_is_a_circle_of_one() -> None:
    chart = chart_of(people(ann="ann", bob="ann"))
    assert chart.cycles == (Cycle(("ann",), (1,)),)
    assert chart.managers == {"bob": "ann"}


def test_the_events_behind_a_person_are_those_of_their_name_manager_and_leaving() -> None:
    log = Log()
    ann = "person:ann"
    log.record(payload("person-joined", name="Ann", manager="mia"), "2026-01-01", stream=ann)
    log.record(payload("person-reassigned", team="South"), "2026-01-02", stream=ann)
    log.record(payload("person-reassigned", manager="bob"), "2026-01-03", stream=ann)
    log.record(payload("person-left"), "2026-01-04", stream=ann)
    assert people_at(log.events, spelled("2026-01-02"))["ann"].causes == (1,)
    assert people_at(log.events, spelled("2026-01-03"))["ann"].causes == (1, 3)
    assert people_at(log.events, spelled("2026-01-04"))["ann"].causes == (1, 3, 4)


def test_sums_roll_up_through_the_chart_and_what_nobody_owns_comes_last() -> None:
    staff = people(ann="mia", bob="mia", mia="dora", dora=None)
    nodes = roll_up(
        staff,
        chart_of(staff),
        {"ann": owned(1), "bob": owned(2), "mia": owned(4), "zoe": owned(8), None: owned(16)},
    )
    assert [(node.person_id, node.depth, total(node.own), total(node.rolled_up))
            for node in nodes] == [
        ("dora", 0, 0, 7),
        ("mia", 1, 4, 7),
        ("ann", 2, 1, 1),
        ("bob", 2, 2, 2),
        ("zoe", 0, 8, 8),
        (None, 0, 16, 16),
    ]  # fmt: skip


def total(sums: Sums) -> int:
    return int(sums[KEY].amounts["USD"]) if KEY in sums else 0


ids = st.sampled_from("abcdefgh")


@given(st.dictionaries(ids, st.none() | ids), st.dictionaries(st.none() | ids, st.integers(0, 99)))
def test_in_any_chart_the_roots_hold_the_whole_and_nobody_is_above_themselves(
    managers: dict[str, str | None], amounts: dict[str | None, int]
) -> None:
    staff = people(**managers)
    chart = chart_of(staff)
    for each in "abcdefgh":
        assert each not in chart.above(each)
    nodes = roll_up(staff, chart, {who: owned(amount) for who, amount in amounts.items()})
    assert len({node.person_id for node in nodes}) == len(nodes)
    assert {node.person_id for node in nodes} >= {*staff, *amounts}
    assert sum(total(node.rolled_up) for node in nodes if node.depth == 0) == sum(amounts.values())
    assert sum(total(node.own) for node in nodes) == sum(amounts.values())


@given(st.permutations(["ann", "bob", "cid", "dan"]))
def test_a_chart_does_not_depend_on_the_order_of_people(order: list[str]) -> None:
    lines = {"ann": "bob", "bob": "cid", "cid": "ann", "dan": "ann"}
    staff = people(**lines)
    chart = chart_of({each: staff[each] for each in order})
    assert chart == Chart(
        {"bob": "cid", "cid": "ann", "dan": "ann"}, (Cycle(("ann", "bob", "cid"), (1, 2, 3)),)
    )
