"""The rounds of a soak, and what is printed of them."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from itertools import count, cycle
from pathlib import Path
from random import Random
from typing import NamedTuple

import psycopg

from ledger.store.embedded import EmbeddedServer
from scripts.soaking.asking import Asked, Asker, questions
from scripts.soaking.compare import (
    Deals,
    Kept,
    bases,
    deals_of,
    differences,
    differences_at,
    from_scratch,
    kept_on,
    live_side,
    some_of,
)
from scripts.soaking.house import QUIET_SECONDS_MAX, House, teller
from scripts.soaking.sources import STORIES, Command, Source

POINTS = 6
QUESTIONS = 12
ASKED_MEANWHILE = 3
DEALS_AT_POINTS_MAX = 300
"""So many deals are folded at each point, chosen by chance; all are folded from scratch."""

NEVER_STATUS = 2
"""The exit status of a command whose input can never be accepted."""


class Broken(Exception):
    """The law does not hold, or a process does not come to its end."""


class Compared(NamedTuple):
    """What was held against each other after a round.

    Args:
        events: in the log.
        deals: folded from scratch, each.
        rows: of the live tables, each.
        points: (valid, known) at which deals were folded.
        asked: what was asked of tables and log.
    """

    events: int
    deals: int
    rows: int
    points: int
    asked: Asked


class Soak:
    """Rounds over some sources, each in a ledger of its own.

    Args:
        server: the soak's own server.
        folder: for what the processes say.
        seed: of all chance, but for the moments at which the operating system lets things happen.
    """

    def __init__(self, server: EmbeddedServer, folder: Path, seed: int) -> None:
        self._server = server
        self._folder = folder
        self._random = Random(seed)
        self._houses: dict[str, House] = {}
        self._seed = seed

    def run(self, sources: list[Source], minutes: float) -> int:
        """Go round the sources until the time is over; how many rounds there were.

        Raises:
            Broken: see there.
        """
        until = time.monotonic() + minutes * 60
        for number, source in zip(count(1), cycle(sources), strict=False):
            began = time.monotonic()
            house = self._house(source)
            happened = self._disturb(house, source, number)
            compared = self._compare(house, source)
            took = time.monotonic() - began
            print(f"round {number}: {source.name}, {took:.0f} s: {_counted(happened)}")
            print(
                f"    equal: {compared.rows:,} rows live, rebuilt and folded from "
                f"{compared.events:,} events of {compared.deals:,} deals; states at "
                f"{compared.points} points; from tables {_counted(compared.asked.from_tables)}; "
                f"{compared.asked.from_log} answers that only the log may give; check passed",
                flush=True,
            )
            if time.monotonic() > until:
                return number
        raise AssertionError("rounds do not end by themselves")

    def _house(self, source: Source) -> House:
        house = self._houses.get(source.name)
        if house is None:
            folder = self._folder / source.name
            folder.mkdir()
            house = House(self._server, f"soak_{source.name}", folder, self._random)
            self._houses[source.name] = house
        return house

    def close(self) -> None:
        """End all processes."""
        for house in self._houses.values():
            with house:
                pass

    # --- while things happen ----------------------------------------------------------------------

    def _disturb(self, house: House, source: Source, number: int) -> Counter[str]:
        """Bring in, project and rebuild, while things befall whoever does it."""
        happened: Counter[str] = Counter()
        story = teller(
            self._seed * 1_000 + number,
            self._random.choice([3, 12, 40]),
            self._random.choice([200, 600]),
            one_zone=source.name != STORIES.name,
        )
        errands = {"import": list(source.commands(house.folder)), "teller": [story]}
        house.start_runner()
        for _ in range(self._random.randint(4, 9)):
            self._go_on(house, errands)
            happened[house.befall()] += 1
            if self._random.random() < 0.4:
                happened["answers meanwhile"] += self._ask_meanwhile(house, source)
        self._quiet(house, errands)
        return happened

    def _go_on(self, house: House, errands: dict[str, list[Command]]) -> bool:
        """Start again who died before his errand was done; whether all errands are done."""
        for name, commands in errands.items():
            status = house.ended(name)
            if commands and status == 0:
                commands.pop(0)
                house.kill(name)
            elif commands and status == NEVER_STATUS:
                raise Broken(f"{commands[0]} is refused: {house.last_words(name)}")
            if commands:
                house.start(name, commands[0])
        house.start_runner()
        return not any(errands.values())

    def _ask_meanwhile(self, house: House, source: Source) -> int:
        """Ask of the tables and of the log while both are written; a session may be ended."""
        with suppress(psycopg.OperationalError), house.connection() as connection:
            deals = deals_of(connection, live_side(connection))
            if deals.position:
                return self._asked(house, deals, source, ASKED_MEANWHILE).from_tables.total()
        return 0

    def _quiet(self, house: House, errands: dict[str, list[Command]]) -> None:
        """Nothing happens any more, until all is brought in, rebuilt and projected."""
        house.disk_is_full(False)
        house.kill("second runner")
        until = time.monotonic() + QUIET_SECONDS_MAX
        while not self._go_on(house, errands):
            _in_time(until, "bringing in", house, *errands)
            time.sleep(0.05)
        while house.is_running("rebuild"):
            _in_time(until, "rebuilding", house, "rebuild")
            time.sleep(0.05)
        while (status := house.status())["lag_events"] or not status["in_use"]:
            _in_time(until, f"projecting ({status})", house, "runner")
            time.sleep(0.2)

    # --- afterwards -------------------------------------------------------------------------------

    def _compare(self, house: House, source: Source) -> Compared:
        """Hold live tables, rebuilt tables and log against each other."""
        with house.connection() as one:
            side = live_side(one)
            deals, live = deals_of(one, side), kept_on(one, side)
            scratch = from_scratch(deals, self._random)
            _must_be_empty(differences("live, folded from scratch", live, scratch))
            points = bases(deals, self._random, POINTS)
            some = some_of(deals, self._random, DEALS_AT_POINTS_MAX)
            _must_be_empty(differences_at(some, live, points))
            asked = self._asked(house, deals, source)
            self._rebuilt(house, live)
            again = self._asked(house, deals, source)
        checked = house.run("check")
        if checked.returncode:
            raise Broken(f"qledger check: {checked.stdout}{checked.stderr}")
        total = Asked(asked.from_tables + again.from_tables, asked.from_log + again.from_log, [])
        return Compared(deals.position, len(deals.own), live.rows, len(points), total)

    def _asked(self, house: House, deals: Deals, source: Source, count: int = QUESTIONS) -> Asked:
        with Asker(house.url) as asker:
            asked = asker.ask(questions(deals, self._random, count, source.periods))
        _must_be_empty(asked.differences)
        return asked

    def _rebuilt(self, house: House, live: Kept) -> None:
        """Rebuild to the end: first what was broken off, then anew, compared before the swap."""
        commands = [["rebuild", "--verify"]]
        if house.status()["rebuild"] is not None:
            commands.insert(0, ["rebuild"])
        for command in commands:
            with house.connection() as connection:
                before = live_side(connection)
                done = house.run(*command)
                if done.returncode or live_side(connection) is before:
                    raise Broken(f"qledger {' '.join(command)}: {done.stdout}{done.stderr}")
                rebuilt = kept_on(connection, before.other)
                _must_be_empty(differences("rebuilt, live before", rebuilt, live))


def _counted(what: Counter[str]) -> str:
    return ", ".join(f"{times} {each}" for each, times in sorted(what.items()) if times) or "none"


def _in_time(until: float, what: str, house: House, *names: str) -> None:
    if time.monotonic() > until:
        words = "\n".join(f"{name}: {house.last_words(name)}" for name in names)
        raise Broken(f"{what} took longer than {QUIET_SECONDS_MAX} seconds\n{words}")


def _must_be_empty(found: list[str]) -> None:
    if found:
        raise Broken("\n".join(found))
