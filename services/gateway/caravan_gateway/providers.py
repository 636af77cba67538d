"""Providers over HTTP: what there is and how it fares, and (for administrators) changing it."""

from __future__ import annotations

from typing import Any

from caravan_contracts.context import Principal
from caravan_contracts.errors import NotFound
from caravan_contracts.models import page
from caravan_contracts.registry import DeleteResource, ProviderSpec, PutResource, Resource, ResourceKind
from fastapi import APIRouter, Depends, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from caravan_gateway.resources import Resources


class RegisterProvider(BaseModel):
    """Body of ``POST /v1/providers``. Secrets are references: ``${env.NAME}`` or ``api_key_file``."""

    model_config = ConfigDict(extra="ignore")

    provider_id: str = Field(validation_alias=AliasChoices("provider_id", "id"), min_length=1, max_length=63)
    provider_type: str = Field(validation_alias=AliasChoices("provider_type", "type"))
    config: dict[str, Any] = Field(default_factory=dict)
    slots: int | None = Field(None, ge=1)


_HEALTH = {"ok": "OK", "error": "Error", "unknown": "Not Implemented"}


def provider_object(resource: Resource) -> dict[str, Any]:
    """One provider; its configuration holds references, never secrets."""
    spec = resource.provider
    return {
        "id": resource.id,
        "object": "provider",
        "api": "inference",
        "provider_id": resource.id,
        "provider_type": spec.provider_type,
        "config": spec.config,
        "slots": spec.slots,
        "health": {"status": _HEALTH[spec.status], "message": spec.status_message},
    }


def router(resources: Resources) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["Providers"])
    catalog, who = resources.catalog, resources.who

    @routes.get("/providers", summary="Every provider")
    async def list_providers(principal: Principal = Depends(who)) -> dict[str, Any]:
        return page([provider_object(r) for r in catalog().providers(principal.tenant)])

    @routes.get("/providers/{provider}", summary="One provider")
    async def get_provider(provider: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        for resource in catalog().providers(principal.tenant):
            if resource.id == provider:
                return provider_object(resource)
        raise NotFound(f"there is no provider {provider!r}; see GET /v1/providers")

    @routes.post("/providers", summary="Add or change a provider")
    async def register_provider(
        body: RegisterProvider, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        spec = ProviderSpec(provider_type=body.provider_type, config=body.config, slots=body.slots)
        message = PutResource(
            kind=ResourceKind.PROVIDER, id=body.provider_id, body=spec.model_dump(mode="json", exclude_none=True)
        )
        return provider_object(await resources.change(request, principal, "put", message))

    @routes.delete("/providers/{provider}", summary="Remove a provider and its models")
    async def delete_provider(provider: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        await resources.change(request, principal, "delete", DeleteResource(kind=ResourceKind.PROVIDER, id=provider))
        return {"id": provider, "object": "provider", "deleted": True}

    return routes
