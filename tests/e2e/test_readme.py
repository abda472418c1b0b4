"""README.md and docs/commands.md show what the commands really print."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.docs import COMMANDS, README, commands_page, load_demo_book, with_output


def test_the_readme_shows_real_output(database_url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "QLEDGER_DATABASE_URL": database_url,
        "QLEDGER_HOME": str(tmp_path),
    }
    load_demo_book(environment, tmp_path / "book")
    text = README.read_text(encoding="utf-8")
    assert with_output(text, environment) == text, "run python -m scripts.docs"


def test_every_command_is_documented_with_its_help() -> None:
    assert COMMANDS.read_text(encoding="utf-8") == commands_page(), "run python -m scripts.docs"
