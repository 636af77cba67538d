"""``POST /v1/responses/input_tokens`` and ``/compact``: what is done with an input without a response of it."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_bus.claims import INLINE_LIMIT, give_up
from caravan_bus.responses import AgentRuns
from caravan_bus.router import Outbound
from caravan_contracts import headers as h
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import RequestTooLarge
from caravan_contracts.inference import CallSpec, Verb
from caravan_contracts.response_operations import ResponseOperation, TokenCount
from caravan_contracts.responses import RECALLS, RUNS
from caravan_contracts.users import AGENTS

from caravan_gateway.asgi import App, Headers
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.kept import Origin
from caravan_gateway.source import MAX_ANSWER, Source, Whole

INPUT_TOKENS: Final = "/v1/responses/input_tokens"
COMPACT: Final = "/v1/responses/compact"
ESTIMATE: Final = (b"x-caravan-token-count", b"estimate")
_SLOTS: Final = {
    ResponseOperation.COUNT: RECALLS,
    ResponseOperation.COUNT_CHAT: RECALLS,
    ResponseOperation.COMPACT: RUNS,
}
"""A compaction asks a model, and takes its time, as a response does; a count is an answer from what is known."""


def hot_routes(runs: AgentRuns, like: CompletionRoute) -> dict[str, App]:
    """Both, by path. `like` is the route of chat completions."""
    return {
        INPUT_TOKENS: _Operation(ResponseOperation.COUNT, INPUT_TOKENS, runs, like),
        COMPACT: _Operation(ResponseOperation.COMPACT, COMPACT, runs, like),
    }


class _Operation(CompletionRoute):
    """One of them: the body goes to an agents worker as it came."""

    def __init__(self, operation: ResponseOperation, path: str, runs: AgentRuns, like: CompletionRoute) -> None:
        super().__init__(Verb.CHAT, path, *like.parts)
        self._operation = operation
        self._runs = runs

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        answer = await ask(self._runs, self._operation, body, context, provider_data)
        if self._operation is ResponseOperation.COMPACT:
            return Whole(Origin(), answer), False, NO_HEADERS
        count = TokenCount.model_validate_json(answer)
        told = {"object": "response.input_tokens", "input_tokens": count.input_tokens}
        return Whole(Origin(), orjson.dumps(told)), False, [ESTIMATE] if count.estimate else NO_HEADERS


async def ask(
    runs: AgentRuns,
    operation: ResponseOperation,
    body: bytes,
    context: RequestContext,
    provider_data: dict[str, str] | None = None,
) -> bytes:
    """Have an agents worker do it; its answer. Raises what the worker raises, and RequestTooLarge."""
    claims, claim, extra = runs.claims, "", {}
    if provider_data:
        extra[h.PROVIDER_DATA] = orjson.dumps(provider_data).decode()
    if len(body) > INLINE_LIMIT:
        if claims is None:
            raise RequestTooLarge(f"without Redis a body may have at most {INLINE_LIMIT} bytes")
        extra[h.CLAIM] = claim = await claims.check_in(body)
    spec = CallSpec(_SLOTS[operation], "", "")
    sent = b"" if claim else body
    try:
        outbound = Outbound(AGENTS, operation.value, spec, sent, context, b"", extra, len(body))
        stream = await runs.router.send(outbound)
        try:
            return await stream.read_all(MAX_ANSWER)
        finally:
            stream.cancel()
    finally:
        if claims is not None and claim:
            await give_up(claims, claim)


def document() -> dict[str, Any]:
    """Their part of the OpenAPI document."""

    def post(name: str, summary: str, needed: list[str]) -> dict[str, Any]:
        body = {"type": "object", "required": needed, "additionalProperties": True, "description": "OpenAI's request"}
        ok = {"description": "OpenAI's answer", "content": {"application/json": {"schema": {"type": "object"}}}}
        error = {"$ref": "#/components/schemas/Error"}
        return {
            "post": {
                "tags": ["Responses"],
                "summary": summary,
                "operationId": name,
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                "responses": {
                    "200": ok,
                    "default": {"description": "an error", "content": {"application/json": {"schema": error}}},
                },
            }
        }

    return {
        INPUT_TOKENS: post("count_input_tokens", "How many tokens an input has", []),
        COMPACT: post("compact_response", "A summary that stands for a conversation", ["model"]),
    }
