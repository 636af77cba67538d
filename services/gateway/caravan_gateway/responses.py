"""OpenAI's Responses API over HTTP. They are made, and kept, by the agents service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Final

import orjson
from caravan_bus import metrics
from caravan_bus.responses import AgentRun, AgentRuns, AgentStream, Named, wants_events
from caravan_contracts.completions import Order
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, InvalidRequest
from caravan_contracts.inference import Summary, Verb
from caravan_contracts.responses import Recall
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse

from caravan_gateway.asgi import EVENT_STREAM, Headers
from caravan_gateway.completions import NO_HEADERS, CompletionRoute, Progress
from caravan_gateway.conversations import included
from caravan_gateway.idempotency.run import Begun
from caravan_gateway.resources import Resources
from caravan_gateway.source import Source
from caravan_gateway.special import KEY, Keyed

PATH: Final = "/v1/responses"
_SECONDS: Final = 30.0
_UNKNOWN: Final = 2**31 - 1
"""The number of an event whose place nobody knows: behind all others."""


class ResponsesRoute(CompletionRoute):
    """``POST /v1/responses``: as a chat completion, but that an agents worker is asked."""

    def __init__(self, runs: AgentRuns, like: CompletionRoute, path: str = PATH) -> None:
        """`like` is the route of chat completions; `path` is its name in metrics and traces."""
        super().__init__(Verb.CHAT, path, *like.parts)
        self._runs = runs

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        streams = wants_events(body)
        if KEY in headers:

            async def ask(own: RequestContext, name: str) -> AgentRun:
                named = Named.of_key(f"{own.principal.tenant} {name}")
                return await self._runs.respond(body, streams, own, provider_data, named)

            keyed = Keyed("responses", headers[KEY], body, context, provider_data)
            once = await self._special.once(keyed, ask, _finish_run)
            progress.followed = once.followed
            return once.followed, streams, once.headers
        progress.run = run = await self._runs.respond(body, streams, context, provider_data)
        return run.stream, streams, NO_HEADERS

    async def _finish(self, progress: Progress) -> None:
        if progress.run is not None:
            await progress.run.finish()
        if progress.followed is not None:
            progress.followed.leave()

    def _event(self, error: CaravanError, progress: Progress) -> bytes:
        return error_event(error, progress.run.stream.sequence if progress.run is not None else _UNKNOWN)

    def _account(self, progress: Progress, began: float) -> None:
        super()._account(progress, began)
        summary = progress.run.stream.summary if progress.run is not None else None
        if summary is not None and summary.model and progress.first_byte:
            provider = summary.model.partition("/")[0]
            metrics.FIRST_TOKEN.labels(summary.model, provider).observe(progress.first_byte - began)
        _account(summary)


def _account(summary: Summary | None) -> None:
    if summary is None or summary.usage is None:
        return
    provider = summary.model.partition("/")[0]
    metrics.TOKENS.labels("input", summary.model, provider).inc(summary.usage.prompt_tokens)
    metrics.TOKENS.labels("output", summary.model, provider).inc(summary.usage.completion_tokens)


def error_event(error: CaravanError, number: int) -> bytes:
    """The event that ends a stream which broke; `number` is that of the event that should have come."""
    told = {
        "type": "error",
        "code": error.code or error.type,
        "message": error.message,
        "param": error.param,
        "sequence_number": number,
    }
    return b"event: error\ndata: " + orjson.dumps(told) + b"\n\n"


async def _finish_run(run: Begun) -> None:
    """A run that several may have followed is over."""
    if isinstance(run, AgentRun):
        await run.finish()
        _account(run.stream.summary)


class Followed:
    """The events of a response that was made before, or is made elsewhere, on their way to a client."""

    def __init__(self, stream: AgentStream, first: bytes) -> None:
        self._stream = stream
        self._first = first

    @classmethod
    async def answer(cls, stream: AgentStream) -> Response:
        """The answer, once its first events are there. Raises what kept them."""
        try:
            made = cls(stream, await stream.read())
        except BaseException:  # a client that went away, too
            stream.cancel()
            raise
        headers = {name.decode(): value.decode() for name, value in EVENT_STREAM}
        return StreamingResponse(made.pieces(), headers=headers)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Bytes for the socket; an error is the last event."""
        try:
            data = self._first
            while data:
                yield data
                data = await self._stream.read()
        except CaravanError as error:
            yield error_event(error, self._stream.sequence)
        finally:
            self._stream.cancel()


def router(resources: Resources, runs: AgentRuns, seconds: float) -> APIRouter:
    """The routes of stored responses; a stream of events may take so many `seconds`."""
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
        include: list[str] = Depends(included),
    ) -> Response:
        recall = Recall(operation="input_items", id=response, after=after, limit=limit, order=order, include=include)
        return await ask(recall, principal, request)

    @routes.get("/{response}", summary="One stored response")
    async def get_response(
        response: str,
        request: Request,
        stream: bool = False,
        starting_after: int | None = Query(None, ge=-1),
        principal: Principal = Depends(who),
        include: list[str] = Depends(included),
    ) -> Response:
        if not stream:
            if starting_after is not None:
                raise InvalidRequest("'starting_after' is for 'stream=true'", param="starting_after")
            return await ask(Recall(operation="get", id=response, include=include), principal, request)
        context = RequestContext(request.scope["caravan_request_id"], principal, time.monotonic() + seconds)
        first = starting_after + 1 if starting_after is not None else 0
        followed = await runs.follow(response, first, context, include)
        return await Followed.answer(followed)

    @routes.post("/{response}/cancel", summary="End a response in the background before its time")
    async def cancel_response(response: str, request: Request, principal: Principal = Depends(who)) -> Response:
        return await ask(Recall(operation="cancel", id=response), principal, request)

    @routes.delete("/{response}", summary="Forget a stored response")
    async def delete_response(response: str, request: Request, principal: Principal = Depends(who)) -> Response:
        return await ask(Recall(operation="delete", id=response), principal, request)

    return routes
