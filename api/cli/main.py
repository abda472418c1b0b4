"""The command line: `qledger`.

Law: a command parses, asks one function of the layers below, and writes its answer to standard
output; notes and errors go to standard error. An error ends with its code in brackets, and with an
exit status by its class: 2 invalid input, 3 refused, 4 not found, 5 unavailable.
"""

from __future__ import annotations

import sys

import typer

from api.cli import (
    access,
    bridging,
    bringing,
    deciding,
    documents,
    journeys,
    operating,
    playbooks,
    practice,
    projecting,
    questions,
    reviews,
    writing,
)
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
token = typer.Typer(help="Who may use the doors, and as what.", no_args_is_help=True)
app.add_typer(bring, name="import")
app.add_typer(export, name="export")
app.add_typer(playbook, name="playbook")
app.add_typer(token, name="token")
document = typer.Typer(help="Questions by name, for tools that follow links.", no_args_is_help=True)
app.add_typer(document, name="document")

for command in (
    questions.forecast,
    questions.deals,
    questions.deal,
    questions.timeline,
    questions.diff,
    bridging.bridge,
    bridging.flows,
    bridging.series,
    journeys.gates,
    journeys.findings,
    journeys.lapses,
    practice.agenda,
    practice.debriefs,
    practice.queue,
    practice.ladder,
    practice.team,
    practice.decisions,
    deciding.debrief,
    deciding.waive,
    deciding.unwaive,
    deciding.call,
    deciding.adjust,
    deciding.assess,
    reviews.post_mortem,
    reviews.patterns,
    writing.record,
    writing.retract,
    writing.correct,
    projecting.project,
    projecting.rebuild,
    projecting.status,
    access.readings,
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
token.command("create")(access.create)
token.command("list")(access.listed)
token.command("revoke")(access.revoke)
document.command("add")(documents.add)
document.command("list")(documents.listed)
document.command("remove")(documents.remove)
playbook.command("publish")(playbooks.publish)
playbook.command("list")(playbooks.versions)
playbook.command("show")(playbooks.show)
playbook.command("diff")(playbooks.diff)
playbook.command("review")(playbooks.review)


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
