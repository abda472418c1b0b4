"""README.md and docs/commands.md show what the commands really print."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

from scripts.docs import COMMANDS, README, ask, commands_page, load_demo_book, with_output


def test_the_readme_shows_real_output(database_url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "QLEDGER_DATABASE_URL": database_url,
        "QLEDGER_HOME": str(tmp_path),
    }
    load_demo_book(environment, tmp_path / "book")
    text = README.read_text(encoding="utf-8")
    assert with_output(text, environment) == text, "run python -m scripts.docs"


def test_the_commands_that_write_work_as_the_readme_gives_them(
    database_url: str, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "QLEDGER_DATABASE_URL": database_url,
        "QLEDGER_HOME": str(tmp_path),
    }
    load_demo_book(environment, tmp_path / "book")
    block = re.search(
        r"\nRecord what happens.*?\n```\n(.*?)\n```\n", README.read_text("utf-8"), re.DOTALL
    )
    assert block
    commands = [shlex.split(line)[1:] for line in block[1].splitlines()]
    assert [words[0] for words in commands] == ["playbook", "record", "correct", "retract"]
    for words in commands:
        assert ask(words, environment)


def test_every_command_is_documented_with_its_help() -> None:
    assert COMMANDS.read_text(encoding="utf-8") == commands_page(), "run python -m scripts.docs"
