"""The HTTP door: GraphQL at /graphql with subscriptions, GraphiQL from our own files, exports,
ingest, health and metrics.

Law: nobody gets in unknown where credentials are needed (see `api.http.credentials`). A browser
sends those it knows by itself, and on loopback none may be needed; so nothing that a page of
another site can send without asking is taken: no name but those that are answered (see
`api.http.hosts`), no form, no plain text, no socket, no command in a link.
"""

from __future__ import annotations

from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from api.access import policy
from api.access.commands import Writer
from api.access.identify import Identifier
from api.access.policy import Operation
from api.allowance import Allowance
from api.door import Door
from api.graphql.executor import executed_by
from api.graphql.limits import ALLOWANCE
from api.graphql.schema import schema
from api.http import metrics
from api.http.caching import ALWAYS_ASK
from api.http.credentials import KnownOnly, asking_of
from api.http.exports import export_routes
from api.http.faults import fault, no_such_place
from api.http.heads import GET_AND_HEAD
from api.http.health import readiness
from api.http.hosts import Hosts, KnownHostsOnly
from api.http.ingest import INGEST_PATH, NDJSON, ingest_routes
from api.http.observing import Observed
from api.http.readings import ReadingsLogged
from api.http.sockets import INIT_SECONDS_MAX
from api.http.streams import StreamRouter
from api.subscribing import Line, Subscriptions
from ledger.domain.errors import Forbidden, InvalidInput
from ledger.store.ledger import Ledger
from projections.rows.catalogue import catalogue

BODY_BYTES_MAX = 1024 * 1024
WEB = Path(str(files("api") / "web"))
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


class _Router(StreamRouter):
    """Strawberry's router with our GraphiQL page, which needs nothing from outside."""

    async def render_graphql_ide(self, request: Request) -> HTMLResponse:  # noqa: ARG002
        page = (WEB / "graphiql" / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


class _BodyLimit:
    """Refuses bodies that say, or turn out, to be longer than the limit; events in bulk have theirs
    (see `api.http.ingest`)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == INGEST_PATH:
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        chunked = b"transfer-encoding" in headers
        if chunked or not length.isdigit() or int(length) > BODY_BYTES_MAX:
            message = f"a request is at most {BODY_BYTES_MAX} bytes, and says how long it is"
            await fault(InvalidInput("request-too-large", message))(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _no_json() -> InvalidInput:
    return InvalidInput(
        "not-json", "a request is JSON, and its Content-Type is application/json",
        where="Content-Type",
    )  # fmt: skip


def _no_ndjson() -> InvalidInput:
    return InvalidInput(
        "not-ndjson",
        "events in bulk are one JSON object a line, and their Content-Type is application/x-ndjson",
        where="Content-Type",
        hint="curl -H 'Content-Type: application/x-ndjson' --data-binary @events.ndjson",
    )


_JSON = b"application/json", _no_json
_NDJSON = NDJSON, _no_ndjson


class _JsonOnly:
    """Refuses to take questions and commands in anything but JSON, and events in bulk in anything
    but lines of JSON, said in exactly one way.

    A page of another site can send plain text or a form to us without asking, and what only looks
    like JSON to a lenient reader (`text/plain, application/json`); JSON it cannot.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            said = [value for key, value in scope["headers"] if key == b"content-type"]
            kinds = [value.partition(b";")[0].strip().lower() for value in said]
            wanted, refusal = _NDJSON if scope["path"] == INGEST_PATH else _JSON
            if kinds != [wanted]:
                await fault(refusal())(scope, receive, send)
                return
        await self._app(scope, receive, send)


def create_app(
    door: Door,
    ledger: Ledger,
    hosts: Hosts,
    identifier: Identifier,
    allowance: Allowance | None = None,
) -> FastAPI:
    """The application over one database.

    Args:
        door: where questions are asked.
        ledger: where commands are recorded.
        hosts: the hosts it answers to, so that a web page elsewhere cannot reach it by a name of
            its own that points here.
        identifier: knows who asks.
        allowance: how much each may ask; None where nobody counts.
    """
    app = FastAPI(title="Qualification ledger", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(ReadingsLogged, database=door.database)
    app.add_middleware(_JsonOnly)
    app.add_middleware(_BodyLimit)
    app.add_middleware(KnownOnly, identifier=identifier)
    app.add_middleware(KnownHostsOnly, hosts=hosts)
    app.add_middleware(Observed)
    app.state.subscriptions = subscriptions = Subscriptions(door.database, identifier)
    answers = partial(app.api_route, methods=GET_AND_HEAD, include_in_schema=False)
    counted = {} if allowance is None else {ALLOWANCE: allowance}

    async def context(connection: HTTPConnection) -> dict[str, Any]:
        line = Line(connection.headers.get("authorization"))
        shared = {"line": line, "subscriptions": subscriptions, **counted}
        if connection.scope["type"] == "websocket":
            return {"door": door, "identifier": identifier, **shared}
        asking = asking_of(connection)
        seen = door.seen_by(asking)
        writer = Writer.of(ledger, asking.principal, seen.now())
        return {"door": seen, "writer": writer, **shared}

    executed = executed_by(schema, door.database.settings.executor)
    router = _Router(
        executed,
        context_getter=context,
        subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
        connection_init_wait_timeout=INIT_SECONDS_MAX,
        max_subscriptions_per_connection=None,  # it is counted where all are
    )
    app.include_router(router, prefix="/graphql")
    app.include_router(export_routes(door))
    app.include_router(ingest_routes(door, ledger))
    app.mount("/graphiql", StaticFiles(directory=WEB / "graphiql"), name="graphiql")

    app.add_exception_handler(HTTPException, no_such_place)  # type: ignore[arg-type]

    @answers("/")
    async def root() -> RedirectResponse:
        return RedirectResponse("/graphql")

    @answers("/schema.graphql")
    def sdl() -> PlainTextResponse:
        return PlainTextResponse(schema.as_str(), headers={"Cache-Control": ALWAYS_ASK})

    @answers("/api/columns.json")
    def columns() -> JSONResponse:
        return JSONResponse(catalogue(), headers={"Cache-Control": ALWAYS_ASK})

    @answers("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @answers("/readyz")
    def readyz() -> JSONResponse:
        return readiness(door.database)

    @answers("/metrics")
    def read_metrics(request: Request) -> Response:
        try:
            policy.check(asking_of(request).principal, Operation.OBSERVE)
        except Forbidden as error:
            return fault(error)
        metrics.open_subscriptions(subscriptions.open)
        told = metrics.exposition(door.database)
        return Response(told, headers={"Content-Type": metrics.CONTENT_TYPE})

    return app
