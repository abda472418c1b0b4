"""The same questions asked of the tables and of the log: the answers must be the same bytes.

Law: a question is a forecast, a line of forecasts, a bridge or a flow, at bases of every kind: as
known then, in hindsight, about the future, at an old horizon, witnessed only. What is refused must
be refused alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson
import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from ledger.domain.basis import Basis
from ledger.domain.errors import QledgerError
from projections.book import Book, Origin
from projections.bridge import bridge
from projections.flows import By, flows
from projections.fold.steps import Measure
from projections.movements import Between
from projections.reader import LogReader
from projections.series import Axis, Every, series
from scripts.soaking.compare import DIFFERENCES_MAX, Deals, bases

GROUPINGS = (
    (), ("owner",), ("owner", "category"), ("manager", "team"), ("stage", "gate"), ("currency",),
    ("segment",), ("account", "outcome"), ("category",), ("owner", "currency"),
)  # fmt: skip
PERIODS = ("2025-Q4", "2026-Q1", "2026-Q1", "2026-Q2", "2026-01", "2026")
KINDS = ("forecast", "bridge", "flows", "series")
_WEIGHTS = (3, 2, 1, 1)
_SERIES_DAYS_MAX = 40


class LogAlone(LogReader):
    """Reads as any reader of the log, and never lends its connection to the tables."""

    @contextmanager
    def one_state(self) -> Iterator[Connection[TupleRow] | None]:
        yield None


class Question(NamedTuple):
    """What is asked.

    Args:
        kind: forecast, bridge, flows or series.
        basis: at which; a bridge and flows lead from it.
        other: the basis that they lead to.
        period: a fiscal period.
        group_by: dimensions.
        chance: of what is particular to a kind.
    """

    kind: str
    basis: Basis
    other: Basis
    period: str
    group_by: tuple[str, ...]
    chance: int


class Asked(NamedTuple):
    """What came of some questions.

    Args:
        from_tables: how many answers of each kind the tables gave.
        from_log: how many were folded from the log all the same, since the tables may not answer.
        differences: the first questions to which tables and log gave other answers.
    """

    from_tables: Counter[str]
    from_log: int
    differences: list[str]


def questions(
    deals: Deals, random: Random, count: int, periods: tuple[str, ...] = PERIODS
) -> Iterator[Question]:
    """Questions about the instants of a log.

    Args:
        deals: the log.
        random: chooses.
        count: how many questions.
        periods: fiscal periods to ask about.
    """
    points = bases(deals, random, 2 * count)
    for one, other in zip(points[::2], points[1::2], strict=True):
        yield Question(
            random.choices(KINDS, _WEIGHTS)[0],
            _basis(deals, random, one),
            _basis(deals, random, other),
            random.choice(periods),
            random.choice(GROUPINGS),
            random.randrange(2**30),
        )


def _basis(deals: Deals, random: Random, point: tuple[str, str]) -> Basis:
    valid_at, known_at = map(datetime.fromisoformat, point)
    old = random.random() < 0.15
    horizon = random.randint(0, deals.position) if old else deals.position
    return Basis(valid_at, known_at, horizon, random.random() < 0.05)


class Asker:
    """Asks each question twice. Use it in a `with`.

    Args:
        url: of the database; sessions of its own are opened.
    """

    def __init__(self, url: str) -> None:
        self._sessions = ExitStack()
        connections = [
            self._sessions.enter_context(
                psycopg.connect(url, autocommit=True, options="-c timezone=UTC")
            )
            for _ in range(4)
        ]
        self._tables = LogReader(connections[0]), LogReader(connections[1])
        self._log = LogAlone(connections[2]), LogAlone(connections[3])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._sessions.__exit__(kind, error, trace)

    def ask(self, asked: Iterable[Question]) -> Asked:
        """Ask the tables where they may answer, and the log.

        Raises:
            psycopg.OperationalError: a session was ended.
        """
        from_tables, from_log = Counter[str](), 0
        found: list[str] = []
        for question in asked:
            one, made_from = _answer(self._tables, question)
            other, _log = _answer(self._log, question)
            from_tables[question.kind] += made_from == "tables"
            from_log += made_from != "tables"
            if one != other:
                found.append(f"{question}: {made_from} {one!r}, log {other!r}")
        return Asked(from_tables, from_log, found[:DIFFERENCES_MAX])


def _answer(readers: tuple[LogReader, LogReader], question: Question) -> tuple[bytes, str]:
    """The bytes of an answer, or the code of a refusal; and what it was made from."""
    book, other = (
        Book(Origin(reader, "", 1), basis)
        for reader, basis in zip(readers, (question.basis, question.other), strict=True)
    )
    try:
        answer = _ANSWERS[question.kind](question, book, other)
    except QledgerError as error:
        return error.code.encode(), "refused"
    made_from = other.made_from if question.kind in {"bridge", "flows"} else book.made_from
    return orjson.dumps(answer), str(made_from)


def _forecast(question: Question, book: Book, _other: Book) -> dict[str, Any]:
    return book.forecast(book.period(question.period), question.group_by).as_dict()


def _bridge(question: Question, book: Book, other: Book) -> dict[str, Any]:
    between = Between(book, other, other.period(question.period))
    measure = list(Measure)[question.chance % len(Measure)]
    return bridge(between, measure, question.group_by).as_dict()


def _flows(question: Question, book: Book, other: Book) -> dict[str, Any]:
    between = Between(book, other, other.period(question.period))
    measure = (Measure.CLAIMED, Measure.EVIDENCED, Measure.WEIGHTED)[question.chance % 3]
    return flows(between, measure, list(By)[question.chance % len(By)])


def _series(question: Question, book: Book, _other: Book) -> dict[str, Any]:
    first = question.basis.valid_at.date()
    return series(
        book,
        first,
        first + timedelta(days=question.chance % _SERIES_DAYS_MAX),
        list(Every)[question.chance % len(Every)],
        period=None if question.chance % 3 else question.period,
        group_by=question.group_by,
        axis=list(Axis)[question.chance % len(Axis)],
    )


_ANSWERS: dict[str, Callable[[Question, Book, Book], dict[str, Any]]] = {
    "forecast": _forecast,
    "bridge": _bridge,
    "flows": _flows,
    "series": _series,
}
