"""Refusals as HTTP says them: a status by the code or the class of the error, and its facts as
JSON. An error that is told is noted of the request."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.noted import noted
from ledger.domain.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    QledgerError,
    Refused,
    Unauthenticated,
    Unavailable,
)

_STATUS: tuple[tuple[type[QledgerError], int], ...] = (
    (InvalidInput, 400),
    (Unauthenticated, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (Refused, 409),
    (Unavailable, 503),
)

_STATUS_OF_CODE = {
    "body-stalled": 408,
    "request-too-large": 413,
    "not-json": 415,
    "not-ndjson": 415,
    "unsupported-encoding": 415,
}
"""Where HTTP has a status for what is the matter."""


def fault(error: QledgerError) -> JSONResponse:
    """The answer to a request that was refused: `errors`, with `message` and `extensions`.

    Args:
        error: why.
    """
    note = noted()
    if note is not None:
        note.code(error.code, failed=isinstance(error, Unavailable))
    of_class = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    status = _STATUS_OF_CODE.get(error.code, of_class)
    return JSONResponse(
        {"errors": [told_of(error)]}, status_code=status, headers={"Cache-Control": "no-store"}
    )


def no_such_place(request: Request, error: HTTPException) -> JSONResponse:
    """The answer where nothing is at a path, or not by this method.

    Args:
        request: what was asked.
        error: why the web framework does not take it.
    """
    path = request.url.path[:200]
    if error.status_code == 404:
        return fault(
            NotFound(
                "unknown-path", f"there is nothing at {path}", where="path",
                hint="there are /graphql, /export/{table}.{format}, /ingest, /api/columns.json, "
                "/schema.graphql, /healthz, /readyz and /metrics",
            )
        )  # fmt: skip
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "GET").split(", ")
        refused = InvalidInput(
            "method-not-allowed",
            f"{path} is not asked by {request.method}",
            hint=f"ask by {' or '.join(sorted(allowed))}",
        )
    else:
        refused = InvalidInput("invalid-request", error.detail)
    answer = fault(refused)
    answer.status_code = error.status_code
    answer.headers.update(error.headers or {})
    return answer


def told_of(error: QledgerError) -> dict[str, Any]:
    """An error as every answer spells it: `message`, and the rest of its facts in `extensions`."""
    facts: dict[str, Any] = error.as_dict()
    return {"message": facts.pop("message"), "extensions": facts}
