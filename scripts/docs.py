"""Writes what commands really print into README.md and docs/commands.md; a test checks both.

In README.md, a comment `<!-- output: COMMAND -->` is followed by a fenced block; the block is
replaced by the command and what it prints on the demo book.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from api.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
COMMANDS = ROOT / "docs" / "commands.md"
QLEDGER = Path(sys.executable).parent / "qledger"
_COMMANDS_HEAD = """# Commands

The help of every command, as `qledger COMMAND --help` prints it. An error goes to standard error
and ends with its code in brackets; the exit status is 2 for input that can never be accepted,
3 for what a rule refuses, 4 for what is not there, 5 for a store that cannot serve.
"""
_BLOCK = re.compile(r"<!-- output: (?P<command>[^\n]+?) -->\n(?:\n```\n.*?\n```\n)?", re.DOTALL)


def load_demo_book(environment: dict[str, str], folder: Path) -> None:
    """Generate the demo book and import it, as scripts/demo does."""
    run = [sys.executable, "-m", "scripts.demo_book", str(folder)]
    subprocess.run(run, cwd=ROOT, env=environment, check=True, capture_output=True)
    mapping = ["--mapping", str(folder / "calls.toml")]
    for arguments in (
        ["salesforce", str(folder), "--mapping", str(folder / "stages.toml")],
        *(["calls", str(folder / f"{sheet}.csv"), *mapping] for sheet in ("calls", "quotas", "fx")),
        ["events", str(folder / "evidence.ndjson")],
    ):
        ask(["import", *arguments], environment)


def ask(arguments: list[str], environment: dict[str, str]) -> str:
    """What a command prints."""
    done = subprocess.run(
        [str(QLEDGER), *arguments], env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout


def with_output(text: str, environment: dict[str, str]) -> str:
    """The text with each block replaced by what its command prints now."""

    def block(found: re.Match[str]) -> str:
        command = found["command"]
        printed = ask(shlex.split(command)[1:], environment)
        lines = "\n".join(line.rstrip() for line in printed.rstrip().splitlines())
        return f"<!-- output: {command} -->\n\n```\n$ {command}\n{lines}\n```\n"

    return _BLOCK.sub(block, text)


def commands_page() -> str:
    """docs/commands.md: the help of every command."""
    parts = [_COMMANDS_HEAD]
    for path, command in _commands(get_command(app), ()):
        name = " ".join(("qledger", *path))
        context = command.make_context(name, [], resilient_parsing=True, terminal_width=96)
        lines = [line.rstrip() for line in command.get_help(context).splitlines()]
        parts.append(f"\n## {' '.join(path)}\n\n```\n" + "\n".join(lines) + "\n```\n")
    return "".join(parts)


def _commands(group: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, (*path, name))
        else:
            yield (*path, name), command


def main() -> None:
    """Bring both up to date; README.md over a demo book of its own."""
    COMMANDS.write_text(commands_page(), encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="qledger-readme-") as home:
        environment = {**os.environ, "QLEDGER_HOME": home, "PYTHONPATH": str(ROOT)}
        environment.pop("QLEDGER_DATABASE_URL", None)
        load_demo_book(environment, Path(home) / "book")
        text = README.read_text(encoding="utf-8")
        README.write_text(with_output(text, environment), encoding="utf-8")


if __name__ == "__main__":
    main()
