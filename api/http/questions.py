"""Questions by GET: a document by its name, or a query, with tags that say whether it changed.

Law: a GET changes nothing. Its answer carries a tag made from all that it rests on; asked again
with that tag, it is not made anew while nothing that it rests on has changed. An answer with an
error is never kept.
"""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from contextvars import ContextVar
from typing import Any, NamedTuple, cast

import orjson
from cross_web import AsyncHTTPRequestAdapter, HTTPException
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from strawberry.fastapi import GraphQLRouter
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.http.base import BaseRequestProtocol
from strawberry.types import ExecutionResult
from strawberry.types.unset import UNSET

from api.asof import AsOf
from api.door import Door
from api.graphql.documents import check_variables, rests_on_its_bases, text_of
from api.http.caching import ALWAYS_ASK, IMMUTABLE, is_fresh, is_pinned, tag_of
from api.http.encoding import json_bytes
from api.http.faults import fault
from api.http.heads import GET_AND_HEAD, head_of
from api.http.media import GRAPHQL_RESPONSE, JSON, is_refused, media_type_for, without_data
from api.moment import HEAD, Asked, MomentDoor
from api.noted import note_document
from ledger.domain.errors import InvalidInput, QledgerError

REMEMBERED_MAX = 2_000
_NAMES_A_QUESTION = frozenset({"documentId", "query"})
_VARY = "Authorization, Accept"
_FAILED = "answer_failed"
_REFUSED = "question_refused"
_document: ContextVar[str | None] = ContextVar("document", default=None)
"""The text of the document that the request at hand named."""


