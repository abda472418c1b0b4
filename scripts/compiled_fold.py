"""The fold compiled to C for this checkout: made by scripts/setup, used while it is of the sources.

Law: what runs is what the sources say. The compiled modules of `setup.py` lie in the virtual
environment under the digest of all that they were made from. Python takes them at its start where
the sources still have that digest, all of them together; else, and under QLEDGER_COMPILE=0, the
sources run as they are. Without a C compiler nothing is made.

This file is copied into the virtual environment, so it imports nothing of the project.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

PLACE = Path(sys.prefix) / "compiled"
MADE_FROM = ("ledger/domain", "projections/fold")
"""The compiled modules, and whatever they import."""

_HOOK = "qledger_compiled_fold"


def digest(root: Path) -> str:
    """Of all that the compiled modules are made from.

    Args:
        root: the checkout.
    """
    sources = [root / "setup.py"]
    for package in MADE_FROM:
        sources += sorted((root / package).glob("*.py"))
    found = hashlib.sha256()
    for source in sources:
        text = source.read_bytes()
        found.update(f"{source.relative_to(root)} {len(text)}\n".encode() + text)
    return found.hexdigest()


class Finder:
    """Finds compiled modules in the place of sources that they were made from.

    Args:
        place: where what was made lies, by digest.
    """

    def __init__(self, place: Path) -> None:
        self._place = place
        self._made: dict[Path, Path | None] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What imports a module; None leaves it to Python."""
        if path is None:  # the library that the compiled modules share
            places = list(self._made.values()) if name.endswith("__mypyc") else []
        elif name.startswith(tuple(f"{each}." for each in _PACKAGES)) and len(path) == 1:
            places = [self._made_of(Path(path[0]).parents[name.count(".") - 1])]
        else:
            return None
        for place in places:
            file = place and place / f"{name.replace('.', '/')}{EXTENSION_SUFFIXES[0]}"
            if file and file.is_file():
                loader = ExtensionFileLoader(name, str(file))
                return spec_from_file_location(name, file, loader=loader)
        return None

    def _made_of(self, root: Path) -> Path | None:
        if root not in self._made:
            try:
                place = self._place / digest(root)
            except OSError:  # no checkout: an installed package brings what it was built with
                self._made[root] = None
            else:
                self._made[root] = place if place.is_dir() else None
        return self._made[root]


_PACKAGES = tuple(each.replace("/", ".") for each in MADE_FROM)


def wanted() -> bool:
    """Whether the compiled fold is to be made and used; it is by default."""
    return os.environ.get("QLEDGER_COMPILE") != "0"


def install() -> None:
    """Called as Python starts in the virtual environment."""
    if wanted() and PLACE.is_dir():
        sys.meta_path.insert(0, Finder(PLACE))


def make(root: Path) -> str:
    """Compile what is not compiled yet.

    Args:
        root: the checkout.

    Returns:
        A sentence on what runs; empty where it has not changed.
    """
    _hook_in()
    if not wanted():
        return "the fold runs as plain Python (QLEDGER_COMPILE=0)"
    if (PLACE / digest(root)).is_dir():
        return ""
    why_not = _why_not()
    if why_not:
        return f"the fold runs as plain Python, about half as fast: {why_not}"
    print("scripts/setup: compiling the fold to C (about half a minute, once)", file=sys.stderr)
    PLACE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PLACE, prefix="making-") as directory:
        failed = _built(root, Path(directory))
        if failed:
            return f"the fold runs as plain Python, for it could not be compiled:\n{failed}"
        others = [each for each in PLACE.iterdir() if each != Path(directory)]
        made_from = digest(Path(directory) / "source")  # they may have been edited meanwhile
        (Path(directory) / "made").rename(PLACE / made_from)
    for each in others:
        shutil.rmtree(each)
    return "the fold is compiled; after an edit of it, plain Python runs until the next setup"


def _hook_in() -> None:
    """Have `install` called whenever Python starts here."""
    site, own = Path(sysconfig.get_path("purelib")), Path(__file__).read_text(encoding="utf-8")
    start = f"import {_HOOK}; {_HOOK}.install()\n"
    for file, text in ((site / f"{_HOOK}.py", own), (site / f"{_HOOK}.pth", start)):
        if not file.is_file() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def _why_not() -> str:
    compiler = os.environ.get("CC") or (sysconfig.get_config_var("CC") or "cc")
    if shutil.which(compiler.split()[0]) is None:
        return f"there is no C compiler ({compiler.split()[0]})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers are not there (on Debian or Ubuntu: apt-get install python3-dev)"
    return ""


def _built(root: Path, directory: Path) -> str:
    """Build in a copy, which mypyc fills with C; the end of what it said where it failed."""
    source = directory / "source"
    for package in ("ledger", "projections"):
        ignored = shutil.ignore_patterns("__pycache__", "*.so")
        shutil.copytree(root / package, source / package, ignore=ignored)
    for name in ("setup.py", "pyproject.toml", "README.md"):
        shutil.copy(root / name, source / name)
    done = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--build-lib", directory / "made"],
        cwd=source,
        env={**os.environ, "QLEDGER_COMPILE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr)[-2_000:] if done.returncode else ""


if __name__ == "__main__":
    said = make(Path(__file__).resolve().parents[1])
    if said:
        print(f"scripts/setup: {said}", file=sys.stderr)
