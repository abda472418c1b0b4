"""Whether this server can answer: /readyz.

Law: it is not ready when the database cannot be asked, or lacks what this release needs. How far
the read models are is told and decides nothing: answers are right however far they are.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from ledger.domain.errors import QledgerError
from ledger.store.database import Database
from ledger.store.migrate import check_migrated
from projections.position import status


def readiness(database: Database) -> JSONResponse:
    """Whether questions can be answered: 200 when they can, 503 when not.

    Why the read models halted is for `qledger status`: a reason may quote an event.
    """
    try:
        with database.connection() as connection:
            check_migrated(connection)
            found = status(connection)
    except QledgerError as error:
        facts = {"status": "unavailable", "code": error.code}
        return JSONResponse(facts, status_code=503, headers=_NOT_KEPT)
    told: dict[str, Any] = {
        "in_use": found.in_use,
        "position": found.position,
        "lag_events": found.lag_events,
        "lag_seconds": round(found.lag_seconds, 3),
        "halted_at": found.halted_at,
    }
    return JSONResponse(
        {"status": "ready", "migrations": "at head", "read_models": told}, headers=_NOT_KEPT
    )


_NOT_KEPT = {"Cache-Control": "no-store"}
