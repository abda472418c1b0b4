"""ARCHITECTURE.md names every module, so that a newcomer finds the one file that knows a thing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
NAMED_AS_A_WHOLE = {"api/cli/", "api/graphql/", "api/http/", "ledger/connectors/", "ledger/store/"}
"""Folders whose one line stands for all their modules."""


def rooms() -> Iterator[str]:
    """The paths in the first cells of the tables; a bare name is in the folder named before it."""
    folder = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            continue
        for name in re.findall(r"`([^`]+)`", line.split("|")[1]):
            if "/" in name:
                folder = f"{name.rpartition('/')[0]}/"
            yield folder + name.rpartition("/")[2]


def modules() -> set[str]:
    found = (
        path for top in ("ledger", "projections", "api") for path in (ROOT / top).rglob("*.py")
    )
    return {path.relative_to(ROOT).as_posix() for path in found if path.name != "__init__.py"}


def test_every_module_has_its_room() -> None:
    named = set(rooms())
    assert named >= NAMED_AS_A_WHOLE
    inside = {each for each in modules() if f"{each.rpartition('/')[0]}/" in NAMED_AS_A_WHOLE}
    assert sorted(modules() - inside - named) == []


def test_every_room_is_there_and_is_named_once() -> None:
    named = list(rooms())
    assert [room for room in named if not (ROOT / room).exists()] == []
    assert sorted({room for room in named if named.count(room) > 1}) == []
