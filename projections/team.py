"""The team: who reports to whom, what they claim and what evidence says, and how they are doing.

Law: the chart is a forest. What a person owns themselves is rolled up to everybody above them, each
deal once: the roots together hold the whole forecast of the period. The chart is that of the basis
(as was), or that of the instant at which the horizon was recorded (as is); the deals are those of
the basis in both. Sums are exact and rounded once, at each line. Reporting lines in a circle are
named as a fault, and cut (see `projections.fold.people`).

Who owns deals and is in no chart stands as a root of their own, so does what nobody owns. Who left
is shown while they own something, or somebody's line still leads to them.

An assessment is due when it is stale or was never made, of those who are here and report to
somebody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ledger.domain.calendar import Period
from ledger.domain.errors import NotFound
from ledger.domain.events import Category, Event
from ledger.domain.money import format_amount
from projections.book import Book
from projections.explain import opened
from projections.fold.assessments import (
    FRESH_FOR_DAYS,
    AspectState,
    AssessmentStatus,
    assessments_at,
)
from projections.fold.people import Chart, Organisation, Person, chart_of
from projections.forecast import Forecast
from projections.scope import Scope
from projections.tally import Cell

MEASURES = ("claimed", "evidenced")
CATEGORIES = (Category.PIPELINE, Category.BEST_CASE, Category.COMMIT, Category.CLOSED)

Sums = dict[tuple[str, str], Cell]
"""(measure, category) -> exact sums."""


class Node(NamedTuple):
    """A person in the chart.

    Args:
        person_id: None for what nobody owns.
        depth: 0 for a root.
        own: what they own themselves.
        rolled_up: the same with that of all who report to them.
        reports: the ids of those who report to them directly, in order.
    """

    person_id: str | None
    depth: int
    own: Sums
    rolled_up: Sums
    reports: tuple[str, ...]


def roll_up(
    people: Mapping[str, Person], chart: Chart, owned: Mapping[str | None, Sums]
) -> list[Node]:
    """Roll sums up through a chart.

    Args:
        people: who is known.
        chart: who reports to whom, without circles.
        owned: by owner, what they own themselves.

    Returns:
        The forest, each person before those who report to them, in the order of ids; what nobody
        owns comes last.
    """
    reports: dict[str, list[str]] = {}
    for person, manager in sorted(chart.managers.items()):
        reports.setdefault(manager, []).append(person)
    everybody = {*people, *reports, *(owner for owner in owned if owner is not None)}
    roots = sorted(each for each in everybody if each not in chart.managers)
    nodes = [node for root in roots for node in _tree(root, reports, owned)]
    if None in owned:
        nodes.append(Node(None, 0, owned[None], owned[None], ()))
    return nodes


def _tree(
    root: str, reports: Mapping[str, list[str]], owned: Mapping[str | None, Sums]
) -> list[Node]:
    """A person and all below them, top down; without recursion, since lines may be long."""
    top_down: list[tuple[str, int]] = []
    waiting = [(root, 0)]
    while waiting:
        person, depth = waiting.pop()
        top_down.append((person, depth))
        waiting += [(each, depth + 1) for each in reversed(reports.get(person, []))]
    sums: dict[str, Sums] = {}
    for person, _depth in reversed(top_down):
        below = (sums[each] for each in reports.get(person, []))
        sums[person] = _merged([owned.get(person, {}), *below])
    return [
        Node(person, depth, owned.get(person, {}), sums[person], tuple(reports.get(person, ())))
        for person, depth in top_down
    ]


def _merged(parts: Iterable[Sums]) -> Sums:
    total: Sums = {}
    for part in parts:
        for key, cell in part.items():
            total.setdefault(key, Cell()).merge(cell)
    return total


def team(
    book: Book,
    period: Period,
    *,
    manager: str | None = None,
    organisation: Organisation = Organisation.AS_WAS,
) -> dict[str, Any]:
    """The chart with each person's deals in a period, rolled up, and their assessments.

    Args:
        book: the book at the basis.
        period: the fiscal period whose deals count.
        manager: only this person and those who report to them.
        organisation: by the chart as it was at the basis, or as it is.

    Returns:
        JSON: `basis`, `period`, `organisation`, `currency`, `people` (a tree, top down, with
        `depth`), `faults` of the chart, and `due`: the assessments to make.

    Raises:
        NotFound: `unknown-person`.
    """
    people = book.directory_of(organisation).people
    chart = chart_of(people)
    forecast = book.forecast(period, ("owner",))
    nodes = _in_scope(_shown(roll_up(people, chart, _owned(forecast)), people), book.scope)
    if manager is not None:
        nodes = _below(nodes, manager)
    assessed = book.of_kind("person", ("person-assessed",))
    states = {
        node.person_id: assessments_at(assessed.get(node.person_id, ()), book.valid_at)
        for node in nodes
        if node.person_id is not None and book.scope.tells_assessments_of(node.person_id)
    }
    events = book.causes(set(_positions(nodes, people, chart, states.values())))
    return {
        "basis": book.basis.as_dict(),
        "period": period.name,
        "organisation": str(organisation),
        "currency": book.settings.reporting_currency,
        "people": [
            _person(node, people, chart, forecast, states.get(node.person_id or "", ()), events)
            for node in nodes
        ],
        "due": [
            {"person": person, **_due(state)}
            for person, aspects in states.items()
            if _is_assessed(person, people, chart)
            for state in aspects
            if state.status is not AssessmentStatus.FRESH
        ],
        "faults": [
            {
                "fault": "reporting-cycle",
                "people": list(cycle.people),
                "cut_at": cycle.people[0],
                "sentence": f"{' reports to '.join([*cycle.people, cycle.people[0]])}: "
                f"counted as if {cycle.people[0]} reported to nobody.",
                "because": opened(cycle.causes, events),
            }
            for cycle in chart.cycles
        ],
    }


def _owned(forecast: Forecast) -> dict[str | None, Sums]:
    owned: dict[str | None, Sums] = {}
    for (group, measure, category), cell in forecast.tally.cells.items():
        if measure in MEASURES:
            owned.setdefault(group[0], {})[measure, str(category)] = cell
    return owned


def _shown(nodes: list[Node], people: Mapping[str, Person]) -> list[Node]:
    """Without those who left, own nothing and stand above nobody."""
    return [
        node
        for node in nodes
        if node.rolled_up or node.reports or not _has_left(node.person_id, people)
    ]


def _in_scope(nodes: list[Node], scope: Scope) -> list[Node]:
    """The part of the forest that a scope shows, each person below their nearest superior in it."""
    if not scope.is_limited:
        return nodes
    shown: list[Node] = []
    above: list[int] = []
    """The depths in the whole forest of those shown who stand above, the nearest last."""
    for node in nodes:
        while above and above[-1] >= node.depth:
            above.pop()
        if not scope.holds(node.person_id):
            continue
        reports = tuple(each for each in node.reports if scope.holds(each))
        shown.append(node._replace(depth=len(above), reports=reports))
        above.append(node.depth)
    return shown


def _has_left(person_id: str | None, people: Mapping[str, Person]) -> bool:
    person = people.get(person_id or "")
    return person is not None and person.left


def _below(nodes: list[Node], manager: str) -> list[Node]:
    """One person's part of the forest, as a tree of its own."""
    start = next((n for n, node in enumerate(nodes) if node.person_id == manager), None)
    if start is None:
        raise NotFound(
            "unknown-person",
            f"nobody of the id {manager!r} is in this chart",
            where="manager",
            hint="qledger team shows the chart",
        )
    top = nodes[start].depth
    part = [nodes[start]]
    for node in nodes[start + 1 :]:
        if node.depth <= top:
            break
        part.append(node)
    return [node._replace(depth=node.depth - top) for node in part]


