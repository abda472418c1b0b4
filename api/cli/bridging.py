"""The questions about change over time: bridge, flows, series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from api.asof import AsOf
from api.cli.asking import (
    BASIS_REST,
    FormatOption,
    HorizonOption,
    OrganisationOption,
    PeriodOption,
    WitnessedOption,
    asked_for,
    basis_rest,
    because,
    note_made_from,
)
from api.cli.output import (
    Format,
    basis_line,
    brief,
    fits,
    write_csv,
    write_json,
    write_line,
    write_table,
)
from api.cli.session import open_door
from projections.fold.people import Organisation

if TYPE_CHECKING:
    from projections.movements import Between

FromOption = Annotated[str, typer.Option("--from", help="The first time, as known then.")]
ToOption = Annotated[str, typer.Option("--to", help="The second time; `now` is allowed.")]
KnownAtBothOption = Annotated[
    str | None,
    typer.Option("--known-at", help="Both as known when; by default each as known then."),
]
ToKnownAtOption = Annotated[
    str | None,
    typer.Option("--to-known-at", help="The second one as known when; `now` is hindsight."),
]
MeasureOption = Annotated[
    str, typer.Option("--measure", help="claimed, evidenced, weighted or closed.")
]
OfPeriodOption = Annotated[
    str | None,
    typer.Option(
        "--period", help="2026-Q1, 2026 or 2026-03; by default the quarter of the second time."
    ),
]

_TIMES = ("valid_at", "known_at", "horizon")


class FlowBy(StrEnum):
    """What open deals are taken together by."""

    CATEGORY = "category"
    GATE = "gate"


class EveryOption(StrEnum):
    """How often there is a point."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"


@contextmanager
def _between(
    times: tuple[str, str],
    known: tuple[str | None, str | None],
    horizon: str | None,
    witnessed_only: bool,
    period: str | None,
) -> Iterator[Between]:
    from projections.movements import Between

    to_known = known[0] if known[1] is None else known[1]
    first = asked_for(times[0], None, known[0], horizon, witnessed_only)
    second = asked_for(times[1], None, to_known, horizon, witnessed_only)
    with open_door() as door, door.books(first, second) as (opening, closing):
        yield Between(opening, closing, closing.period(period))


def bridge(
    start: FromOption,
    to: ToOption,
    known_at: KnownAtBothOption = None,
    to_known_at: ToKnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    period: OfPeriodOption = None,
    measure: MeasureOption = "claimed",
    group_by: Annotated[
        str, typer.Option(help="Comma-separated: owner, manager, team, category, currency.")
    ] = "",
    step: Annotated[
        str | None,
        typer.Option(help="Open this step into its deals and events, such as slipped."),
    ] = None,
    output: FormatOption = Format.TABLE,
) -> None:
    """How the amount of a period moved from one time to another, step by step."""
    from projections.bridge import bridge as ask
    from projections.opened import opened

    known = (known_at, to_known_at)
    with _between((start, to), known, horizon, witnessed_only, period) as between:
        if step is not None:
            answer = opened(between, measure, step)
        else:
            answer = ask(between, measure, _split(group_by)).as_dict()
        note_made_from(between.closing)
    if output is Format.JSON:
        write_json(answer)
    elif step is not None:
        _write(answer, output, *_changes(answer))
    else:
        _write(answer, output, *_steps(answer))


def _split(dimensions: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in dimensions.split(",") if part.strip())


def _write(
    answer: dict[str, Any],
    output: Format,
    title: str,
    columns: list[str],
    rows: Sequence[Sequence[object]],
) -> None:
    """Rows as CSV with both bases in each, or as a table with both below it."""
    if output is Format.CSV:
        stated = [answer[side][time] for side in ("from", "to") for time in _TIMES]
        stated += basis_rest(answer["to"])[1:]
        names = [f"{side}_{time}" for side in ("from", "to") for time in _TIMES]
        plain = [column.removesuffix("*") for column in columns]
        write_csv([*plain, *names, *BASIS_REST[1:]], [[*row, *stated] for row in rows])
        return
    write_table(title, columns, rows)
    for currency in answer.get("unconverted", ()):
        write_line(f"not in the sums for want of a rate: {currency}")
    write_line("from " + basis_line(answer["from"]))
    write_line("to   " + basis_line(answer["to"]))


