"""The process that projects beside a server: it is kept alive."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from projections import service
from projections.service import Service

SECONDS_MAX = 30


def test_a_process_that_cannot_be_started_is_started_again_later(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tries, started = 0, threading.Event()

    def spawned(_conninfo: str, _workers: int) -> subprocess.Popen[bytes]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise OSError("no memory")
        waits = [sys.executable, "-c", "import sys; sys.stdin.read()"]
        process = subprocess.Popen(waits, stdin=subprocess.PIPE)
        started.set()
        return process

    monkeypatch.setattr(service, "_spawn", spawned)
    monkeypatch.setattr(service, "PAUSE_SECONDS_MIN", 0.001)
    with Service(lambda: "", 1):
        assert started.wait(SECONDS_MAX)
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == ["no memory"] * 2
