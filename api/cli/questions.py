"""The questions: forecast, deal, deals, timeline, diff."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from api.asof import AsOf, parse_horizon
from api.cli.output import Format, basis_line, brief, write_csv, write_json, write_line, write_table
from api.cli.session import open_door
from projections.deals import deal_as_dict, deals_rows
from projections.fold.people import Organisation
from projections.forecast import MEASURES
from projections.summary import spell

AsOfOption = Annotated[
    str | None,
    typer.Option(
        "--as-of", help="The time asked about, as known then: 2026-03-31, an instant, or pos:1090."
    ),
]
ValidAtOption = Annotated[
    str | None, typer.Option("--valid-at", help="Valid time alone, where it differs from --as-of.")
]
KnownAtOption = Annotated[
    str | None, typer.Option("--known-at", help="As known when; `now` is hindsight.")
]
HorizonOption = Annotated[
    str | None, typer.Option("--horizon", help="The last position to take into account.")
]
WitnessedOption = Annotated[
    bool, typer.Option("--witnessed-only", help="Leave out what sources attested.")
]
UnderOption = Annotated[
    str | None,
    typer.Option(
        "--under", help="Judge by this playbook version, such as buyers_journey@2, in force or not."
    ),
]
OwnerOption = Annotated[str | None, typer.Option(help="Only deals of this owner.")]
DealArgument = Annotated[str, typer.Argument(help="The deal's id, as in the CRM.")]
OrganisationOption = Annotated[
    Organisation,
    typer.Option(help="Roll up by who people reported to then (as_was) or report to now (as_is)."),
]
FormatOption = Annotated[Format, typer.Option("--format", help="How to write the answer.")]
PeriodOption = Annotated[
    str | None,
    typer.Option("--period", help="2026-Q1, 2026 or 2026-03; by default the quarter asked about."),
]


def asked_for(
    as_of: str | None, valid_at: str | None, known_at: str | None, horizon: str | None,
    witnessed_only: bool, under: str | None = None,
) -> AsOf:  # fmt: skip
    position = None if horizon is None else parse_horizon(horizon)
    return AsOf(as_of, valid_at, known_at, position, witnessed_only, under)


def forecast(
    as_of: AsOfOption = None,
    valid_at: ValidAtOption = None,
    known_at: KnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    under: UnderOption = None,
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
    asked = asked_for(as_of, valid_at, known_at, horizon, witnessed_only, under)
    with open_door() as door, door.book(asked) as book:
        answer = book.forecast(book.period(period), dimensions, organisation).as_dict()
    if output is Format.JSON:
        write_json(answer)
    elif output is Format.CSV:
        write_csv(*_forecast_rows(answer, dimensions))
    else:
        _forecast_table(answer, dimensions)


BASIS_REST = ["horizon", "witnessed_only", "under", "rules"]
BASIS_COLUMNS = ["basis_valid_at", "basis_known_at", *BASIS_REST]
"""Behind the columns of each CSV: a row says by itself on what it rests."""


def _rest(basis: dict[str, Any]) -> list[object]:
    witnessed_only = "true" if basis["witnessed_only"] else "false"
    return [basis["horizon"], witnessed_only, basis.get("under"), basis["rules"]]


def write_basis_csv(columns: list[str], rows: list[list[Any]], basis: dict[str, Any]) -> None:
    stated = [basis["valid_at"], basis["known_at"], *_rest(basis)]
    write_csv([*columns, *BASIS_COLUMNS], [[*row, *stated] for row in rows])


def because(events: list[dict[str, Any]]) -> str:
    """The events behind an answer, in one cell of a table."""
    return "; ".join(f"{e['position']} {e['type']} {brief(e['known_at'])}" for e in events)


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
            basis["valid_at"], basis["known_at"], *_rest(basis),
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


def deal(
    deal_id: DealArgument,
    as_of: AsOfOption = None,
    valid_at: ValidAtOption = None,
    known_at: KnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    under: UnderOption = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """What is claimed of a deal at a basis, and which event answers for each field."""
    asked = asked_for(as_of, valid_at, known_at, horizon, witnessed_only, under)
    with open_door() as door, door.book(asked) as book:
        answer = deal_as_dict(book, book.deal(deal_id))
    if output is Format.JSON:
        write_json(answer)
        return
    columns = ["field", "value", "position", "type", "occurred_at", "known_at", "actor"]
    rows = [
        [field, spell(claim["value"]), *(claim["because"][key] for key in columns[2:])]
        for field, claim in answer["claims"].items()
    ]
    if output is Format.CSV:
        write_basis_csv(columns, rows, answer["basis"])
        return
    write_table(f"Deal {deal_id}: {answer['outcome']}, {answer['category']}", columns, rows)
    write_line(answer["headline"])
    write_line(basis_line(answer["basis"]))


def deals(
    as_of: AsOfOption = None,
    valid_at: ValidAtOption = None,
    known_at: KnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    under: UnderOption = None,
    period: PeriodOption = None,
    category: Annotated[str | None, typer.Option(help="Only deals in this category.")] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """The deals behind a forecast: those that count in a period, with what counts."""
    asked = asked_for(as_of, valid_at, known_at, horizon, witnessed_only, under)
    with open_door() as door, door.book(asked) as book:
        answer = deals_rows(book, book.period(period), category)
    if output is Format.JSON:
        write_json(answer)
        return
    columns = ["deal", "name", "owner", "team", "stage", "category", "evidenced", "stands_at",
               "amount", "currency", "close_date", "outcome", "why"]  # fmt: skip
    rows = [[each[column] for column in columns] for each in answer["deals"]]
    if output is Format.CSV:
        write_basis_csv(columns, rows, answer["basis"])
        return
    columns = ["deal", "name", "category", "evidenced", "stands at", "amount*", "why"]
    rows = [
        [each["deal"], each["name"], each["category"], each["evidenced"], each["stands_at"],
         "" if each["amount"] is None else f"{each['amount']} {each['currency']}", each["why"]]
        for each in answer["deals"]
    ]  # fmt: skip
    write_table(f"Deals of {answer['period']}", columns, rows)
    write_line(basis_line(answer["basis"]))


def timeline(
    deal_id: DealArgument,
    as_of: AsOfOption = None,
    valid_at: ValidAtOption = None,
    known_at: KnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    output: FormatOption = Format.TABLE,
) -> None:
    """Every event of a deal on both time axes, and what became of it."""
    from projections.timeline import timeline as ask

    asked = asked_for(as_of, valid_at, known_at, horizon, witnessed_only)
    with open_door() as door, door.book(asked) as book:
        answer = ask(book, deal_id)
    if output is Format.JSON:
        write_json(answer)
        return
    columns = ["position", "occurred_at", "known_at", "type", "summary", "actor", "status"]
    if output is Format.CSV:
        columns.append("event_id")
        rows = [[event[column] for column in columns] for event in answer["events"]]
        write_basis_csv(columns, rows, answer["basis"])
        return
    rows = [
        [brief(event[column]) if column in {"occurred_at", "known_at"} else event[column]
         for column in columns]
        for event in answer["events"]
    ]  # fmt: skip
    write_table(f"Timeline of {deal_id}", columns, rows)
    write_line(basis_line(answer["basis"]))


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
        stated += _rest(answer["to"])[1:]
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
