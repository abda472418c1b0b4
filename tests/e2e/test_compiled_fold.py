"""The fold compiled to C says what the fold in Python says: its laws and cases hold of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LAWS = ("test_states.py", "test_worked_cases.py")
RUN_ON_COMPILED = """
import sys
from ledger.domain import history
from projections.fold import deal_history, qualification, walk
for module in (deal_history, qualification, walk, history):
    assert module.__file__.endswith(".so"), module.__file__
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.mark.timeout(600)
def test_the_laws_hold_of_the_compiled_fold(tmp_path: Path) -> None:
    if shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip("there is no C compiler here")
    source, target = tmp_path / "source", tmp_path / "compiled"
    for package in ("api", "ledger", "projections"):
        ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    run(
        [*pip, "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target),
         str(source)],
        {"QLEDGER_COMPILE": "1", "QLEDGER_COMPILE_LEVEL": "0"},
    )  # fmt: skip
    laws = [str(ROOT / "tests" / "unit" / "fold" / name) for name in LAWS]
    run(
        [sys.executable, "-P", "-c", RUN_ON_COMPILED, "-q", "-p", "no:cacheprovider",
         "--import-mode=append", "-o", "pythonpath=", *laws],
        {"PYTHONPATH": f"{target}{os.pathsep}{ROOT}"},
    )  # fmt: skip


def run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
