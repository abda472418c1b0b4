"""Reading your own writes from a standby: a real one, whose replay is held back."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import psycopg
import pytest
from pydantic import SecretStr

from api import reached
from api.asof import AsOf
from api.door import Door
from api.moment import MomentDoor
from ledger.config import Settings
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput, QledgerError, Unavailable
from ledger.domain.events import Draft, Source, parse_payload
from ledger.domain.ids import event_id_of
from ledger.domain.times import parse_instant
from ledger.store.embedded import DATABASE, SUPERUSER, EmbeddedServer
from ledger.store.ledger import Ledger
from ledger.store.migrate import migrate
from projections.hints import Hints

THEN = parse_instant("2026-01-05T00:00:00Z")


class Pair(NamedTuple):
    """A primary that is written to, and a standby that is asked."""

    ledger: Ledger
    primary: Door
    standby: Door
    superuser: psycopg.Connection[tuple[object, ...]]
    """Of the standby."""

    def hold_back(self) -> None:
        """From now on the standby learns nothing."""
        self.superuser.execute("SELECT pg_wal_replay_pause()")
        paused = None
        while paused != ("paused",):
            paused = self.superuser.execute("SELECT pg_get_wal_replay_pause_state()").fetchone()

    def let_go(self) -> None:
        """It goes on."""
        self.superuser.execute("SELECT pg_wal_replay_resume()")

    def write(self, deal: str) -> int:
        """Record something, and say at which position."""
        payload = parse_payload("deal-opened", {"name": deal})
        draft = Draft(f"deal:{deal}", payload, event_id_of("t", deal, ""), "kim", Source("t"), THEN)
        return self.ledger.record([draft]).positions[-1]


class Standby:
    """A standby of a server, in a folder of its own."""

    def __init__(self, server: EmbeddedServer, folder: Path) -> None:
        self._run = server._server.owner.run
        self._programs = server._server.programs / "bin"
        self._owner = server._server.owner
        self._primary = server.url(SUPERUSER)
        self._folder = folder

    def __enter__(self) -> str:
        self._folder.mkdir(mode=0o700)
        self._owner.give(self._folder)
        self._program("pg_basebackup", "-d", self._primary, "-D", str(self._folder), "-R",
                      "-c", "fast")  # fmt: skip
        (self._folder / ".s.PGSQL.5432.lock").unlink()  # of the primary, whose socket lies there
        options = {"unix_socket_directories": self._folder, "listen_addresses": "",
                   "max_connections": 200, "shared_buffers": "16MB"}  # fmt: skip
        spelt = " ".join(f"-c {name}='{value}'" for name, value in options.items())
        log = str(self._folder / "log")
        self._program("pg_ctl", "start", "-w", "-D", str(self._folder), "-l", log, "-o", spelt)
        place = quote(str(self._folder), safe="")
        return f"postgresql://{SUPERUSER}@/{DATABASE}?host={place}"

    def __exit__(self, *_: object) -> None:
        self._program("pg_ctl", "stop", "-m", "fast", "-D", str(self._folder))

    def _program(self, name: str, *arguments: str) -> None:
        done = self._run([str(self._programs / name), *arguments], seconds_max=60)
        log = self._folder / "log"
        assert done.returncode == 0, (done.stdout, log.read_text() if log.exists() else "")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    home = Path(tempfile.mkdtemp(prefix="qledger-standby-", dir="/tmp"))
    home.chmod(0o755)
    try:
        with EmbeddedServer(home) as server:
            migrate(server.url())
            with Standby(server, home / "s") as url:
                yield from _opened(server, url)
    finally:
        shutil.rmtree(home)


def _opened(server: EmbeddedServer, url: str) -> Iterator[Pair]:
    here = Settings(database_url=SecretStr(server.url()), workers=1)
    there = here.model_copy(update={"database_url": SecretStr(url)})
    with (
        Ledger.open(here) as ledger,
        Ledger.open(there) as reading,
        psycopg.connect(url, autocommit=True) as superuser,
    ):
        primary, standby = Door(ledger.database, here), Door(reading.database, there)
        yield Pair(ledger, primary, standby, superuser)


def refusal(door: Door, asked: AsOf) -> QledgerError:
    with pytest.raises(QledgerError) as refused:
        door.resolve(asked)
    return refused.value


def test_a_standby_that_has_got_that_far_answers(pair: Pair) -> None:
    position = pair.write("followed")
    basis = pair.standby.resolve(AsOf(min_position=position))
    assert basis.horizon >= position
    with pair.standby.book_at(basis) as book:
        assert book.deal("followed") is not None


def test_a_standby_is_waited_for_until_it_gets_there(pair: Pair) -> None:
    pair.hold_back()
    position = pair.write("awaited")
    found: list[Basis] = []
    asked = AsOf(min_position=position)
    asking = threading.Thread(target=lambda: found.append(pair.standby.resolve(asked)))
    asking.start()
    pair.let_go()
    asking.join()
    assert [basis.horizon >= position for basis in found] == [True]


def test_a_standby_that_does_not_get_there_refuses_and_never_answers_less(pair: Pair) -> None:
    pair.hold_back()
    try:
        position = pair.write("late")
        with pytest.raises(Unavailable) as refused:
            reached.await_reached(pair.standby.database, position, seconds_max=0.02)
        assert refused.value.code == "position-not-reached"
        assert str(position - 1) in refused.value.message
        assert pair.standby.resolve(AsOf()).horizon == position - 1
        assert pair.primary.resolve(AsOf(min_position=position)).horizon == position
    finally:
        pair.let_go()


def test_only_some_questions_wait_at_once(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = threading.BoundedSemaphore(1)
    taken.acquire()
    monkeypatch.setattr(reached, "_waiting", taken)
    pair.hold_back()
    try:
        asked = AsOf(min_position=pair.write("crowded"))
        assert refusal(pair.standby, asked).code == "position-not-reached"
    finally:
        pair.let_go()


def test_a_page_behind_a_cursor_of_the_primary_is_not_read_from_less(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.hold_back()
    position = pair.write("paged")
    basis = pair.primary.resolve(AsOf())
    assert basis.horizon == position
    door = MomentDoor.of(pair.standby)
    monkeypatch.setattr("projections.position.time.sleep", lambda _seconds: pair.let_go())
    with door.book_at(door.taken_up(AsOf(), basis)) as book:
        assert book.deal("paged") is not None


def test_all_of_one_question_rests_on_one_present_or_is_refused(pair: Pair) -> None:
    pair.hold_back()
    position = pair.write("moment")
    door = MomentDoor.of(pair.standby)
    before = door.resolve(AsOf())
    pair.let_go()
    assert before.horizon < position
    assert refusal(door, AsOf(min_position=position)).code == "position-not-reached"


def test_a_primary_refuses_at_once_what_was_never_recorded(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "projections.position.time.sleep", lambda _seconds: pytest.fail("it waited")
    )
    head = pair.write("last")
    assert pair.primary.resolve(AsOf(min_position=head)).horizon == head
    refused = refusal(pair.primary, AsOf(min_position=head + 1))
    assert isinstance(refused, Unavailable)
    assert (refused.code, bool(refused.hint)) == ("position-not-reached", True)


@pytest.mark.parametrize("asked", [AsOf(horizon=1), AsOf(as_of="pos:1")])
def test_a_horizon_before_it_is_a_contradiction(pair: Pair, asked: AsOf) -> None:
    head = pair.write(f"after {asked.horizon}")
    refused = refusal(pair.primary, asked._replace(min_position=head))
    assert isinstance(refused, InvalidInput)
    assert (refused.code, refused.where) == ("horizon-before-min-position", "min_position")
    with pytest.raises(InvalidInput):
        pair.primary.taken_up(AsOf(min_position=head), pair.primary.resolve(asked))


def test_a_standby_tells_nobody_of_news_and_is_polled(pair: Pair) -> None:
    stopping = threading.Event()
    stopping.set()
    with closing(Hints(pair.standby.database.url)) as hints:
        assert hints.wait(stopping)  # it takes no LISTEN: whoever waits has to look
