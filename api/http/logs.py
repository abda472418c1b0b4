"""The log of `qledger serve`: one line a request, and whatever went wrong, on standard error.

Law: a line has names, codes, numbers and the id of the request, never a token, the text of a
question or its values. A slow reader of the log delays no answer: lines wait in bounded memory, and
what has no room is counted and said.
"""

from __future__ import annotations

import logging
import os
import queue
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

import orjson
import psycopg
from graphql import GraphQLError

from api.noted import noted
from ledger.domain.times import format_instant

Mode = Literal["auto", "json", "text", "off"]
LINES_WAITING_MAX = 10_000
MESSAGE_CHARACTERS_MAX = 500
FRAMES_MAX = 30
CLOSE_SECONDS_MAX = 2.0
REQUESTS = logging.getLogger("qledger.request")
_FACTS = "facts"


def log_request(facts: Mapping[str, Any]) -> None:
    """Write the line of a request.

    Args:
        facts: what is known of it, by name; None is left out.
    """
    if REQUESTS.isEnabledFor(logging.INFO):
        known = {key: value for key, value in facts.items() if value is not None}
        REQUESTS.info("request", extra={_FACTS: known})


class Log:
    """The log of a server while it runs; afterwards logging is as it was.

    Args:
        mode: json, text, or off, which leaves errors as text; auto is text on a terminal, else
            json.
        out: the file descriptor to write to, by default that of standard error.
    """

    def __init__(self, mode: Mode, out: int | None = None) -> None:
        self._out = sys.stderr.fileno() if out is None else out
        if mode == "auto":
            mode = "text" if os.isatty(self._out) else "json"
        self._writer = _Writer(self._out)
        self._handler = _Handler(self._writer)
        self._handler.setFormatter(_AsJson() if mode == "json" else _AsText())
        self._requests = logging.WARNING if mode == "off" else logging.INFO

    def __enter__(self) -> Log:
        logging.getLogger().addHandler(self._handler)
        REQUESTS.setLevel(self._requests)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: object, _trace: TracebackType | None
    ) -> None:
        logging.getLogger().removeHandler(self._handler)
        REQUESTS.setLevel(logging.NOTSET)
        self._writer.close()


class _Writer:
    """Writes lines in a thread of its own."""

    def __init__(self, out: int) -> None:
        self._out = out
        self._lines: queue.Queue[bytes | None] = queue.Queue(LINES_WAITING_MAX)
        self._lost = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, for a while."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=CLOSE_SECONDS_MAX)
        self._thread.join(CLOSE_SECONDS_MAX)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            if lost:
                line += orjson.dumps({"event": "lines-lost", "lines": lost}) + b"\n"
            with suppress(OSError):  # nobody reads any more: the server goes on
                while line:
                    line = line[os.write(self._out, line) :]


class _Handler(logging.Handler):
    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        self._writer.put(self.format(record).encode(errors="replace") + b"\n")


class _AsJson(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return orjson.dumps(facts_of(record), default=str).decode()


class _AsText(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = facts_of(record)
        frames = facts.pop("frames", ())
        first = [facts.pop("time"), facts.pop("level"), facts.pop("event")]
        rest = [f"{key}={_printable(value)}" for key, value in facts.items()]
        return "\n    ".join([" ".join([*first, *rest]), *frames])


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """A record of the log as its facts, in the order in which they are told."""
    facts: dict[str, Any] = {
        "time": format_instant(datetime.fromtimestamp(record.created, UTC)),
        "level": record.levelname.lower(),
    }
    said: Mapping[str, Any] | None = getattr(record, _FACTS, None)
    if said is not None:
        return {**facts, "event": record.getMessage(), **said}
    facts |= {"event": "error" if record.exc_info else "note", "logger": record.name}
    note = noted()
    if note is not None:
        facts["request_id"] = note.request_id
    facts["message"] = record.getMessage()[:MESSAGE_CHARACTERS_MAX]
    error = record.exc_info[1] if record.exc_info else None
    return facts if error is None else {**facts, **_told(error)}


def _told(error: BaseException) -> dict[str, Any]:
    """An error: its kind, what it says where that quotes no data, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    return {
        "error": type(error).__name__,
        "said": _said(error)[:MESSAGE_CHARACTERS_MAX],
        "frames": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }


def _said(error: BaseException) -> str:
    """What an error says, where it quotes nothing: a value, a row, the text of a question."""
    if isinstance(error, psycopg.Error):
        return f"SQLSTATE {error.sqlstate}"
    return "" if isinstance(error, ValueError | LookupError | GraphQLError) else str(error)


def _printable(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if text.isprintable() and " " not in text else repr(text)
