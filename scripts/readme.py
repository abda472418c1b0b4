"""Writes the real output of commands into README.md; a test checks that it is still true.

In the text, a comment `<!-- output: COMMAND -->` is followed by a fenced block; the block is replaced
by the command and what it prints on the demo book.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
QLEDGER = Path(sys.executable).parent / "qledger"
_BLOCK = re.compile(r"<!-- output: (?P<command>[^\n]+?) -->\n(?:\n```\n.*?\n```\n)?", re.DOTALL)


def load_demo_book(environment: dict[str, str], folder: Path) -> None:
    """Generate the demo book and import it, as scripts/demo does."""
    run = [sys.executable, "-m", "scripts.demo_book", str(folder)]
    subprocess.run(run, cwd=ROOT, env=environment, check=True, capture_output=True)
    mapping = ["--mapping", str(folder / "calls.toml")]
    for arguments in (
        ["salesforce", str(folder)],
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


def main() -> None:
    """Bring README.md up to date, over a demo book of its own."""
    with tempfile.TemporaryDirectory(prefix="qledger-readme-") as home:
        environment = {**os.environ, "QLEDGER_HOME": home, "PYTHONPATH": str(ROOT)}
        environment.pop("QLEDGER_DATABASE_URL", None)
        load_demo_book(environment, Path(home) / "book")
        text = README.read_text(encoding="utf-8")
        README.write_text(with_output(text, environment), encoding="utf-8")


if __name__ == "__main__":
    main()
