"""Paths of interactions."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, Literal, cast

import orjson
from caravan_bus.responses import AgentRuns
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.responses import Recall
from fastapi import APIRouter, Depends, Request, Response

from caravan_gateway.asgi import App, Headers, Receive, Scope, Send
from caravan_gateway.completions import CompletionRoute, Progress
from caravan_gateway.cutting import cut_off
from caravan_gateway.dialects.chunks import request_of
from caravan_gateway.dialects.google import errors
from caravan_gateway.dialects.google.dialects import PING
from caravan_gateway.dialects.google.interactions.reading import response_of
from caravan_gateway.dialects.google.interactions.writing import (
    EarlierWriter,
    InteractionWriter,
    error_event,
    interaction_of,
)
from caravan_gateway.dialects.google.keys import with_key
from caravan_gateway.dialects.plain import speaking
from caravan_gateway.dialects.translated import Translated
from caravan_gateway.resources import Resources
from caravan_gateway.responses import ResponsesRoute
from caravan_gateway.source import Source

OGX: Final = "/v1alpha/interactions"
"""Where OGX has them, in the words of Google's clients before version 2."""
PATHS: Final = ("/v1/interactions", "/v1beta/interactions", OGX)
_REVISION: Final = b"api-revision"
"""What Google's clients send since."""
_SECONDS: Final = 30.0


def hot_routes(like: CompletionRoute, runs: AgentRuns) -> dict[str, App]:
    """By path. `like` is the route of chat completions; `runs` makes responses."""
    return {path: Interactions(path, runs, like) for path in PATHS}


class Interactions(ResponsesRoute):
    """``POST /v1beta/interactions``."""

    def __init__(self, path: str, runs: AgentRuns, like: CompletionRoute) -> None:
        super().__init__(runs, like, path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one POST."""
        try:
            await super().__call__({**scope, "headers": with_key(scope)}, receive, send)
        except asyncio.CancelledError:
            await cut_off(send, self._error, error_event)

    async def _begin(
        self,
        progress: Progress,
        body: bytes,
        headers: dict[bytes, bytes],
        context: RequestContext,
        provider_data: dict[str, str] | None,
    ) -> tuple[Source, bool, Headers]:
        data = request_of(body)
        wanted = orjson.dumps(response_of(data))
        if progress.watched is not None:
            progress.watched.ping_body = PING
        source, streams, more = await super()._begin(progress, wanted, headers, context, provider_data)
        earlier = self._route == OGX and _REVISION not in headers
        writer = (EarlierWriter if earlier else InteractionWriter)(data["model"])
        return Translated(source, writer), streams, more

    def _event(self, error: CaravanError, progress: Progress) -> bytes:
        return error_event(error)

    def _error(self, error: CaravanError, request_id: str) -> bytes:
        return errors.body_of(error)


def router(resources: Resources, runs: AgentRuns) -> APIRouter:
    """Interactions that are kept."""
    routes = APIRouter(tags=["Google"], route_class=speaking(errors.body_of))
    operation = Literal["get", "cancel"]

    async def who(request: Request) -> Principal:
        return await resources.known(dict(with_key(request.scope)))

    async def recalled(recall: Recall, request: Request, principal: Principal) -> dict[str, Any]:
        context = RequestContext(request.scope["caravan_request_id"], principal, time.monotonic() + _SECONDS)
        return cast("dict[str, Any]", orjson.loads(await runs.recall(recall, context)))

    def add(path: str, method: str, name: operation) -> None:
        async def serve(id: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
            return interaction_of(await recalled(Recall(operation=name, id=id), request, principal), "")

        version = path.split("/")[1]
        called = f"google_{name}_interaction_{version}"
        routes.add_api_route(path, serve, methods=[method], operation_id=called, summary=f"{name} an interaction")

    def add_deletion(path: str) -> None:
        async def delete(id: str, request: Request, principal: Principal = Depends(who)) -> Response:
            await recalled(Recall(operation="delete", id=id), request, principal)
            return Response(b"{}", media_type="application/json")

        called = f"google_delete_interaction_{path.split('/')[1]}"
        routes.add_api_route(path, delete, methods=["DELETE"], operation_id=called, summary="Forget an interaction")

    for path in PATHS:
        add(f"{path}/{{id}}", "GET", "get")
        add(f"{path}/{{id}}/cancel", "POST", "cancel")
        add_deletion(f"{path}/{{id}}")
    return routes


def document() -> dict[str, Any]:
    """Their part of the OpenAPI document."""
    body = {
        "type": "object",
        "required": ["model", "input"],
        "additionalProperties": True,
        "description": "Google's request",
    }
    ok = {"application/json": {"schema": {"type": "object"}}, "text/event-stream": {"schema": {"type": "string"}}}
    error = {"application/json": {"schema": {"type": "object"}}}
    return {
        path: {
            "post": {
                "tags": ["Google"],
                "summary": "An interaction, streamed or whole",
                "operationId": f"google_create_interaction_{path.split('/')[1]}",
                "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                "responses": {
                    "200": {"description": "Google's answer", "content": ok},
                    "default": {"description": "an error", "content": error},
                },
            }
        }
        for path in PATHS
    }
