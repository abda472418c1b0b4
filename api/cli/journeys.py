"""Questions about the buyer's journey: gates, findings, lapses."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.asof import AsOf
from api.cli.asking import (
    DealArgument,
    FormatOption,
    OwnerOption,
    PeriodOption,
    because,
    question,
    write_answer,
)
from api.cli.output import Format, brief, write_line, write_table
from api.cli.session import open_door
from ledger.domain.playbook import in_words

UntilOption = Annotated[
    str | None,
    typer.Option(help="Also tell what lapses until then if nothing happens: a date or an instant."),
]


@question
def gates(
    deal_id: DealArgument,
    asked: AsOf,
    until: UntilOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Where a deal really stands, gate by gate, why, and what is missing."""
    from projections.journey import gates_as_dict

    with open_door() as door, door.book(asked) as book:
        ahead = None if until is None else door.instant(until, book.basis)
        answer = gates_as_dict(book, book.deal(deal_id), ahead_until=ahead)
    columns = ["gate", "criterion", "status", "since", "why", "because"]
    rows = (
        [gate["gate"], each["criterion"], each["status"], each["since"], each["summary"],
         because(each["because"])]
        for gate in answer["gates"]
        for each in gate["criteria"]
    )  # fmt: skip
    write_answer(answer, output, columns, rows, lambda: _gates_tables(answer))


_KEPT = {
    "unplaced": "on what this playbook version does not have, so changing nothing",
    "after_close": "given after the decision, so changing nothing that it settled",
    "before_opening": "from before the opening, counting from then on",
}


def _gates_tables(answer: dict[str, Any]) -> None:
    write_line(f"{answer['deal']} {answer['name'] or ''}".rstrip())
    write_line(answer["headline"])
    rows: list[list[object]] = []
    for gate in answer["gates"]:
        rows.append([gate["name"], gate["status"], brief(gate["since"]), gate["summary"], ""])
        rows += [
            [f"  {each['criterion']}{'' if each['mandatory'] else ' (optional)'}", each["status"],
             brief(each["since"]), each["summary"], because(each["because"])]
            for each in gate["criteria"]
        ]  # fmt: skip
    write_table("Gates", ["gate, criterion", "status", "since", "why", "because"], rows)
    _stakeholders_table(answer["stakeholders"])
    moves = [
        [brief(move["at"]), in_words(move["kind"]), move["summary"], because(move["because"])]
        for move in answer["moves"]
    ]
    write_table("The way so far", ["at", "kind", "what happened", "because"], moves)
    went_back = [
        [brief(move["at"]), f"{move['from_stage']} -> {move['to_stage']}", because(move["because"])]
        for move in answer["claimed_journey"]["moves"]
        if move["kind"] == "backward"
    ]
    if went_back:
        write_table("Where the claimed stage went back", ["at", "stages", "because"], went_back)
    if answer["findings"]:
        noticed = [
            [each["rule"], each["sentence"], because(each["because"])]
            for each in answer["findings"]
        ]
        write_table("Claims against evidence", ["rule", "finding", "because"], noticed)
    if answer["upcoming"]:
        ahead = [
            [brief(each["at"]), each["gate"], each["criterion"], each["status"],
             because(each["because"])]
            for each in answer["upcoming"]
        ]  # fmt: skip
        write_table(
            "What lapses if nothing happens", ["at", "gate", "criterion", "then", "because"], ahead
        )
    for kept, told in _KEPT.items():
        if answer[kept]:
            positions = ", ".join(str(event["position"]) for event in answer[kept])
            write_line(f"{told}: {positions}")
    playbook = answer["playbook"]
    if playbook is not None:
        review = playbook["review"]
        late = review is not None and review["overdue"]
        overdue = f", not reviewed since {brief(review['at'])}" if late else ""
        write_line(f"judged by {playbook['key']}@{playbook['version']}{overdue}")


def _stakeholders_table(stakeholders: list[dict[str, Any]]) -> None:
    if not stakeholders:
        return
    columns = ["stakeholder", "name", "role", "seniority", "influence", "reports to", "there"]
    rows = [
        [each["stakeholder_id"], each["name"], each["role"], each["seniority"], each["influence"],
         each["reports_to"], "yes" if each["here"] else f"left {brief(each['left_at'] or '')}"]
        for each in stakeholders
    ]  # fmt: skip
    write_table("At the buyer", columns, rows)


@question
def findings(
    asked: AsOf,
    period: PeriodOption = None,
    owner: OwnerOption = None,
    rule: Annotated[str | None, typer.Option(help="Only findings of this rule.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Claims against evidence over the open deals: inflation, contradictions, single threads."""
    from projections.journey import findings_rows

    with open_door() as door, door.book(asked) as book:
        answer = findings_rows(book, period=period, owner=owner, rule=rule)
    columns = ["deal", "name", "owner", "rule", "sentence", "because"]
    rows = [
        [*(each[column] for column in columns[:-1]), because(each["because"])]
        for each in answer["findings"]
    ]
    title = "Claims against evidence"
    write_answer(answer, output, columns, rows, lambda: write_table(title, columns, rows))


@question
def lapses(
    until: Annotated[str, typer.Option(help="Until when: a date or an instant.")],
    asked: AsOf,
    period: PeriodOption = None,
    owner: OwnerOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What will fall until then if nothing happens, and which deals fall back to which gate."""
    from projections.journey import lapses_rows

    with open_door() as door, door.book(asked) as book:
        ahead = door.instant(until, book.basis)
        answer = lapses_rows(book, ahead, period=period, owner=owner)
    columns = ["at", "deal", "name", "owner", "criterion", "status", "stands_at_before",
               "stands_at_after", "because"]  # fmt: skip
    rows = [
        [*(each[column] for column in columns[:-1]), because(each["because"])]
        for each in answer["lapses"]
    ]
    write_answer(answer, output, columns, rows, lambda: _lapses_table(answer))


def _lapses_table(answer: dict[str, Any]) -> None:
    columns = ["at", "deal", "name", "criterion", "then", "falls back", "because"]
    rows = [
        [brief(each["at"]), each["deal"], each["name"], each["criterion"], each["status"],
         _fall(each), because(each["because"])]
        for each in answer["lapses"]
    ]  # fmt: skip
    write_table(f"What lapses until {brief(answer['until'])}", columns, rows)


def _fall(lapse: dict[str, Any]) -> str:
    if lapse["stands_at_after"] is None:
        return ""
    return f"from {lapse['stands_at_before']} to {lapse['stands_at_after']}"
