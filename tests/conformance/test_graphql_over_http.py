"""The audits of GraphQL over HTTP that its reference implementation ships, on a served ledger.

They are JavaScript: where there is no node they are skipped. What they need is pinned, with its
digests, in `graphql_over_http/`, and installed once into the user's cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.store.ledger import Ledger
from tests.e2e import worked
from tests.e2e.process import Qledger

HERE = Path(__file__).with_name("graphql_over_http")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qledger-conformance"
SECONDS_MAX = 120
AUDITS_MIN = 60
"""How many audits there are at least: fewer would be another suite."""

EXCEPTIONS: dict[str, str] = {}
"""The audits that are not met, by id, each with the reason. There is none."""

NOT_REACHED = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "EAI_AGAIN", "ETIMEDOUT")


class Audit(NamedTuple):
    """What an audit found.

    Args:
        id: that of the suite.
        name: what a server must, should or may do.
        status: `ok`, `warn`, `notice` or `error`.
        reason: why it is not `ok`.
    """

    id: str
    name: str
    status: str
    reason: str | None


@pytest.fixture(scope="module")
def suite() -> Path:
    """The folder in which the suite is installed."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"the audits are JavaScript, and {tool} is not on this machine")
    CACHE.mkdir(parents=True, exist_ok=True)
    pinned = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()[:16]
    installed = CACHE / pinned
    if not installed.is_dir():
        _install(installed)
    shutil.copy(HERE / "audit.mjs", installed)
    return installed


def _install(folder: Path) -> None:
    """Install beside, and move: whoever comes at the same time finds all of it or nothing."""
    beside = Path(tempfile.mkdtemp(dir=CACHE))
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, beside)
    done = subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=beside, capture_output=True, text=True, check=False, timeout=SECONDS_MAX,
    )  # fmt: skip
    if done.returncode:
        shutil.rmtree(beside)
        if any(code in done.stderr for code in NOT_REACHED):
            pytest.skip("the audits are not installed yet, and npm does not reach its registry")
        pytest.fail(done.stderr)
    try:
        beside.rename(folder)
    except OSError:  # somebody was quicker
        shutil.rmtree(beside)
        assert folder.is_dir()


@pytest.fixture
def audits(suite: Path, ledger: Ledger, database_url: str) -> list[Audit]:
    """What the suite finds at a ledger that holds the worked example."""
    worked.write(ledger)
    with Qledger.on(database_url).serving() as (_process, address):
        done = subprocess.run(
            ["node", str(suite / "audit.mjs"), f"{address}/graphql"],
            capture_output=True, text=True, check=True, timeout=SECONDS_MAX,
        )  # fmt: skip
    found = map(json.loads, done.stdout.splitlines())
    return [Audit(each["id"], each["name"], each["status"], each["reason"]) for each in found]


def test_the_audits_of_graphql_over_http_pass(audits: list[Audit]) -> None:
    assert len(audits) >= AUDITS_MIN
    missed = {audit.id: audit for audit in audits if audit.status != "ok"}
    assert missed.keys() == EXCEPTIONS.keys(), list(missed.values())
    assert not [audit for audit in audits if audit.status == "error"], "a must is no exception"


def test_the_suite_is_pinned_by_digests_and_names_no_address() -> None:
    text = (HERE / "package-lock.json").read_text(encoding="utf-8")
    packages = json.loads(text)["packages"]
    wanted = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
    installed = {name: each for name, each in packages.items() if name}
    assert {name: installed[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
    assert "://" not in text
    assert "resolved" not in text
