"""Rounds of the proof: a ledger, a server, an import, rebuilds, many clients, the comparison."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from random import Random

import httpx
import psycopg
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr

from ledger.config import Settings
from ledger.store.embedded import EmbeddedServer
from ledger.store.migrate import migrate
from scripts.isolating.asking import PAGED, Client, Told
from scripts.isolating.truth import Truth
from scripts.serving import environment, served
from scripts.soaking.sources import QLEDGER, ROOT

CLIENTS = 50
DEALS = 40
EVENTS_PER_SECOND = 60
REQUEST_SECONDS_MAX = 120
ENDING_SECONDS_MAX = 300


class Differs(Exception):
    """An answer is not what the fold at its stated basis says."""


class Broken(Exception):
    """What was to run meanwhile did not."""


class Rounds:
    """Rounds on one server of databases.

    Args:
        server: where each round gets a database of its own.
        home: for what processes write.
        seed: of the stories and of what is asked.
    """

    def __init__(self, server: EmbeddedServer, home: Path, seed: int) -> None:
        self._server = server
        self._home = home
        self._seed = seed
        self.counts: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """One round: ask for a while, then hold every answer against the fold.

        Raises:
            Differs: see there.
            Refused: a client got no answer, or parts of one answer contradict each other.
            Broken: the import or a rebuild failed.
        """
        self._seed += 1
        with self._database(f"isolation_{self._seed}") as url:
            with served(url, self._home) as address, self._meanwhile(url, seconds):
                told = asyncio.run(_ask(address, Random(self._seed), seconds))
            settings = Settings(home=self._home, database_url=SecretStr(url), workers=1)
            with Truth.of(settings) as truth:
                self._compare(truth, told)

    @contextmanager
    def _database(self, name: str) -> Iterator[str]:
        with psycopg.connect(self._server.url("postgres"), autocommit=True) as connection:
            connection.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
            url = self._server.url(name)
            migrate(url)
            yield url
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))

    @contextmanager
    def _meanwhile(self, url: str, seconds: float) -> Iterator[None]:
        """An import, and one rebuild after the other."""
        variables = environment(url, self._home)
        story = [str(self._seed), str(DEALS), str(int(EVENTS_PER_SECOND * seconds)), str(seconds)]
        importing = subprocess.Popen(
            [sys.executable, "-m", "scripts.isolating.importing", *story], env=variables, cwd=ROOT
        )
        stop = self._home / f"stop-{self._seed}"
        loop = (
            f'while [ ! -e "{stop}" ]; do "{QLEDGER}" rebuild >/dev/null || exit; echo made; done'
        )
        rebuilding = subprocess.Popen(
            ["bash", "-c", loop], env=variables, cwd=ROOT, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            yield
        finally:
            stop.touch()
            brought_in = importing.poll()
            importing.terminate()
            importing.wait(ENDING_SECONDS_MAX)
            said, complaints = rebuilding.communicate(timeout=ENDING_SECONDS_MAX)
        if rebuilding.returncode or brought_in:
            raise Broken(f"a rebuild or the import failed: {complaints}")
        self.counts["rebuilds"] += said.count("made")

    def _compare(self, truth: Truth, told: list[Told]) -> None:
        told.sort(key=lambda each: (each.basis.horizon, str(each.basis)))
        before = None
        for each in told:
            if each.basis != before:
                truth.forget()
                before = each.basis
                self.counts["bases"] += 1
            check(truth, each)
            self.counts["answers"] += 1
            self.counts[each.asked.table] += 1
            self.counts["pages"] += each.pages
            self.counts["rows"] += len(each.rows or ())
        self.counts["events"] += max(each.basis.horizon for each in told)


def check(truth: Truth, told: Told) -> None:
    """Hold an answer against the fold at its basis.

    Raises:
        Differs: it is another one.
    """
    if told.rows is None:
        expected: object = truth.sums("deals", told.by, "reporting_amount_exact", told.basis)
        found: object = told.sums
    else:
        expected, found = truth.rows(told.asked, told.basis), told.rows
    if found != expected:
        raise Differs(f"{told.asked} {told.by} at {told.basis}:\n{found}\ninstead of\n{expected}")


async def _ask(address: str, random: Random, seconds: float) -> list[Told]:
    limits = httpx.Limits(max_connections=CLIENTS, max_keepalive_connections=CLIENTS)
    async with httpx.AsyncClient(
        base_url=address, timeout=REQUEST_SECONDS_MAX, limits=limits
    ) as http:
        clients = [Client(http, Random(random.random())) for _ in range(CLIENTS)]
        end = asyncio.get_running_loop().time() + seconds
        asking = zip(clients, cycle(PAGED), strict=False)
        await asyncio.gather(*(client.ask_until(end, first) for client, first in asking))
    return [each for client in clients for each in client.told]


def campaign(server: EmbeddedServer, home: Path, seed: int, seconds: float) -> Counter[str]:
    """Rounds until the time is over, at least one.

    Args:
        server: the campaign's own server.
        home: for what processes write.
        seed: of all chance.
        seconds: for about how long.
    """
    until = time.monotonic() + seconds
    rounds = Rounds(server, home, seed)
    while True:
        rounds.run(20)
        print(f"{dict(sorted(rounds.counts.items()))}: no difference", flush=True)
        if time.monotonic() > until:
            return rounds.counts
