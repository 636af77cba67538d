"""Models as Google lists them; under ``/v1`` for Google's clients alone, since there they are OpenAI's."""

from __future__ import annotations

from typing import Any, Final

from caravan_bus import listing
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.registry import ModelType
from fastapi import APIRouter, Depends, Query, Request

from caravan_gateway.dialects.google import errors
from caravan_gateway.dialects.google.keys import is_googles, with_key
from caravan_gateway.dialects.plain import speaking
from caravan_gateway.resources import Resources

_MOST: Final = 1000
_GENERATES: Final = ["generateContent", "streamGenerateContent", "countTokens"]
_EMBEDS: Final = ["embedContent", "batchEmbedContents"]
_GOOGLES: Final = speaking(errors.body_of)
_GOOGLES_CLIENTS: Final = speaking(errors.body_of, is_googles)


def router(resources: Resources) -> APIRouter:
    """The routes."""
    routes = APIRouter()
    routes.include_router(_routes(resources, "/v1beta", APIRouter(tags=["Google"], route_class=_GOOGLES)))
    routes.include_router(_routes(resources, "/v1alpha", APIRouter(tags=["Google"], route_class=_GOOGLES)))
    for_clients = APIRouter(route_class=_GOOGLES_CLIENTS, include_in_schema=False)
    routes.include_router(_routes(resources, "/v1", for_clients))
    return routes


def _routes(resources: Resources, version: str, routes: APIRouter) -> APIRouter:
    async def who(request: Request) -> Principal:
        return await resources.known(dict(with_key(request.scope)))

    @routes.get(f"{version}/models", summary="Every model", operation_id=f"google_list_models_{version[1:]}")
    async def list_models(
        page_size: int = Query(50, alias="pageSize", ge=0),
        page_token: str = Query("", alias="pageToken"),
        principal: Principal = Depends(who),
    ) -> dict[str, Any]:
        rows = listing.all_models(resources.catalog(), principal.tenant)["data"]
        return _page(rows, min(page_size or 50, _MOST), page_token)

    @routes.get(f"{version}/models/{{model:path}}", summary="One model", operation_id=f"google_get_model_{version[1:]}")
    async def get_model(model: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        return _model(listing.named(model, resources.catalog(), principal.tenant))

    return routes


def _page(rows: list[dict[str, Any]], size: int, token: str) -> dict[str, Any]:
    """`token` is the number of the first row, as the page before told it."""
    if token and not token.isdecimal():
        raise InvalidRequest("'pageToken' should be one of an answer before", param="pageToken")
    first = int(token or 0)
    made: dict[str, Any] = {"models": [_model(row) for row in rows[first : first + size]]}
    if first + size < len(rows):
        made["nextPageToken"] = str(first + size)
    return made


def _model(row: dict[str, Any]) -> dict[str, Any]:
    said = row["metadata"]
    embeds = row["model_type"] == ModelType.EMBEDDING.value
    methods = _EMBEDS if embeds else _GENERATES if row["model_type"] == ModelType.LLM.value else []
    made = {
        "name": f"models/{row['id']}",
        "baseModelId": row["id"],
        "version": "1",
        "displayName": row["id"],
        "description": str(said.get("description") or f"served by {row['provider_id']}"),
        "supportedGenerationMethods": methods,
    }
    if isinstance(said.get("context_length"), int):
        made["inputTokenLimit"] = said["context_length"]
    return made
