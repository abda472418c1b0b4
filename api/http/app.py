"""The HTTP door: GraphQL at /graphql, GraphiQL from our own files, health.

Law: there is no access control yet, so nothing that a page of another site can send without asking
is taken: no name but those that are answered (see `api.http.hosts`), no form, no plain text, no
socket, no command in a link.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send
from strawberry.fastapi import GraphQLRouter

from api.door import Door
from api.graphql.schema import schema
from api.http.hosts import Hosts, KnownHostsOnly
from ledger.store.ledger import Ledger

BODY_BYTES_MAX = 1024 * 1024
WEB = Path(str(files("api") / "web"))
CONTENT_SECURITY_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)


class _Router(GraphQLRouter[dict[str, Any], None]):
    """Strawberry's router with our GraphiQL page, which needs nothing from outside."""

    async def render_graphql_ide(self, request: Request) -> HTMLResponse:  # noqa: ARG002
        page = (WEB / "graphiql" / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})


class _BodyLimit:
    """Refuses bodies that say, or turn out, to be longer than the limit."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        chunked = b"transfer-encoding" in headers
        if chunked or not length.isdigit() or int(length) > BODY_BYTES_MAX:
            message = f"a request is at most {BODY_BYTES_MAX} bytes, and says how long it is"
            fault = {"message": message, "extensions": {"code": "request-too-large"}}
            answer = JSONResponse({"errors": [fault]}, status_code=413)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class _JsonOnly:
    """Refuses to take questions and commands in anything but JSON, said in exactly one way.

    A page of another site can send plain text or a form to us without asking, and what only looks
    like JSON to a lenient reader (`text/plain, application/json`); JSON it cannot.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            said = [value for key, value in scope["headers"] if key == b"content-type"]
            kinds = [value.partition(b";")[0].strip().lower() for value in said]
            if kinds != [b"application/json"]:
                fault = {
                    "message": "a request is JSON, and its Content-Type is application/json",
                    "extensions": {"code": "not-json"},
                }
                answer = JSONResponse({"errors": [fault]}, status_code=415)
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


def create_app(door: Door, ledger: Ledger, hosts: Hosts) -> FastAPI:
    """The application over one database.

    Args:
        door: where questions are asked.
        ledger: where commands are recorded.
        hosts: the hosts it answers to, so that a web page elsewhere cannot reach it by a name of
            its own that points here.
    """
    app = FastAPI(title="Qualification ledger", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_JsonOnly)
    app.add_middleware(_BodyLimit)
    app.add_middleware(KnownHostsOnly, hosts=hosts)

    async def context() -> dict[str, Any]:
        return {"door": door, "ledger": ledger}

    router = _Router(schema, context_getter=context, subscription_protocols=())
    app.include_router(router, prefix="/graphql")
    app.mount("/graphiql", StaticFiles(directory=WEB / "graphiql"), name="graphiql")

    @app.get("/", include_in_schema=False)
    async def root() -> RedirectResponse:
        return RedirectResponse("/graphql")

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return app
