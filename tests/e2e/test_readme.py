"""README.md shows what the commands really print."""

from __future__ import annotations

import os
from pathlib import Path

from scripts.readme import README, load_demo_book, with_output


def test_the_readme_shows_real_output(database_url: str, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "QLEDGER_DATABASE_URL": database_url,
        "QLEDGER_HOME": str(tmp_path),
    }
    load_demo_book(environment, tmp_path / "book")
    text = README.read_text(encoding="utf-8")
    assert with_output(text, environment) == text, "run python -m scripts.readme"
