"""Refusals as HTTP says them: a status by the class of the error, and its facts as JSON."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

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


def fault(error: QledgerError) -> JSONResponse:
    """The answer to a request that was refused: `errors`, with `message` and `extensions`.

    Args:
        error: why.
    """
    facts: dict[str, Any] = error.as_dict()
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    return JSONResponse(
        {"errors": [{"message": facts.pop("message"), "extensions": facts}]},
        status_code=status,
        headers={"Cache-Control": "no-store"},
    )
