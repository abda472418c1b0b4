"""Fixtures: the public data, and both opinions of each data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest

from ledger.store.embedded import EmbeddedServer

from .cases import CASES, late_closings
from .oracle import Oracle
from .product import Imported, imported

REPOSITORY = Path(__file__).parents[3]


class Opinions(NamedTuple):
    """What product and oracle make of one data set."""

    product: Imported
    oracle: Oracle
    folder: Path


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with the public data sets; without it these tests are skipped."""
    folder = Path(os.environ.get("QLEDGER_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no public data at {folder}; set QLEDGER_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="module")
def opinions(
    server: EmbeddedServer, data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Opinions]]:
    """Both opinions of a data set by its name; each is imported once, when first asked for."""
    with ExitStack() as stack:
        formed: dict[str, Opinions] = {}

        def of(name: str) -> Opinions:
            if name not in formed:
                formed[name] = _form(name, server, data, tmp_path_factory.mktemp(name), stack)
            return formed[name]

        yield of


def _form(name: str, server: EmbeddedServer, data: Path, home: Path, stack: ExitStack) -> Opinions:
    case = CASES[name]
    folder = data / case.folder
    if not folder.is_dir():
        pytest.skip(f"no data set {case.folder} in {data}")
    if case.late:
        copy = home / "late"
        copy.mkdir()
        late_closings(folder, copy)
        folder = copy
    oracle = case.read(folder)
    newest = oracle.ask("SELECT changed FROM snapshot")[0][0]
    if newest.replace(tzinfo=UTC) > datetime.now(UTC):
        pytest.skip(f"{case.folder} reaches to {newest:%Y-%m-%d}, which this clock has not reached")
    product = stack.enter_context(
        imported(server, home, lambda ledger, place: case.bring(ledger, folder, place))
    )
    return Opinions(product, oracle, folder)
