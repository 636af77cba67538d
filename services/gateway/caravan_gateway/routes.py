"""Routes over HTTP: which model names stand for several targets, and (for administrators) changing them."""

from __future__ import annotations

from typing import Any

from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest, NotFound
from caravan_contracts.models import page
from caravan_contracts.registry import DeleteResource, PutResource, Resource, ResourceKind
from caravan_contracts.routes import RouteSpec, Target
from fastapi import APIRouter, Depends, Request
from pydantic import AliasChoices, ConfigDict, Field

from caravan_gateway.resources import Resources


class RouteBody(RouteSpec):
    """Body of ``PUT /v1/routes/{id}``. A target may be a plain name.

    For the document, and for types at once: the registry gets what was written and refuses keys that do not exist.
    """

    model_config = ConfigDict(extra="allow")

    targets: list[str | Target] = Field(min_length=1, max_length=32)  # type: ignore[assignment]

    def _rules_name_targets(self) -> RouteBody:  # type: ignore[override]
        return self  # the registry's word, which knows plain names as targets


class RegisterRoute(RouteBody):
    """Body of ``POST /v1/routes``."""

    id: str = Field(validation_alias=AliasChoices("id", "name"), min_length=1, max_length=256)


def route_object(resource: Resource) -> dict[str, Any]:
    """One route."""
    return {
        "id": resource.id,
        "object": "route",
        "created": resource.created,
        "revision": resource.revision,
        "source": resource.source.value,
        **resource.body,
    }


def router(resources: Resources) -> APIRouter:
    """The routes' own HTTP routes."""
    routes = APIRouter(prefix="/v1", tags=["Routes"])
    catalog, who = resources.catalog, resources.who

    async def put(id: str, request: Request, principal: Principal) -> dict[str, Any]:
        written: dict[str, Any] = await request.json()
        body = {key: value for key, value in written.items() if key not in ("id", "name")}
        message = PutResource(kind=ResourceKind.ROUTE, id=id, body=body)
        return route_object(await resources.change(request, principal, "put", message))

    @routes.get("/routes", summary="Every route")
    async def list_routes(principal: Principal = Depends(who)) -> dict[str, Any]:
        return page([route_object(resource) for resource in catalog().routes(principal.tenant)])

    @routes.get("/routes/{route:path}", summary="One route")
    async def get_route(route: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        for resource in catalog().routes(principal.tenant):
            if resource.id == route:
                return route_object(resource)
        raise NotFound(f"there is no route {route[:200]!r}; see GET /v1/routes")

    @routes.post("/routes", summary="Add or change a route")
    async def register_route(
        body: RegisterRoute, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        return await put(body.id, request, principal)

    @routes.put("/routes/{route:path}", summary="Add or change the route of this name")
    async def put_route(
        route: str, body: RouteBody, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        said = (body.model_extra or {}).get("id", (body.model_extra or {}).get("name", route))
        if said != route:
            raise InvalidRequest(f"the body names the route {str(said)[:200]!r}, the path {route[:200]!r}", param="id")
        return await put(route, request, principal)

    @routes.delete("/routes/{route:path}", summary="Remove a route")
    async def delete_route(route: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        await resources.change(request, principal, "delete", DeleteResource(kind=ResourceKind.ROUTE, id=route))
        return {"id": route, "object": "route", "deleted": True}

    return routes
