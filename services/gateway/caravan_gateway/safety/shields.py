"""Shields over HTTP, in Llama Stack's shape: which there are, and (for administrators) changing them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from caravan_bus.catalog import Catalog
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest, NotFound, Unavailable
from caravan_contracts.models import page
from caravan_contracts.registry import DeleteResource, PutResource, Resource, ResourceKind
from caravan_contracts.safety import ShieldSpec, ShieldUsable, TryShield
from fastapi import APIRouter, Depends, Request, Response
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from caravan_gateway.auth import need
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.safety.asking import Safety


class ShieldBody(BaseModel):
    """Body of ``PUT /v1/shields/{id}``."""

    model_config = ConfigDict(extra="forbid")

    provider_type: str = Field("", max_length=256)
    """``inline::pii``, ``inline::llama-guard`` …; "" = as `provider_id` says."""
    provider_id: str | None = Field(None, max_length=256)
    """Llama Stack's: ``llama-guard`` stands for the type ``inline::llama-guard``."""
    provider_shield_id: str | None = Field(None, max_length=256)
    """What the provider calls it: a model, for those that ask one."""
    params: dict[str, Any] | None = None
    type: str | None = None


class RegisterShield(ShieldBody):
    """Body of ``POST /v1/shields``."""

    shield_id: str = Field(validation_alias=AliasChoices("shield_id", "identifier", "id"), min_length=1, max_length=256)


_NEW: Any = Depends(reading(RegisterShield))
_PUT: Any = Depends(reading(ShieldBody))


def shield_object(resource: Resource, principal: Principal) -> dict[str, Any]:
    """One shield. Its settings are shown to administrators: words that are looked for are not everybody's."""
    spec = ShieldSpec.model_validate(resource.body)
    return {
        "identifier": resource.id,
        "id": resource.id,
        "object": "shield",
        "type": "shield",
        "provider_id": spec.provider_type.rpartition("::")[2],
        "provider_type": spec.provider_type,
        "provider_resource_id": spec.provider_shield_id or resource.id,
        "provider_shield_id": spec.provider_shield_id or resource.id,
        "params": spec.params if principal.may("admin") else {},
        "created": resource.created,
        "revision": resource.revision,
        "source": resource.source.value,
    }


def named(catalog: Catalog, shield: str, tenant: str) -> Resource:
    """The shield of that id which the tenant may use. Raises NotFound."""
    found = catalog.shield(shield, tenant)
    if found is None:
        raise NotFound(f"there is no shield {shield[:200]!r}; see GET /v1/shields")
    return found


def router(resources: Resources, safety: Safety) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["Shields"])
    catalog, who = resources.catalog, resources.who

    async def put(id: str, body: ShieldBody, request: Request, principal: Principal) -> dict[str, Any]:
        spec = ShieldSpec(
            provider_type=_type_of(body),
            provider_shield_id=body.provider_shield_id or "",
            params=body.params or {},
        )
        with suppress(Unavailable):  # nobody is there who could say so now
            await safety.ask(request, principal, "try_shield", TryShield(spec=spec), ShieldUsable)
        message = PutResource(kind=ResourceKind.SHIELD, id=id, body=spec.model_dump(mode="json"))
        return shield_object(await resources.change(request, principal, "put", message), principal)

    @routes.get("/shields", summary="Every shield")
    async def list_shields(principal: Principal = Depends(who)) -> dict[str, Any]:
        return page([shield_object(each, principal) for each in catalog().shields(principal.tenant)])

    @routes.get("/shields/{shield:path}", summary="One shield")
    async def get_shield(shield: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        return shield_object(named(catalog(), shield, principal.tenant), principal)

    @routes.post("/shields", summary="Register or change a shield", openapi_extra=documented(RegisterShield))
    async def register_shield(
        request: Request, principal: Principal = Depends(who), body: RegisterShield = _NEW
    ) -> dict[str, Any]:
        need(principal, "admin")
        return await put(body.shield_id, body, request, principal)

    @routes.put(
        "/shields/{shield:path}",
        summary="Register or change the shield of this name",
        openapi_extra=documented(ShieldBody),
    )
    async def put_shield(
        shield: str, request: Request, principal: Principal = Depends(who), body: ShieldBody = _PUT
    ) -> dict[str, Any]:
        need(principal, "admin")
        return await put(shield, body, request, principal)

    @routes.delete("/shields/{shield:path}", summary="Unregister a shield", status_code=204)
    async def delete_shield(shield: str, request: Request, principal: Principal = Depends(who)) -> Response:
        await resources.change(request, principal, "delete", DeleteResource(kind=ResourceKind.SHIELD, id=shield))
        return Response(status_code=204)

    return routes


def _type_of(body: ShieldBody) -> str:
    if body.provider_type:
        return body.provider_type
    if not body.provider_id:
        raise InvalidRequest("a shield needs a provider_type, such as inline::pii", param="provider_type")
    return body.provider_id if "::" in body.provider_id else f"inline::{body.provider_id}"
