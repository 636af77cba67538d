"""``POST /v1/messages`` and ``/v1/messages/count_tokens``.

A request is passed on untouched where everybody who may answer speaks this API, and translated elsewhere.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_bus.responses import AgentRuns
from caravan_contracts import headers as h
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import Verb
from caravan_contracts.response_operations import ResponseOperation, TokenCount

from caravan_gateway import response_operations
from caravan_gateway.asgi import EVENT_STREAM, ID_HEADERS, App, Headers
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.dialects.anthropic import errors
from caravan_gateway.dialects.anthropic.reading import read_request
from caravan_gateway.dialects.anthropic.writing import MessageWriter
from caravan_gateway.dialects.base import Translation, Writer
from caravan_gateway.dialects.route import DialectRoute
from caravan_gateway.kept import Origin
from caravan_gateway.source import Source, Whole

MESSAGES: Final = "/v1/messages"
COUNT_TOKENS: Final = "/v1/messages/count_tokens"
_READ_AS: Final = (h.ANTHROPIC_VERSION.encode(), h.ANTHROPIC_BETA.encode())
_NATIVE: Final = (b"x-caravan-dialect", b"native")
_TRANSLATED: Final = (b"x-caravan-dialect", b"translated")


def hot_routes(like: CompletionRoute, runs: AgentRuns) -> dict[str, App]:
    """Both, by path. `like` is the route of chat completions."""
    return {
        MESSAGES: _MessagesRoute(Messages(), MESSAGES, like),
        COUNT_TOKENS: _CountTokens(Messages(counts=True), COUNT_TOKENS, like, runs),
    }


class Messages:
    """See :class:`caravan_gateway.dialects.base.Dialect`."""

    verb = Verb.CHAT
    stream_headers = EVENT_STREAM

    def __init__(self, *, counts: bool = False) -> None:
        self._counts = counts

    def read(self, body: bytes, path: dict[str, str], headers: dict[bytes, bytes]) -> Translation:
        """See :meth:`Dialect.read`."""
        asked = read_request(body, counts=self._counts)
        return Translation(orjson.dumps(asked.chat), asked.stream, MessageWriter(asked))

    def error(self, error: CaravanError, request_id: str) -> bytes:
        """See :meth:`Dialect.error`."""
        return errors.body(error, request_id)

    def event(self, error: CaravanError, writer: Writer | None) -> bytes:
        """See :meth:`Dialect.event`."""
        return errors.last_event(error)


class _Route(DialectRoute):
    """Anthropic's clients look for the id of a request in a header of another name."""

    id_headers = (*ID_HEADERS, b"request-id")


class _MessagesRoute(_Route):
    def __init__(self, dialect: Messages, route: str, like: CompletionRoute) -> None:
        super().__init__(dialect, route, like)
        self._native = CompletionRoute(Verb.MESSAGES, route, *like.parts)

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        begin, way = super()._begin, _TRANSLATED
        if await self._client.takes(Verb.MESSAGES, body, context):
            begin, way = self._native._begin, _NATIVE
            version, beta = (headers.get(name, b"").decode("latin-1") for name in _READ_AS)
            context = context.with_anthropic(version, beta)
        source, streams, more = await begin(progress, body, headers, context, provider_data)
        return source, streams, [*more, way]


class _CountTokens(_Route):
    """Counts what a request has, without asking its model."""

    def __init__(self, dialect: Messages, route: str, like: CompletionRoute, runs: AgentRuns) -> None:
        super().__init__(dialect, route, like)
        self._runs = runs

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        asked = self._dialect.read(body, {}, headers)
        answer = await response_operations.ask(self._runs, ResponseOperation.COUNT_CHAT, asked.body, context)
        count = TokenCount.model_validate_json(answer)
        more = [response_operations.ESTIMATE] if count.estimate else NO_HEADERS
        return Whole(Origin(), orjson.dumps({"input_tokens": count.input_tokens})), False, more


def document() -> dict[str, Any]:
    """Their part of the OpenAPI document."""

    def post(name: str, summary: str, needed: list[str], kinds: tuple[str, ...]) -> dict[str, Any]:
        body = {
            "type": "object",
            "required": needed,
            "additionalProperties": True,
            "description": "Anthropic's request",
        }
        failed = {
            "type": "object",
            "properties": {
                "type": {"const": "error"},
                "error": {"type": "object", "required": ["type", "message"], "additionalProperties": True},
                "request_id": {"type": "string"},
            },
        }
        ok = {kind: {"schema": {"type": "string" if "event" in kind else "object"}} for kind in kinds}
        return {
            "post": {
                "tags": ["Anthropic"],
                "summary": summary,
                "operationId": name,
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                "responses": {
                    "200": {"description": "Anthropic's answer", "content": ok},
                    "default": {"description": "an error", "content": {"application/json": {"schema": failed}}},
                },
            }
        }

    both = ("application/json", "text/event-stream")
    needed = ["model", "messages"]
    return {
        MESSAGES: post("create_message", "A message, streamed or whole", [*needed, "max_tokens"], both),
        COUNT_TOKENS: post("count_message_tokens", "How many tokens a request has", needed, both[:1]),
    }
