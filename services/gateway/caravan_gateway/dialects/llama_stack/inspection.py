"""``/v1/inspect/routes``: the routes there are, as Llama Stack and OGX list them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends

from caravan_gateway.resources import Resources

Document = Callable[[], dict[str, Any]]
"""The OpenAPI document."""


def router(resources: Resources, document: Document) -> APIRouter:
    """The route."""
    routes = APIRouter(prefix="/v1", tags=["Health"])

    @routes.get("/inspect/routes", summary="Every route")
    async def list_routes(principal: Principal = Depends(resources.who)) -> dict[str, Any]:
        return {"data": [row for _, row in described(document())]}

    return routes


def described(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each route as Llama Stack's RouteInfo, behind its first tag."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            tag = next(iter(operation.get("tags") or ()), "")
            yield tag, {"route": path, "method": method.upper(), "provider_types": []}
