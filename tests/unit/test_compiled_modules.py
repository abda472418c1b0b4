"""Compiled modules stand in for their sources only while those are what they were made from."""

from __future__ import annotations

import shutil
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from scripts import compiled_fold
from scripts.compiled_fold import Finder, digest

ROOT = Path(__file__).parents[2]
WALK = "projections.fold.walk"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A copy of what is compiled."""
    copy = tmp_path / "checkout"
    for package in compiled_fold.MADE_FROM:
        shutil.copytree(ROOT / package, copy / package)
    shutil.copy(ROOT / "setup.py", copy / "setup.py")
    return copy


@pytest.fixture
def place(tmp_path: Path, root: Path) -> Path:
    """Where what was made of the copy lies."""
    made = tmp_path / "compiled" / digest(root) / "projections" / "fold"
    made.mkdir(parents=True)
    (made / f"walk{EXTENSION_SUFFIXES[0]}").touch()
    (made.parents[1] / f"abc__mypyc{EXTENSION_SUFFIXES[0]}").touch()
    return tmp_path / "compiled"


def where(root: Path) -> list[str]:
    return [str(root / "projections" / "fold")]


def test_a_compiled_module_is_found_for_its_own_sources(place: Path, root: Path) -> None:
    finder = Finder(place)
    found = finder.find_spec(WALK, where(root))
    assert found is not None
    assert found.origin is not None
    assert Path(found.origin).is_relative_to(place / digest(root))
    assert finder.find_spec("abc__mypyc", None) is not None


@pytest.mark.parametrize(
    "edited", ["projections/fold/walk.py", "ledger/domain/money.py", "setup.py"]
)
def test_after_an_edit_the_sources_run(place: Path, root: Path, edited: str) -> None:
    with (root / edited).open("a", encoding="utf-8") as file:
        file.write("# edited\n")
    finder = Finder(place)
    assert finder.find_spec(WALK, where(root)) is None
    assert finder.find_spec("abc__mypyc", None) is None


def test_what_is_not_compiled_or_not_ours_is_left_to_python(place: Path, root: Path) -> None:
    finder = Finder(place)
    assert finder.find_spec("projections.fold.people", where(root)) is None
    assert finder.find_spec("projections.rebuild", [str(root / "projections")]) is None
    assert finder.find_spec("json", None) is None


def test_an_installed_package_brings_its_own(place: Path, root: Path) -> None:
    (root / "setup.py").unlink()
    assert Finder(place).find_spec(WALK, where(root)) is None


def test_without_a_compiler_it_says_so_and_makes_nothing(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_fold, "PLACE", tmp_path / "none")
    monkeypatch.setattr(compiled_fold, "_hook_in", lambda: None)
    monkeypatch.delenv("QLEDGER_COMPILE", raising=False)
    monkeypatch.setenv("CC", "no-such-compiler")
    assert "no C compiler" in compiled_fold.make(root)
    monkeypatch.setenv("QLEDGER_COMPILE", "0")
    assert "QLEDGER_COMPILE=0" in compiled_fold.make(root)
    assert not (tmp_path / "none").exists()