def _steps(answer: dict[str, Any]) -> tuple[str, list[str], list[list[object]]]:
    dimensions = answer["group_by"]
    rows: list[list[object]] = []
    for group in answer["groups"]:
        rows += [[*group["key"].values(), *row] for row in _lines(group)]
    rows += [[*("all" for _ in dimensions), *row] for row in _lines(answer)]
    columns = [*dimensions, "step", "amount*", "deals*", "changes*", "restated*"]
    period, currency = answer["period"]["name"], answer["currency"] or "no currency yet"
    return f"Bridge {period}, {answer['measure']}, {currency}", columns, rows


def _lines(lines: dict[str, Any]) -> Iterator[list[object]]:
    opening, closing = lines["opening"], lines["closing"]
    yield ["opening", opening["amount"], opening["deals"], None, None]
    for each in lines["steps"]:
        if each["changes"] or each["amount"].strip("-0."):
            yield [each[name] for name in ("step", "amount", "deals", "changes", "restated")]
    yield ["closing", closing["amount"], closing["deals"], None, None]


def _changes(answer: dict[str, Any]) -> tuple[str, list[str], list[list[object]]]:
    columns = ["deal", "at", "amount*", "before", "after", "because"]
    rows: list[list[object]] = [
        [each["deal"], "restated" if each["at"] is None else brief(each["at"]), each["amount"],
         _side(each["before"]), _side(each["after"]), because(each["because"])]
        for each in answer["changes"]
    ]  # fmt: skip
    title = f"{answer['step']}, {answer['period']}, {answer['measure']}, {answer['currency']}"
    return title, columns, rows


def _side(side: dict[str, Any] | None) -> str:
    if side is None:
        return "not in the book"
    facts = (side["owner"], side["month"], side["outcome"], side["category"])
    amount = "" if side["amount"] is None else f" {side['amount']} {side['currency']}"
    return " ".join(fact or "-" for fact in facts) + amount


def flows(
    start: FromOption,
    to: ToOption,
    known_at: KnownAtBothOption = None,
    to_known_at: ToKnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    period: OfPeriodOption = None,
    measure: Annotated[
        str, typer.Option("--measure", help="claimed, evidenced or weighted.")
    ] = "claimed",
    by: Annotated[
        FlowBy, typer.Option(help="Between categories, or between the gates where deals stand.")
    ] = FlowBy.CATEGORY,
    output: FormatOption = Format.TABLE,
) -> None:
    """From where to where the deals of a period went, for a Sankey diagram."""
    from projections.flows import flows as ask

    known = (known_at, to_known_at)
    with _between((start, to), known, horizon, witnessed_only, period) as between:
        answer = ask(between, measure, by)
        note_made_from(between.closing)
    if output is Format.JSON:
        write_json(answer)
        return
    columns = ["source", "target", "deals*", "from_amount*", "to_amount*"]
    rows = [[link[column.removesuffix("*")] for column in columns] for link in answer["links"]]
    title = f"Flows {answer['period']}, {answer['measure']}, {answer['currency']}"
    _write(answer, output, title, columns, rows)