def _positions(
    nodes: Iterable[Node],
    people: Mapping[str, Person],
    chart: Chart,
    states: Iterable[tuple[AspectState, ...]],
) -> Iterator[int]:
    for node in nodes:
        person = people.get(node.person_id or "")
        yield from () if person is None else person.causes
    for cycle in chart.cycles:
        yield from cycle.causes
    for aspects in states:
        for state in aspects:
            yield from (assessment.cause for assessment in state.history)


def _is_assessed(person_id: str, people: Mapping[str, Person], chart: Chart) -> bool:
    """Whether somebody is here and has a manager who could assess them."""
    person = people.get(person_id)
    return person is not None and not person.left and person_id in chart.managers


def _person(
    node: Node,
    people: Mapping[str, Person],
    chart: Chart,
    forecast: Forecast,
    states: tuple[AspectState, ...],
    events: Mapping[int, Event],
) -> dict[str, Any]:
    person = people.get(node.person_id or "")
    return {
        "person": node.person_id,
        "depth": node.depth,
        "name": None if person is None else person.name,
        "role": None if person is None else person.role,
        "team": None if person is None else person.team,
        "manager": chart.managers.get(node.person_id or ""),
        "left": _has_left(node.person_id, people),
        "in_chart": person is not None,
        "reports": list(node.reports),
        "own": _sums(node.own, forecast),
        "rolled_up": _sums(node.rolled_up, forecast),
        "assessments": [_aspect(state, events) for state in states],
        "because": [] if person is None else opened(person.causes, events),
    }


def _sums(sums: Sums, forecast: Forecast) -> dict[str, Any]:
    claimed = [cell for (measure, _category), cell in sums.items() if measure == "claimed"]
    return {
        "deals": sum(cell.deals for cell in claimed),
        **{
            measure: {
                str(category): format_amount(
                    forecast.amount(sums.get((measure, category)) or Cell())
                )
                for category in CATEGORIES
            }
            for measure in MEASURES
        },
    }


def _aspect(state: AspectState, events: Mapping[int, Event]) -> dict[str, Any]:
    last = state.last
    return {
        "aspect": state.aspect,
        "status": str(state.status),
        "score": None if last is None else last.score,
        "assessor": None if last is None else last.assessor,
        "at": None if last is None else last.at,
        "note": None if last is None else last.note,
        "since": state.since,
        "lapses_at": state.lapses_at,
        "history": [
            {"at": each.at, "score": each.score, "assessor": each.assessor, "position": each.cause}
            for each in state.history
        ],
        "because": [] if last is None else opened((last.cause,), events),
    }


def _due(state: AspectState) -> dict[str, Any]:
    last = state.last
    return {
        "aspect": state.aspect,
        "status": str(state.status),
        "since": state.since,
        "fresh_for_days": FRESH_FOR_DAYS[state.aspect],
        "position": None if last is None else last.cause,
    }
