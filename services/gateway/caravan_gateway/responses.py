"""OpenAI's Responses API over HTTP. They are made, and kept, by the agents service."""

from __future__ import annotations

import time
from typing import Final

import orjson
from caravan_bus import metrics
from caravan_contracts.completions import Order
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, InvalidJSON
from caravan_contracts.inference import Verb
from caravan_contracts.responses import Recall
from fastapi import APIRouter, Depends, Query, Request, Response

from caravan_gateway.agent_runs import AgentRuns
from caravan_gateway.asgi import Headers
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.resources import Resources
from caravan_gateway.source import Source

PATH: Final = "/v1/responses"
_SECONDS: Final = 30.0


class ResponsesRoute(CompletionRoute):
    """``POST /v1/responses``: as a chat completion, but that an agents worker is asked."""

    def __init__(self, runs: AgentRuns, like: CompletionRoute) -> None:
        """`like` is the route of chat completions."""
        super().__init__(Verb.CHAT, PATH, *like.parts)
        self._runs = runs

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        streams = _streams(body)
        progress.run = run = await self._runs.respond(body, streams, context, provider_data)
        return run.stream, streams, NO_HEADERS

    async def _finish(self, progress: Progress) -> None:
        if progress.run is not None:
            await progress.run.finish()

    def _event(self, error: CaravanError, progress: Progress) -> bytes:
        number = progress.run.stream.sequence if progress.run is not None else 0
        told = {
            "type": "error",
            "code": error.code or error.type,
            "message": error.message,
            "param": error.param,
            "sequence_number": number,
        }
        return b"event: error\ndata: " + orjson.dumps(told) + b"\n\n"

    def _account(self, progress: Progress, began: float) -> None:
        super()._account(progress, began)
        summary = progress.run.stream.summary if progress.run is not None else None
        if summary is None:
            return
        provider = summary.model.partition("/")[0]
        if progress.first_byte:
            metrics.FIRST_TOKEN.labels(summary.model, provider).observe(progress.first_byte - began)
        if summary.usage is not None:
            metrics.TOKENS.labels("input", summary.model, provider).inc(summary.usage.prompt_tokens)
            metrics.TOKENS.labels("output", summary.model, provider).inc(summary.usage.completion_tokens)


def _streams(body: bytes) -> bool:
    """Whether events are asked for; everything else in it is the worker's business. Raises InvalidJSON."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    return isinstance(data, dict) and data.get("stream") is True


def router(resources: Resources, runs: AgentRuns) -> APIRouter:
    """The routes of stored responses."""
    routes = APIRouter(prefix=PATH, tags=["Responses"])
    who = resources.who

    async def ask(recall: Recall, principal: Principal, request: Request) -> Response:
        context = RequestContext(request.scope["caravan_request_id"], principal, time.monotonic() + _SECONDS)
        return Response(await runs.recall(recall, context), media_type="application/json")

    @routes.get("", summary="Stored responses")
    async def list_responses(
        request: Request,
        after: str = "",
        limit: int = Query(20, ge=1, le=100),
        order: Order = "desc",
        model: str = "",
        principal: Principal = Depends(who),
    ) -> Response:
        recall = Recall(operation="list", after=after, limit=limit, order=order, model=model)
        return await ask(recall, principal, request)

    @routes.get("/{response}/input_items", summary="What went into a stored response")
    async def list_input_items(
        response: str,
        request: Request,
        after: str = "",
        limit: int = Query(20, ge=1, le=100),
        order: Order = "desc",
        principal: Principal = Depends(who),
    ) -> Response:
        recall = Recall(operation="input_items", id=response, after=after, limit=limit, order=order)
        return await ask(recall, principal, request)

    @routes.get("/{response}", summary="One stored response")
    async def get_response(response: str, request: Request, principal: Principal = Depends(who)) -> Response:
        return await ask(Recall(operation="get", id=response), principal, request)

    @routes.delete("/{response}", summary="Forget a stored response")
    async def delete_response(response: str, request: Request, principal: Principal = Depends(who)) -> Response:
        return await ask(Recall(operation="delete", id=response), principal, request)

    return routes
