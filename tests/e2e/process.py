"""The real `qledger`, in a process of its own, as a user runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson

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


class Qledger:
    """Runs commands with a ledger's settings.

    Args:
        settings: the `QLEDGER_*` variables.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("QLEDGER_")},
            "PYTHONWARNINGS": "error",
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
        """Run a command that must succeed, with nothing on standard error."""
        outcome = self.run(*arguments, stdin=stdin, environment=environment)
        assert (outcome.status, outcome.err) == (0, ""), outcome
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
