"""Exports: GET /export/{table}.{format}, streamed, with the basis in the headers; HEAD tells these.

Law: whatever can be refused is refused before the first byte, as JSON with a stable code. What
fails later breaks the connection off, so that nobody takes a part for the whole. An export holds
one session of the database as long as it runs, so only some run at once; the others are told to
come again.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, BinaryIO, NamedTuple

import orjson
from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse
from strawberry.utils.str_converters import to_snake_case

from api.access.policy import Operation
from api.asof import AsOf, parse_horizon
from api.door import Door
from api.export.formats import Format, format_named
from api.graphql.row_roots import TIMES
from api.http.caching import ALWAYS_ASK, IMMUTABLE, is_fresh, is_pinned, tag_of
from api.http.credentials import asking_of
from api.http.faults import fault
from api.http.heads import GET_AND_HEAD, head_of
from ledger.domain.basis import Basis
from ledger.domain.errors import InvalidInput, QledgerError, Unavailable
from projections.rows.asking import Question, columns_named, question
from projections.rows.catalogue import table_named
from projections.rows.definition import Column, Table

RETRY_SECONDS = 5
AT_ONCE_MAX = 3
"""How many exports run at once: fewer than there are sessions, so that questions get theirs."""

_FLAGS: Mapping[str, bool] = {"true": True, "1": True, "false": False, "0": False}


class _Export(NamedTuple):
    """An export that was asked for, checked.

    Args:
        question: which rows.
        columns: which columns.
        kind: the format.
        asked: what was said of the basis.
    """

    question: Question
    columns: tuple[Column, ...]
    kind: Format
    asked: AsOf

    @classmethod
    def read(cls, table: str, kind: str, said: list[tuple[str, str]]) -> _Export:
        """Read a request.

        Raises:
            NotFound: `unknown-table`, `unknown-format`.
            InvalidInput: `argument-twice`, and what reading the arguments raises.
        """
        given = dict(said)
        if len(given) != len(said):
            twice = next(name for name, _ in said if [each for each, _ in said].count(name) > 1)
            raise InvalidInput("argument-twice", f"{twice} is given twice", where=twice)
        asked = _asked(given)
        columns = given.pop("columns", None)
        found = table_named(table)
        _check_names(found, given)
        return cls(
            question(found, given),
            _columns(found, columns),
            format_named(kind),
            asked._replace(timeless=found.timeless),
        )


def _check_names(table: Table, given: Iterable[str]) -> None:
    """Refuse arguments that there are not.

    Raises:
        InvalidInput: `unknown-argument`.
    """
    known = sorted(each.name for each in table.arguments)
    for name in given:
        if name in known:
            continue
        every = (*TIMES, "columns", *known)
        near = get_close_matches(to_snake_case(name[:100]), every, 1)
        perhaps = f"{near[0]} is meant, perhaps; " if near else ""
        raise InvalidInput(
            "unknown-argument",
            f"an export of {table.name} takes no argument {name[:100]!r}",
            where=name[:100],
            hint=f"{perhaps}it takes {', '.join(every)}",
        )


def _columns(table: Table, names: str | None) -> tuple[Column, ...]:
    """The columns of the file, as files spell them.

    Raises:
        InvalidInput: `unknown-column`.
    """
    try:
        return columns_named(table, names)
    except InvalidInput as refusal:
        told = f"it has {', '.join(table.index)}"
        raise InvalidInput(refusal.code, refusal.message, where=refusal.where, hint=told) from None


def _asked(given: dict[str, str]) -> AsOf:
    """What was said of the basis; taken out of the arguments."""
    horizon, hindsight = given.pop("horizon", None), _flag(given, "hindsight")
    known_at, least = given.pop("known_at", None), given.pop("min_position", None)
    if hindsight and known_at is not None:
        raise InvalidInput(
            "hindsight-and-known-at", "give hindsight or known_at, not both", where="hindsight"
        )
    return AsOf(
        given.pop("as_of", None),
        given.pop("valid_at", None),
        "now" if hindsight else known_at,
        None if horizon is None else parse_horizon(horizon),
        _flag(given, "witnessed_only"),
        given.pop("under", None),
        None if least is None else parse_horizon(least, where="min_position"),
    )


def _flag(given: dict[str, str], name: str) -> bool:
    text = given.pop(name, "false")
    if text.lower() not in _FLAGS:
        raise InvalidInput(
            "invalid-argument", f"{text!r} is not a flag", where=name, hint="it is true or false"
        )
    return _FLAGS[text.lower()]


def export_routes(door: Door) -> APIRouter:
    """The routes of exports.

    Args:
        door: where questions are asked.
    """
    router = APIRouter()
    running = threading.BoundedSemaphore(AT_ONCE_MAX)

    @router.api_route("/export/{name}", methods=GET_AND_HEAD, include_in_schema=False)
    async def export(name: str, request: Request) -> Response:
        asking = asking_of(request)
        seen = door.seen_by(asking)
        table, _, kind = name.rpartition(".")
        try:
            seen.check(Operation.EXPORT)
            if table == "events":
                seen.check(Operation.READ_EVENTS)
            wanted = _Export.read(table, kind, request.query_params.multi_items())
            basis = await run_in_threadpool(seen.resolve, wanted.asked)
        except QledgerError as error:
            return fault(error)
        line = [request.url.path, sorted(request.query_params.multi_items())]
        headers = {
            "ETag": tag_of(line, asking.principal, [basis]),
            "Cache-Control": IMMUTABLE if is_pinned(wanted.asked) else ALWAYS_ASK,
            "Vary": "Authorization",
            "Qledger-Basis": orjson.dumps(basis.as_dict()).decode(),
        }
        if is_fresh(headers["ETag"], request.headers.get("if-none-match")):
            return Response(status_code=304, headers=headers)
        headers.update(_of_the_file(wanted, basis))
        if request.method == "HEAD":
            return head_of(wanted.kind.media_type, headers)
        if not running.acquire(blocking=False):
            refused = fault(
                Unavailable("too-many-exports", f"{AT_ONCE_MAX} exports are running already")
            )
            refused.headers["Retry-After"] = str(RETRY_SECONDS)
            return refused
        asking.exports(basis)
        return await _streamed(seen, wanted, basis, headers, running)

    return router


async def _streamed(
    door: Door,
    wanted: _Export,
    basis: Basis,
    headers: dict[str, str],
    running: threading.BoundedSemaphore,
) -> Response:
    told: dict[str, str] = {}

    def write() -> None:
        try:
            pipe.run(lambda sink: _write(door, wanted, basis, sink, told))
        finally:
            running.release()

    try:
        from api.export.pipe import Pipe  # noqa: PLC0415 - what exports need takes 0.2 s to load

        pipe = Pipe()
        threading.Thread(target=write, name="export", daemon=True).start()
    except BaseException:  # no thread will give the place back
        running.release()
        raise
    chunks = pipe.chunks()
    try:
        first = await anext(chunks, b"")
    except QledgerError as error:
        return fault(error)
    except BaseException:
        pipe.stop()
        raise
    return StreamingResponse(
        _all(first, chunks, pipe),
        media_type=wanted.kind.media_type,
        headers={**headers, **told},
    )


def _of_the_file(wanted: _Export, basis: Basis) -> dict[str, str]:
    """What programs that take files in look at."""
    file = f"{wanted.question.table.name}-{basis.valid_at:%Y-%m-%d}-pos{basis.horizon}"
    return {
        "Content-Disposition": f'attachment; filename="{file}.{wanted.kind.name}"',
        "X-Content-Type-Options": "nosniff",
    }


async def _all(first: bytes, rest: AsyncIterator[bytes], pipe: Any) -> AsyncIterator[bytes]:
    try:
        yield first
        async for chunk in rest:
            yield chunk
    finally:
        pipe.stop()


def _write(door: Door, wanted: _Export, basis: Basis, sink: BinaryIO, told: dict[str, str]) -> None:
    from api.export.batches import Batches, with_batches  # noqa: PLC0415 - as above
    from api.export.writers import WRITERS  # noqa: PLC0415 - as above

    def work(rows: Batches) -> None:
        told["Qledger-Made-From"] = str(rows.made_from)
        WRITERS[wanted.kind.name](wanted.question, basis, rows, sink)

    with door.book_at(basis) as book:
        with_batches(book, wanted.question, wanted.columns, work)
