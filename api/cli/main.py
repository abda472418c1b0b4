"""The command line: `qledger`.

Law: a command parses, asks one function of the layers below, and writes its answer to standard
output; notes and errors go to standard error. An error ends with its code in brackets, and with an
exit status by its class: 2 invalid input, 3 refused, 4 not found, 5 unavailable.
"""

from __future__ import annotations

import sys

import typer

from api.cli import bringing, operating, questions, writing
from ledger.domain.errors import InvalidInput, NotFound, QledgerError, Refused, Unavailable

EXIT_STATUS: dict[type[QledgerError], int] = {
    InvalidInput: 2,
    Refused: 3,
    NotFound: 4,
    Unavailable: 5,
}
INTERRUPTED = 130

app = typer.Typer(
    name="qledger",
    help="What the forecast looked like on any date, why, and proof of it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
bring = typer.Typer(help="Bring history in; again is harmless.", no_args_is_help=True)
export = typer.Typer(help="Take events out.", no_args_is_help=True)
playbook = typer.Typer(help="What a buyer must have done, gate by gate.", no_args_is_help=True)
app.add_typer(bring, name="import")
app.add_typer(export, name="export")
app.add_typer(playbook, name="playbook")

for command in (
    questions.forecast,
    questions.deals,
    questions.deal,
    questions.timeline,
    questions.diff,
    writing.record,
    writing.retract,
    writing.correct,
    operating.serve,
    operating.migrate,
    operating.check,
    operating.config,
):
    app.command()(command)
bring.command("salesforce")(bringing.salesforce)
bring.command("csv")(bringing.csv)
bring.command("calls")(bringing.calls)
bring.command("events")(bringing.events)
export.command("events")(bringing.export_events)
playbook.command("publish")(writing.playbook_publish)
playbook.command("list")(writing.playbook_list)
playbook.command("show")(writing.playbook_show)


def run() -> None:
    """The entry point of the `qledger` command."""
    try:
        app()
    except QledgerError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(_status(error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; what was acknowledged is recorded\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)


def _status(error: QledgerError) -> int:
    return next(status for kind, status in EXIT_STATUS.items() if isinstance(error, kind))


if __name__ == "__main__":
    run()
