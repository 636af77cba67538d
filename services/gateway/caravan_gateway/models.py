"""Models over HTTP: what there is, and (for administrators) changing it."""

from __future__ import annotations

from typing import Any

from caravan_bus import listing
from caravan_contracts.caching import Cache
from caravan_contracts.context import Principal
from caravan_contracts.registry import DeleteResource, ModelSpec, ModelType, PutResource, ResourceKind
from fastapi import APIRouter, Depends, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from caravan_gateway.auth import need
from caravan_gateway.dialects.anthropic import models as anthropic
from caravan_gateway.resources import Resources


class RegisterModel(BaseModel):
    """Body of ``POST /v1/models``; Llama Stack's names are understood too."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())

    id: str = Field(validation_alias=AliasChoices("id", "model_id", "identifier"), min_length=1, max_length=256)
    provider_id: str | None = None
    provider_resource_id: str | None = Field(
        None, validation_alias=AliasChoices("provider_resource_id", "provider_model_id")
    )
    model_type: ModelType = ModelType.LLM
    aliases: list[str] = Field(default_factory=list)
    metadata: dict[str, Any] = Field(default_factory=dict)
    cache: Cache | None = None


def router(resources: Resources) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["Models"])
    catalog, who = resources.catalog, resources.who

    @routes.get("/models", summary="Every model")
    async def list_models(request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        found = listing.all_models(catalog(), principal.tenant)
        if anthropic.asks(request):
            found["data"] = [anthropic.shown(model) for model in found["data"]]
        return found

    @routes.get("/models/{model:path}", summary="One model")
    async def get_model(model: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        found = listing.named(model, catalog(), principal.tenant)
        return anthropic.shown(found) if anthropic.asks(request) else found

    @routes.post("/models", summary="Register a model")
    async def register_model(
        body: RegisterModel, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        need(principal, "admin")
        provider, _, name = body.id.partition("/")
        spec = ModelSpec(
            provider_id=body.provider_id or (provider if name else ""),
            provider_resource_id=body.provider_resource_id or name or body.id,
            model_type=body.model_type,
            aliases=body.aliases,
            metadata=body.metadata,
            cache=body.cache,
        )
        message = PutResource(kind=ResourceKind.MODEL, id=body.id, body=spec.model_dump(mode="json"))
        made = await resources.change(request, principal, "put", message)
        return listing.one(made, catalog(), principal.tenant)

    @routes.delete("/models/{model:path}", summary="Unregister a model")
    async def delete_model(model: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        await resources.change(request, principal, "delete", DeleteResource(kind=ResourceKind.MODEL, id=model))
        return {"id": model, "object": "model", "deleted": True}

    return routes
