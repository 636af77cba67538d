"""What else the first two generations ask for: lists of models, providers and routes, in their words and paths.

They read lists as lines of JSON, and objects by a query parameter.
"""

from __future__ import annotations

from typing import Any, Final

from caravan_bus import listing
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Response

from caravan_gateway.dialects.llama_stack.inspection import Document, described
from caravan_gateway.dialects.llama_stack.lines import lines
from caravan_gateway.resources import Resources

PREFIXES: Final = ("", "/alpha")
"""Of generation 1, and of generation 2."""

Object = dict[str, Any]


def router(resources: Resources, document: Document) -> APIRouter:
    """The routes; `document` is the OpenAPI document."""
    both = APIRouter(tags=["Llama Stack before 0.1"])
    for prefix in PREFIXES:
        both.include_router(_of_one(resources, document), prefix=prefix)
    return both


def _of_one(resources: Resources, document: Document) -> APIRouter:
    routes = APIRouter(include_in_schema=False)
    catalog, who = resources.catalog, resources.who

    @routes.get("/models/list")
    async def list_models(principal: Principal = Depends(who)) -> Response:
        return lines([_model(row) for row in listing.all_models(catalog(), principal.tenant)["data"]])

    @routes.get("/models/get")
    async def get_model(identifier: str, principal: Principal = Depends(who)) -> Object:
        return _model(listing.named(identifier, catalog(), principal.tenant))

    @routes.get("/providers/list")
    async def list_providers(principal: Principal = Depends(who)) -> Object:
        rows = catalog().providers(principal.tenant)
        return {"inference": [{"provider_id": row.id, "provider_type": row.provider.provider_type} for row in rows]}

    @routes.get("/routes/list")
    async def list_routes(principal: Principal = Depends(who)) -> dict[str, list[Object]]:
        made: dict[str, list[Object]] = {}
        for tag, row in described(document()):
            made.setdefault(tag, []).append(row)
        return made

    return routes


def _model(row: Object) -> Object:
    """`llama_model` is generation 1's word for what runs behind the name."""
    return {**row, "llama_model": row["provider_resource_id"]}
