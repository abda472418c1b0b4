"""The real `qledger`, in a process of its own, as a user runs it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from api.cli.main import run

QLEDGER = str(Path(sys.executable).with_name("qledger"))
SECONDS_MAX = 60

_CODE = re.compile(r"\[([a-z0-9-]+)\]\s*\Z")
_ADDRESS = re.compile(r"http://\S+?(?=/graphql)")


class Outcome(NamedTuple):
    """What a command left behind."""

    status: int
    out: bytes
    err: str

    @property
    def code(self) -> str:
        """The code of the error it reported."""
        assert "Traceback" not in self.err, self.err
        found = _CODE.search(self.err)
        assert found, self.err
        return found[1]

    @property
    def json(self) -> dict[str, Any]:
        answer: dict[str, Any] = orjson.loads(self.out)
        return answer

    @property
    def text(self) -> str:
        return self.out.decode()


class _Text(io.TextIOWrapper):
    """A standard stream that is kept."""

    def __init__(self) -> None:
        self._kept = io.BytesIO()
        super().__init__(self._kept, encoding="utf-8", newline="")

    @property
    def bytes(self) -> bytes:
        self.flush()
        return self._kept.getvalue()


NOTES = {"", "made from the tables\n", "made from the log\n"}
"""Beside an answer that is the same either way."""


class Qledger:
    """Runs commands with a ledger's settings, in processes of their own.

    Args:
        settings: the `QLEDGER_*` variables.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.settings = settings
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("QLEDGER_")},
            "PYTHONWARNINGS": "error",
            "QLEDGER_LOG": "off",
            **settings,
        }

    @classmethod
    def on(cls, database_url: str) -> Qledger:
        """On a database."""
        return cls({"QLEDGER_DATABASE_URL": database_url})

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        cwd: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run a command to its end."""
        done = subprocess.run(
            [QLEDGER, *arguments],
            input=stdin,
            capture_output=True,
            check=False,
            cwd=cwd,
            env={**self.environment, **(environment or {})},
            timeout=SECONDS_MAX,
        )
        return Outcome(done.returncode, done.stdout, done.stderr.decode())

    def ok(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> Outcome:
        """Run a command that must succeed; on standard error it says at most what it used."""
        outcome = self.run(*arguments, stdin=stdin, environment=environment)
        assert outcome.status == 0, outcome
        assert outcome.err in NOTES, outcome
        return outcome

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that keeps running."""
        return subprocess.Popen(
            [QLEDGER, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
        )

    def here(self, *arguments: str) -> Outcome:
        """Run a command in this process, through the same entry point: for the many cases."""
        out, err = _Text(), _Text()
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("QLEDGER_")]:
                patch.delenv(name)
            for name, value in self.settings.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", [QLEDGER, *arguments])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            with pytest.raises(SystemExit) as end:
                run()
        status = end.value.code or 0
        assert isinstance(status, int)
        return Outcome(status, out.bytes, err.bytes.decode())

    def ok_here(self, *arguments: str) -> Outcome:
        """Run a command here that must succeed; on standard error it says at most what it used."""
        outcome = self.here(*arguments)
        assert outcome.status == 0, outcome
        assert outcome.err in NOTES, outcome
        return outcome

    @contextmanager
    def serving(self, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """A running `serve` on a free port and its address; killed at the end if still there."""
        process = self.start("serve", "--port", "0", *arguments)
        try:
            assert process.stdout is not None
            found = _ADDRESS.search(process.stdout.readline())
            assert found, process.communicate(timeout=SECONDS_MAX)
            yield process, found[0]
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate(timeout=SECONDS_MAX)


def basis_options(basis: Mapping[str, Any]) -> list[str]:
    """The options that pin a basis which an answer stated."""
    witnessed = ["--witnessed-only"] if basis["witnessed_only"] else []
    return [
        "--valid-at", basis["valid_at"], "--known-at", basis["known_at"],
        "--horizon", str(basis["horizon"]), *witnessed,
    ]  # fmt: skip
