"""Every command and option of `qledger` explains itself, and stands in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from api.cli.main import app
from ledger.config import Settings, shown
from projections.discreet import WITHHELD_FIELDS

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, by its words."""
    parts: dict[str, Any] = getattr(command, "commands", {})
    if not parts:
        yield path, command
    for name, part in parts.items():
        yield from commands(part, (*path, name))


COMMANDS = dict(commands(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def documentation() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_the_commands_are_these() -> None:
    assert {" ".join(words) for words in COMMANDS} == {
        "forecast", "deals", "deal", "timeline", "diff", "gates", "findings", "lapses",
        "bridge", "flows", "series",
        "post-mortem", "patterns", "record", "retract", "correct", "serve",
        "migrate", "check", "config", "import salesforce", "import csv", "import calls",
        "import events", "export events", "playbook publish", "playbook list", "playbook show",
        "playbook diff", "playbook review",
        "agenda", "debriefs", "queue", "ladder", "team", "decisions",
        "debrief", "waive", "unwaive", "call", "adjust", "assess",
        "token create", "token list", "token revoke", "readings",
        "document add", "document list", "document remove", "project", "rebuild", "status",
    }  # fmt: skip


@pytest.mark.parametrize("words", [(), ("import",), ("export",), ("playbook",), *COMMANDS])
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*words, "--help"], env={"TERMINAL_WIDTH": "200"})
    assert result.exit_code == 0
    assert "Usage:" in result.output


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_and_option_has_a_sentence(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    assert command.help
    for parameter in command.params:
        if parameter.name not in {"help", "file", "files", "directory", "deal_id", "source", "key"}:
            assert parameter.help, parameter.name


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_is_documented(words: tuple[str, ...], documentation: str) -> None:
    assert re.search(rf"\bqledger {' '.join(words)}\b", documentation)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_option_is_documented(words: tuple[str, ...], documentation: str) -> None:
    missing = {
        option
        for parameter in COMMANDS[words].params
        for option in parameter.opts
        if option.startswith("--")
        and option != "--help"
        and not re.search(rf"(?<![\w-]){option}(?![\w-])", documentation)
    }
    assert not missing


BASIS = ["as_of", "valid_at", "known_at", "horizon", "witnessed_only", "under"]
UNJUDGED = {"timeline", "debriefs", "playbook list", "playbook show", "playbook diff"}
"""Questions in which no playbook judges."""


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_options_of_a_basis_are_the_same_everywhere(words: tuple[str, ...]) -> None:
    command = COMMANDS[words]
    taken = [parameter.name for parameter in command.params]
    if "as_of" not in taken:
        assert {"valid_at", "under", "asked"}.isdisjoint(taken)
        return
    expected = BASIS[:-1] if " ".join(words) in UNJUDGED else BASIS
    start = taken.index("as_of")
    assert taken[start : start + len(expected)] == expected
    assert {"asked", *BASIS}.isdisjoint(taken[start + len(expected) :])
    told = {parameter.name: parameter.help for parameter in COMMANDS["forecast",].params}
    for parameter in command.params[start : start + len(expected)]:
        assert parameter.help == told[parameter.name]


def test_every_setting_is_documented(documentation: str) -> None:
    assert not [name for name in shown(Settings()) if name not in documentation]


def test_the_page_on_access_names_all_that_is_withheld_from_analysts() -> None:
    page = (ROOT / "docs" / "access.md").read_text(encoding="utf-8")
    table = page.split("| of | is withheld |\n|---|---|\n")[1].split("\n\n")[0]
    told = {}
    for row in table.splitlines():
        kinds, fields = (set(re.findall("`(.+?)`", cell)) for cell in row.strip("|").split("|"))
        told.update(dict.fromkeys(kinds, fields))
    assert told == {kind: set(fields) for kind, fields in WITHHELD_FIELDS.items()}
