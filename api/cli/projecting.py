"""Commands that keep the read models: project, rebuild, status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli import progress
from api.cli.asking import FormatOption
from api.cli.output import Format, brief, write_csv, write_json, write_line, write_table
from api.cli.session import settings
from ledger.domain.basis import RULES
from ledger.store.database import Database

if TYPE_CHECKING:
    from projections.position import Status


def project(
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on as events arrive, until interrupted.")
    ] = False,
) -> None:
    """Bring the read models up to the log, so that answers are looked up instead of folded."""
    from projections.position import status as read
    from projections.rebuild import rebuild as make_anew
    from projections.runner import Runner

    with Database(settings()) as database, progress.bar() as advance:
        runner = Runner(
            database.url,
            lambda: make_anew(
                database.url, workers=database.settings.workers, advance=advance
            ),
            _note,
            advance=advance,
        )  # fmt: skip
        if follow:
            _note("projecting as events arrive (Ctrl-C stops)")
            runner.follow()
            return
        with database.connection() as connection:
            head = read(connection).head
        runner.catch_up(head)
        with database.connection() as connection:
            found = read(connection)
    write_line(f"the read models hold all {found.position} events up to position {found.position}")


def rebuild(
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Compare with the live tables before they are replaced."),
    ] = False,
) -> None:
    """Make the read models anew beside the live ones, and swap; run again, it goes on."""
    from projections.rebuild import COMPILED
    from projections.rebuild import rebuild as make_anew

    with Database(settings()) as database, progress.bar() as advance:
        done = make_anew(
            database.url, workers=database.settings.workers, verify=verify, advance=advance
        )
    taken_up = "taken up and " if done.resumed else ""
    equal = ", and equal to those before" if done.verified else ""
    fold = "the fold compiled" if COMPILED else "the fold in plain Python"
    write_line(
        f"{taken_up}rebuilt from {done.events} events of deals; live at position {done.position}, "
        f"rules {RULES}, {fold}{equal}"
    )


def status(output: FormatOption = Format.TABLE) -> None:
    """How far the read models are: position, lag, rules, and on what they halted."""
    from projections.position import status as read

    with Database(settings()) as database, database.connection() as connection:
        found = read(connection)
    if output is Format.JSON:
        write_json(found.as_dict())
        return
    rows = _rows(found)
    if output is Format.CSV:
        write_csv(["what", "value"], rows)
        return
    write_table("Read models", ["what", "value"], rows)
    for sentence in advice(found):
        write_line(sentence)


def _rows(found: Status) -> list[list[Any]]:
    facts = found.as_dict()
    rows = [
        ["head of the log", facts["head"]],
        ["projected up to", facts["position"]],
        ["lag", f"{facts['lag_events']} events, {facts['lag_seconds']:.1f} seconds"],
        ["moved at", brief(facts["projected_at"] or "never")],
        ["answers come from", facts["answers_from"]],
        ["runner", "at work" if facts["runner"] else "none"],
        ["rules", f"{facts['rules']['tables'] or 'none yet'}, this program folds by {RULES}"],
        ["time zone", facts["zone"]],
    ]
    if facts["halted"]:
        halted = facts["halted"]
        rows.append(["halted", f"position {halted['position']}: {halted['because']}"])
    if facts["rebuild"]:
        parts = facts["rebuild"]
        rows.append(["unfinished rebuild", f"{parts['done']} of {parts['parts']} parts loaded"])
    return rows


def advice(found: Status) -> list[str]:
    """What a person should do about the read models, if anything."""
    said = []
    if found.rules_differ:
        said.append(
            f"the tables were made by rules {found.rules} and are not used: "
            "run qledger rebuild; serve and project do it by themselves"
        )
    if found.halted_because is not None:
        said.append(
            f"halted on the event at position {found.halted_at}: {found.halted_because}; answers "
            "are folded from the log from there on"
        )
    if found.parts:
        said.append("a rebuild is not finished: qledger rebuild takes it up again")
    if found.lag_events and not found.runner:
        said.append("nobody projects: run qledger project, or serve")
    return said


def _note(sentence: str) -> None:
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()