class Question(NamedTuple):
    """What a request asks.

    Args:
        text: the GraphQL document.
        variables: as JSON.
        operation: which of its operations.
    """

    text: str
    variables: Any
    operation: str | None

    @property
    def digest(self) -> str:
        """What tells it from others."""
        whole = orjson.dumps(list(self), option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(whole).hexdigest()


class _Remembered:
    """What questions asked of the ledger when they were answered last, the latest ones."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, tuple[Asked, ...]] = OrderedDict()

    def get(self, question: str) -> tuple[Asked, ...] | None:
        return self._asked.get(question)

    def put(self, question: str, asked: tuple[Asked, ...]) -> None:
        self._asked[question] = asked
        self._asked.move_to_end(question)
        if len(self._asked) > REMEMBERED_MAX:
            self._asked.popitem(last=False)


class QuestionRouter(GraphQLRouter[dict[str, Any], None]):
    """A router that knows documents by name, and answers a GET with a tag."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._remembered = _Remembered()

        given = Depends(self.context_getter)

        async def head(request: Request, context: Any = given) -> Response:
            return await self._head(request, context)

        self.add_api_route("", head, methods=["HEAD"], include_in_schema=False)

    def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
        """The page is for people: for who asks for HTML, and not for a document."""
        return (
            _wants_html(request)
            and "documentId" not in request.query_params
            and super().should_render_graphql_ide(request)
        )

    def encode_json(self, data: object) -> str | bytes:
        return json_bytes(data)

    async def parse_http_body(
        self, request: AsyncHTTPRequestAdapter
    ) -> GraphQLRequestData | list[GraphQLRequestData]:
        data = await super().parse_http_body(request)
        text = _document.get()
        if text is not None and isinstance(data, GraphQLRequestData):
            data.query = text
        return data

    async def process_result(
        self, request: Request, result: ExecutionResult
    ) -> GraphQLHTTPResponse:
        setattr(request.state, _FAILED, bool(result.errors))
        told = await super().process_result(request, result)
        if _media_type(request) == GRAPHQL_RESPONSE and is_refused(result):
            setattr(request.state, _REFUSED, True)
            return without_data(told)
        return told

    async def run(self, request: Any, context: Any = UNSET, root_value: Any = UNSET) -> Any:
        if not isinstance(request, Request):
            return await super().run(request, context, root_value)
        adapter = self.request_adapter_class(request)
        if self.should_render_graphql_ide(cast("Any", adapter)):
            return await super().run(request, context, root_value)
        answer: Response = await self._taken(request, context, root_value)
        if answer.headers.get("Content-Type") == JSON:
            answer.headers["Content-Type"] = _media_type(request)
        if answer.status_code == 200 and getattr(request.state, _REFUSED, False):
            answer.status_code = 400
        return answer

    async def _taken(self, request: Request, context: dict[str, Any], root_value: Any) -> Any:
        """The answer to a question by either method, or the refusal of it."""
        try:
            await _find_document(request, context["door"])
            if request.method != "GET":
                return await super().run(request, context, root_value)
            return await self._answer(request, _question(request), context, root_value)
        except QledgerError as error:
            return fault(error)
        except HTTPException as error:
            refused = fault(InvalidInput("invalid-request", error.reason))
            refused.status_code = error.status_code
            return refused

    async def _head(self, request: Request, context: dict[str, Any]) -> Response:
        """The head of the answer to the same GET: with a tag where it was answered before."""
        if _wants_html(request) and not _NAMES_A_QUESTION & request.query_params.keys():
            return head_of("text/html; charset=utf-8", {})
        door = MomentDoor.of(context["door"])
        try:
            await _find_document(request, door)
            question = _question(request)
            asked = self._remembered.get(question.digest)
            if asked is None:
                return head_of(_media_type(request), {"Vary": _VARY})
            await run_in_threadpool(door.ask_again, asked)
        except QledgerError as error:
            return fault(error)
        headers = _headers(question, door)
        if is_fresh(headers["ETag"], request.headers.get("if-none-match")):
            return Response(status_code=304, headers=headers)
        return head_of(_media_type(request), headers)

    async def _answer(
        self, request: Request, question: Question, context: dict[str, Any], root_value: Any
    ) -> Response:
        door = MomentDoor.of(context["door"])
        asked = self._remembered.get(question.digest)
        sent = request.headers.get("if-none-match")
        if asked is not None and sent is not None:
            await run_in_threadpool(door.ask_again, asked)
            if is_fresh(_tag(question, door), sent):
                return Response(status_code=304, headers=_headers(question, door))
            door = MomentDoor.of(context["door"])
        answer: Response = await super().run(request, {**context, "door": door}, root_value)
        never_kept = answer.status_code != 200 or "rateLimit" in question.text
        if never_kept or getattr(request.state, _FAILED, True):
            answer.headers["Cache-Control"] = "no-store"
            return answer
        self._remembered.put(question.digest, door.asked)
        headers = _headers(question, door)
        if is_fresh(headers["ETag"], sent):
            return Response(status_code=304, headers=headers)
        answer.headers.update(headers)
        return answer


def _wants_html(request: BaseRequestProtocol | Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _media_type(request: Request) -> str:
    return media_type_for(request.headers.get("accept"))


def _tag(question: Question, door: MomentDoor) -> str:
    return tag_of(question.digest, door.asking.principal, door.rests_on)


def _headers(question: Question, door: MomentDoor) -> dict[str, str]:
    pinned = rests_on_its_bases(question.text) and all(
        is_pinned(each) if isinstance(each, AsOf) else each != HEAD for each in door.asked
    )
    return {
        "ETag": _tag(question, door),
        "Cache-Control": IMMUTABLE if pinned and door.asked else ALWAYS_ASK,
        "Vary": _VARY,
    }


async def _find_document(request: Request, door: Door) -> None:
    """Find the document that a request names, if it names one.

    Raises:
        InvalidInput: `document-and-query`, `unknown-variable`.
        NotFound: `unknown-document`.
    """
    _document.set(None)
    name = await _document_named(request)
    if name is None:
        return
    text = await run_in_threadpool(text_of, door.database, name)
    note_document(name)
    check_variables(text, await _variables_given(request))
    _document.set(text)


async def _document_named(request: Request) -> str | None:
    """The name of the document that a request asks by; None when it brings its own text.

    Raises:
        InvalidInput: `document-and-query`.
    """
    if request.method in GET_AND_HEAD:
        name, query = request.query_params.get("documentId"), request.query_params.get("query")
    else:
        body = await request.body()
        if b"documentId" not in body:
            return None
        try:
            said = orjson.loads(body)
        except orjson.JSONDecodeError:
            return None  # whoever reads the body refuses it
        if not isinstance(said, dict):
            return None
        name, query = said.get("documentId"), said.get("query")
    if name is None:
        return None
    if query or not isinstance(name, str):
        raise InvalidInput(
            "document-and-query", "give a documentId or a query, not both", where="documentId"
        )
    return name


async def _variables_given(request: Request) -> list[str]:
    """The names of the variables of a request; none where they cannot be read, which is refused."""
    try:
        if request.method in GET_AND_HEAD:
            given = orjson.loads(request.query_params.get("variables") or "{}")
        else:
            given = orjson.loads(await request.body()).get("variables")
    except orjson.JSONDecodeError:
        return []
    return list(given) if isinstance(given, dict) else []


def _question(request: Request) -> Question:
    """What a GET asks.

    Raises:
        InvalidInput: `invalid-variables`, `no-query`.
    """
    text = _document.get() or request.query_params.get("query")
    if not text:
        raise InvalidInput(
            "no-query", "nothing is asked", hint="give documentId, or query, and variables"
        )
    spelt = request.query_params.get("variables") or "{}"
    try:
        variables = json.loads(spelt)
        if variables is not None and not isinstance(variables, dict):
            raise TypeError(spelt)
        question = Question(text, variables, request.query_params.get("operationName"))
        orjson.dumps(question.variables)
    except (ValueError, TypeError, RecursionError):
        raise InvalidInput(
            "invalid-variables", "variables are a JSON object", where="variables"
        ) from None
    return question
