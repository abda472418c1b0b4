"""The questions: forecast, deal, deals, timeline, diff."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.asof import AsOf
from api.cli.asking import (
    BASIS_REST,
    DealArgument,
    FormatOption,
    HorizonOption,
    OrganisationOption,
    PeriodOption,
    WitnessedOption,
    asked_for,
    basis_rest,
    because,
    note_made_from,
    question,
    question_without_judgement,
    write_answer,
)
from api.cli.output import Format, basis_line, brief, write_csv, write_json, write_line, write_table
from api.cli.session import open_door
from projections.deals import deal_as_dict, deals_rows
from projections.fold.people import Organisation
from projections.forecast import MEASURES
from projections.summary import spell


@question
def forecast(
    asked: AsOf,
    period: PeriodOption = None,
    group_by: Annotated[
        str,
        typer.Option(
            help="Comma-separated: owner, manager, team, stage, gate, category, segment ..."
        ),
    ] = "",
    organisation: OrganisationOption = Organisation.AS_WAS,
    output: FormatOption = Format.TABLE,
) -> None:
    """What the forecast of a period looked like at a basis."""
    dimensions = tuple(part.strip() for part in group_by.split(",") if part.strip())
    with open_door() as door, door.book(asked) as book:
        found = book.forecast(book.period(period), dimensions, organisation)
        book.check_known(found.group_by, found.tally.groups())
        answer = found.as_dict()
        note_made_from(book)
    if output is Format.JSON:
        write_json(answer)
    elif output is Format.CSV:
        write_csv(*_forecast_rows(answer, dimensions))
    else:
        _forecast_table(answer, dimensions)


def _cells(measures: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (measure, category, cell)
        for measure in MEASURES
        for category, cell in (measures[measure] or {}).items()
    ]


def _forecast_rows(
    answer: dict[str, Any], dimensions: tuple[str, ...]
) -> tuple[list[str], list[list[object]]]:
    basis = answer["basis"]
    columns = [
        *dimensions, "measure", "category", "amount", "currency", "deals", "period",
        "valid_at", "known_at", *BASIS_REST,
    ]  # fmt: skip
    groups = answer["groups"] if dimensions else [{"key": {}, "measures": answer["measures"]}]
    rows: list[list[object]] = [
        [
            *group["key"].values(), measure, category, cell["amount"], answer["currency"],
            cell["deals"], answer["period"]["name"],
            basis["valid_at"], basis["known_at"], *basis_rest(basis),
        ]
        for group in groups
        for measure, category, cell in _cells(group["measures"])
    ]  # fmt: skip
    return columns, rows


def _forecast_table(answer: dict[str, Any], dimensions: tuple[str, ...]) -> None:
    period, currency = answer["period"], answer["currency"] or "no currency yet"
    title = f"Forecast {period['name']} ({period['first_day']} to {period['last_day']}), {currency}"
    categories = list(answer["measures"]["claimed"])
    groups = [
        *answer["groups"],
        {"key": dict.fromkeys(dimensions, "all"), "measures": answer["measures"]},
    ]
    rows = [
        [*(_name(part) for part in group["key"].values()), measure,
         *(_shown(group["measures"][measure], category) for category in categories)]
        for group in groups
        for measure in MEASURES
    ]  # fmt: skip
    write_table(title, [*dimensions, "measure", *(f"{each}*" for each in categories)], rows)
    notes = {
        "without an amount": len(answer["without_amount"]),
        "without a close date, in no period": len(answer["without_close_date"]),
    }
    for note, count in notes.items():
        if count:
            write_line(
                f"{count} {'deal' if count == 1 else 'deals'} {note} (--format json lists them)"
            )
    for missing in answer["unconverted"]:
        write_line(
            f"not in the sums for want of a rate: {missing['amount']} {missing['currency']} "
            f"({missing['measure']}, {missing['category']})"
        )
    write_line(basis_line(answer["basis"]))


def _name(part: str | None) -> str:
    return "-" if part is None else part


def _shown(measure: dict[str, Any] | None, category: str) -> str:
    if measure is None:
        return ""
    cell = measure[category]
    if not cell["by_currency"] and not cell["deals"]:
        return "-"
    deals = "" if cell["deals"] is None else f" ({cell['deals']})"
    whole, _point, cents = cell["amount"].partition(".")
    return f"{int(whole):,}" + (f".{cents}" if cents else "") + deals


@question
def deal(
    deal_id: DealArgument,
    asked: AsOf,
    output: FormatOption = Format.TABLE,
) -> None:
    """What is claimed of a deal at a basis, and which event answers for each field."""
    with open_door() as door, door.book(asked) as book:
        answer = deal_as_dict(book, book.deal(deal_id))
    columns = ["field", "value", "position", "type", "occurred_at", "known_at", "actor"]
    rows = [
        [field, spell(claim["value"]), *(claim["because"][key] for key in columns[2:])]
        for field, claim in answer["claims"].items()
    ]

    def table() -> None:
        write_table(f"Deal {deal_id}: {answer['outcome']}, {answer['category']}", columns, rows)
        write_line(answer["headline"])

    write_answer(answer, output, columns, rows, table)


@question
def deals(
    asked: AsOf,
    period: PeriodOption = None,
    category: Annotated[str | None, typer.Option(help="Only deals in this category.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """The deals behind a forecast: those that count in a period, with what counts."""
    with open_door() as door, door.book(asked) as book:
        answer = deals_rows(book, book.period(period), category)
    columns = ["deal", "name", "owner", "team", "stage", "category", "evidenced", "stands_at",
               "amount", "currency", "close_date", "outcome", "why"]  # fmt: skip
    rows = ([each[column] for column in columns] for each in answer["deals"])
    write_answer(answer, output, columns, rows, lambda: _deals_table(answer))


def _deals_table(answer: dict[str, Any]) -> None:
    columns = ["deal", "name", "category", "evidenced", "stands at", "amount*", "why"]
    rows = [
        [each["deal"], each["name"], each["category"], each["evidenced"], each["stands_at"],
         "" if each["amount"] is None else f"{each['amount']} {each['currency']}", each["why"]]
        for each in answer["deals"]
    ]  # fmt: skip
    write_table(f"Deals of {answer['period']}", columns, rows)


@question_without_judgement
def timeline(
    deal_id: DealArgument,
    asked: AsOf,
    output: FormatOption = Format.TABLE,
) -> None:
    """Every event of a deal on both time axes, and what became of it."""
    from projections.timeline import timeline as ask

    with open_door() as door, door.book(asked) as book:
        answer = ask(book, deal_id)
    columns = ["position", "occurred_at", "known_at", "type", "summary", "actor", "status"]

    def table() -> None:
        rows = [
            [brief(event[column]) if column in {"occurred_at", "known_at"} else event[column]
             for column in columns]
            for event in answer["events"]
        ]  # fmt: skip
        write_table(f"Timeline of {deal_id}", columns, rows)

    stated = [*columns, "event_id"]
    rows = ([event[column] for column in stated] for event in answer["events"])
    write_answer(answer, output, stated, rows, table)


def diff(
    start: Annotated[str, typer.Option("--from", help="The earlier time.")],
    to: Annotated[str, typer.Option("--to", help="The later time; `now` is allowed.")],
    known_at: Annotated[
        str | None,
        typer.Option("--known-at", help="Both as known when; by default each as known then."),
    ] = None,
    to_known_at: Annotated[
        str | None,
        typer.Option("--to-known-at", help="The later one as known when; `now` is hindsight."),
    ] = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    period: PeriodOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """Which deals moved between two times, by how much, because of which events."""
    from projections.diff import diff as ask

    first = asked_for(start, None, known_at, horizon, witnessed_only)
    second = asked_for(
        to, None, known_at if to_known_at is None else to_known_at, horizon, witnessed_only
    )
    with open_door() as door, door.books(first, second) as (opening, closing):
        answer = ask(opening, closing, closing.period(period)).as_dict()
    if output is Format.JSON:
        write_json(answer)
        return
    columns = ["deal", "name", "change", "fields", "because"]
    rows = [
        [each["deal"], each["name"], each["change"],
         "; ".join(f"{f['field']}: {spell(f['old'])} -> {spell(f['new'])}" for f in each["fields"]),
         because(each["because"])]
        for each in answer["deals"]
    ]  # fmt: skip
    if output is Format.CSV:
        times = ("valid_at", "known_at", "horizon")
        stated = [answer[side][time] for side in ("from", "to") for time in times]
        stated += basis_rest(answer["to"])[1:]
        columns += [f"{side}_{time}" for side in ("from", "to") for time in times] + BASIS_REST[1:]
        write_csv(columns, [[*row, *stated] for row in rows])
        return
    columns[2] = "change*"
    write_table(f"What moved, {answer['period']}, {answer['currency']}", columns, rows)
    write_line(
        f"opening {answer['opening']} + revaluation {answer['revaluation']} "
        f"+ change {answer['change']} = closing {answer['closing']}"
    )
    write_line("from " + basis_line(answer["from"]))
    write_line("to   " + basis_line(answer["to"]))
