"""What every question has in common: the basis it is asked at, and how its answer is written.

Law: the same options, in the same words, give every question its basis; an answer states it as JSON
in its `basis`, as CSV in the last columns of each row, as a table in the line below.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.asof import AsOf, parse_horizon
from api.cli.output import Format, basis_line, brief, write_csv, write_json, write_line
from projections.fold.people import Organisation

if TYPE_CHECKING:
    from projections.book import Book

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

# --- the basis ----------------------------------------------------------------------------------


def asked_for(
    as_of: AsOfOption = None,
    valid_at: ValidAtOption = None,
    known_at: KnownAtOption = None,
    horizon: HorizonOption = None,
    witnessed_only: WitnessedOption = False,
    under: UnderOption = None,
) -> AsOf:
    """The basis asked for, from its options.

    Raises:
        InvalidInput: `invalid-horizon`.
    """
    position = None if horizon is None else parse_horizon(horizon)
    return AsOf(as_of, valid_at, known_at, position, witnessed_only, under)


def question(command: Callable[..., None]) -> Callable[..., None]:
    """A command that has the options of the basis in the place of its parameter `asked`."""
    return _with_basis(command, inspect.signature(asked_for, eval_str=True).parameters)


def question_without_judgement(command: Callable[..., None]) -> Callable[..., None]:
    """The same for a question in which no playbook judges: it cannot be asked under a version."""
    options = dict(inspect.signature(asked_for, eval_str=True).parameters)
    del options["under"]
    return _with_basis(command, options)


def _with_basis(
    command: Callable[..., None], options: Mapping[str, inspect.Parameter]
) -> Callable[..., None]:
    def asking(**given: Any) -> None:
        basis = {name: given.pop(name) for name in options}
        command(asked=asked_for(**basis), **given)

    own = inspect.signature(command, eval_str=True)
    parameters = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, taken in own.parameters.items()
        for parameter in (options.values() if name == "asked" else (taken,))
    ]
    # The command line is made from these, not from what `asking` says of itself.
    facts: dict[str, Any] = {
        "__name__": command.__name__,
        "__doc__": command.__doc__,
        "__signature__": own.replace(parameters=parameters),
        "__annotations__": {each.name: each.annotation for each in parameters},
    }
    for name, fact in facts.items():
        setattr(asking, name, fact)
    return asking


# --- the answer ---------------------------------------------------------------------------------

BASIS_REST = ["horizon", "witnessed_only", "under", "rules"]
BASIS_COLUMNS = ["basis_valid_at", "basis_known_at", *BASIS_REST]
"""Behind the columns of each CSV: a row says by itself on what it rests."""


def write_answer(
    answer: dict[str, Any],
    output: Format,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    table: Callable[[], None],
) -> None:
    """Write an answer, and its basis.

    Args:
        answer: its JSON; its basis is None where it rests on no ledger, and is not stated then.
        output: how to write it.
        columns: the columns of its CSV, without those of the basis.
        rows: the rows of its CSV; read for CSV only.
        table: writes it for a person, without the basis.
    """
    basis = answer["basis"]
    if output is Format.JSON:
        write_json(answer)
    elif output is Format.CSV and basis is None:
        write_csv(columns, rows)
    elif output is Format.CSV:
        stated = [basis["valid_at"], basis["known_at"], *basis_rest(basis)]
        write_csv([*columns, *BASIS_COLUMNS], ([*row, *stated] for row in rows))
    else:
        table()
        if basis is not None:
            write_line(basis_line(basis))


def basis_rest(basis: Mapping[str, Any]) -> list[object]:
    """What a basis says besides its times, as `BASIS_REST` names it."""
    return [basis.get(name) for name in BASIS_REST]


def note_made_from(book: Book) -> None:
    """Say beside the answer what it was made from: the answer is the same either way."""
    if book.made_from is not None:
        sys.stderr.write(f"made from the {book.made_from}\n")


def because(events: list[dict[str, Any]]) -> str:
    """The events behind an answer, in one cell of a table."""
    return "; ".join(f"{e['position']} {e['type']} {brief(e['known_at'])}" for e in events)