def series(
    start: Annotated[str, typer.Option("--from", help="The first day, such as 2026-01-01.")],
    to: Annotated[str, typer.Option("--to", help="The last day; it is always a point.")],
    every: Annotated[
        EveryOption, typer.Option(help="A point at the end of each.")
    ] = EveryOption.WEEK,
    measure: Annotated[
        str,
        typer.Option(
            "--measure",
            help="Comma-separated: claimed, evidenced, weighted, called, adjusted, closed.",
        ),
    ] = "claimed,evidenced,weighted,closed",
    group_by: Annotated[
        str, typer.Option(help="Comma-separated: owner, manager, team, stage, gate, segment ...")
    ] = "",
    period: PeriodOption = None,
    known_at: Annotated[
        str | None,
        typer.Option(
            "--known-at", help="All as known when, `now` is hindsight; by default as known then."
        ),
    ] = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    organisation: OrganisationOption = Organisation.AS_WAS,
    output: FormatOption = Format.TABLE,
) -> None:
    """The forecast at every end of a day, week, month or quarter between two days."""
    from ledger.domain.times import parse_date
    from projections.series import Axis, Every
    from projections.series import series as ask

    first, last = parse_date(start, where="from"), parse_date(to, where="to")
    asked: AsOf = asked_for(None, None, known_at, horizon, witnessed_only)
    with open_door() as door, door.book(asked) as book:
        answer = ask(
            book,
            first,
            last,
            Every(every),
            period=period,
            group_by=_split(group_by),
            measures=_split(measure),
            axis=Axis.AS_KNOWN_THEN if known_at is None else Axis.HINDSIGHT,
            organisation=organisation,
        )
        book.check_known(
            answer["group_by"], (tuple(line["key"].values()) for line in answer["lines"])
        )
        note_made_from(book)
    if output is Format.JSON:
        write_json(answer)
        return
    dimensions = answer["group_by"]
    basis = answer["basis"]
    if output is Format.CSV:
        columns = [*dimensions, "measure", "category", "day", "amount", "currency", "deals",
                   "period", "valid_at", "known_at", *BASIS_REST]  # fmt: skip
        write_csv(columns, ([*row, *basis_rest(basis)] for row in _points(answer)))
        return
    write_series(answer)
    knowledge = "" if answer["axis"] == Axis.AS_KNOWN_THEN else f" --known-at {basis['known_at']}"
    write_line(f"basis: --horizon {basis['horizon']}{knowledge} (rules {basis['rules']})")


# --- a series as a table, as narrow as it must be -----------------------------------------------

_Layout: TypeAlias = tuple[list[str], list[list[object]]]
"""The columns of a table, and its rows."""


def write_series(answer: dict[str, Any]) -> None:
    """A series as the first table that fits; where none does, each line is one of its own.

    Args:
        answer: see `projections.series.series`.
    """
    for layout in (_days_across, _categories_across):
        columns, rows = layout(answer)
        if fits(columns, rows):
            write_table("Series", columns, rows)
            return
    days = [point["day"] for point in answer["points"]]
    for line in answer["lines"]:
        key = [f"{name} {value or '-'}" for name, value in line["key"].items()]
        title = ", ".join([*key, line["measure"], line["category"]])
        write_table(title, ["day", "amount*"], list(zip(days, line["amounts"], strict=True)))


def _days_across(answer: dict[str, Any]) -> _Layout:
    """A row a line: its days stand side by side."""
    days = [f"{point['day']}*" for point in answer["points"]]
    rows = [
        [*line["key"].values(), line["measure"], line["category"], *line["amounts"]]
        for line in answer["lines"]
    ]
    return [*answer["group_by"], "measure", "category", *days], rows


def _categories_across(answer: dict[str, Any]) -> _Layout:
    """A row a day of each group and measure: its categories stand side by side."""
    categories = list(dict.fromkeys(line["category"] for line in answer["lines"]))
    amounts: dict[tuple[Any, ...], dict[str, list[str]]] = {}
    for line in answer["lines"]:
        of = (*line["key"].values(), line["measure"])
        amounts.setdefault(of, {})[line["category"]] = line["amounts"]
    rows: list[list[object]] = [
        [*of, point["day"], *(found[each][index] if each in found else None for each in categories)]
        for of, found in amounts.items()
        for index, point in enumerate(answer["points"])
    ]
    columns = [*answer["group_by"], "measure", "day", *(f"{each}*" for each in categories)]
    return columns, rows


def _points(answer: dict[str, Any]) -> Iterator[list[object]]:
    for line in answer["lines"]:
        for index, point in enumerate(answer["points"]):
            deals = None if line["deals"] is None else line["deals"][index]
            yield [
                *line["key"].values(), line["measure"], line["category"], point["day"],
                line["amounts"][index], point["currency"], deals, point["period"],
                point["valid_at"], point["known_at"],
            ]  # fmt: skip
