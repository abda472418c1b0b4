"""The recipes of docs/subscriptions.md, run as they stand there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice, takewhile
from operator import ne
from pathlib import Path

import httpx
import pytest

from ledger.config import Settings
from ledger.store.ledger import Ledger
from tests.e2e.asking import Client, token_of
from tests.e2e.process import Qledger
from tests.integration import bi_book

PAGE = (Path(__file__).parents[2] / "docs" / "subscriptions.md").read_text(encoding="utf-8")
RECIPES = {
    found["name"]: found["text"]
    for found in re.finditer(
        r"<!-- recipe: (?P<name>[a-z-]+) -->\n\n```[a-z]+\n(?P<text>.*?)```\n", PAGE, re.DOTALL
    )
}


@pytest.fixture(scope="module")
def environment(empty_settings: Settings) -> Iterator[dict[str, str]]:
    """Where a recipe finds the server, and its token."""
    with Ledger.open(empty_settings) as ledger:
        bi_book.write(ledger, deals=5)
    assert empty_settings.database_url is not None
    qledger = Qledger.on(empty_settings.database_url.get_secret_value())
    token = token_of(qledger, "admin", "ada")
    with qledger.serving() as (_process, address):
        yield {"QLEDGER_URL": address, "QLEDGER_TOKEN": token, "PATH": os.environ["PATH"]}


@contextmanager
def asking(environment: dict[str, str]) -> Iterator[Client]:
    bearer = {"Authorization": f"Bearer {environment['QLEDGER_TOKEN']}"}
    with httpx.Client(base_url=environment["QLEDGER_URL"], headers=bearer, timeout=60) as http:
        yield Client(http)


@contextmanager
def running(command: list[str], environment: dict[str, str], cwd: Path) -> Iterator[Iterator[str]]:
    """The lines of a command that runs until it is left."""
    process = subprocess.Popen(
        command, env=environment, cwd=cwd, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield iter(process.stdout)
    finally:
        process.kill()
        process.communicate()


def test_the_page_has_these_recipes() -> None:
    assert set(RECIPES) == {"curl", "websockets"}


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl_follows(environment: dict[str, str], tmp_path: Path) -> None:
    with running(["sh", "-c", f"exec {RECIPES['curl']}"], environment, tmp_path) as lines:
        told = list(islice((line for line in lines if line.startswith("data: {")), 3))
    assert all('"events":{"position":"' in line for line in told)


def test_the_recipe_goes_on_where_it_was_when_it_was_killed(
    environment: dict[str, str], tmp_path: Path
) -> None:
    command = [sys.executable, "-c", RECIPES["websockets"]]
    last = ""
    with asking(environment) as ada:
        ada.recorded("openDeal", deal="followed", name="n0", owner="ann")
        for n in range(1, 4):
            ada.recorded("reviseDeal", deal="followed", name=f"n{n}")
            expected = f"followed name n{n - 1} -> n{n}\n"
            with running(command, environment, tmp_path) as lines:
                told = list(takewhile(partial(ne, expected), lines))
            if last:  # it was printed, and perhaps killed before it was kept
                assert set(told) <= {last}
            last = expected
