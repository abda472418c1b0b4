"""requirements.lock: exact, hashed, without addresses, and in step with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
LOCKS = [LOCK, (ROOT / "tests" / "bi_tools" / "requirements.lock").read_text(encoding="utf-8")]
PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^ \\]+)(?P<marker> ;[^\\]*)?", re.MULTILINE
)


def declared() -> list[Requirement]:
    """All that pyproject.toml asks for: to run, to develop, to build."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = document["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    lines = [*project["dependencies"], *extras, *document["build-system"]["requires"]]
    return [Requirement(line) for line in lines]


def pinned(lock: str = LOCK) -> dict[str, Version]:
    return {canonicalize_name(pin["name"]): Version(pin["version"]) for pin in PIN.finditer(lock)}


@pytest.mark.parametrize("requirement", declared(), ids=lambda requirement: requirement.name)
def test_what_is_declared_is_pinned_within_its_range(requirement: Requirement) -> None:
    version = pinned()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version, prereleases=True)


@pytest.mark.parametrize("lock", LOCKS, ids=["ledger", "bi_tools"])
def test_every_pin_has_a_hash(lock: str) -> None:
    lines = [line for line in lock.splitlines() if line and not line.lstrip().startswith("#")]
    pins = "\n".join(lines).replace("\\\n", " ").splitlines()
    assert len(pins) == len(pinned(lock))
    for pin in pins:
        assert re.match(r"\S+==\S+ .*--hash=sha256:[0-9a-f]{64}", pin), pin


@pytest.mark.parametrize("lock", LOCKS, ids=["ledger", "bi_tools"])
def test_there_is_no_address_and_no_option(lock: str) -> None:
    assert "://" not in lock
    assert "file:/" not in lock
    assert not re.search(r"^-", lock, re.MULTILINE)
