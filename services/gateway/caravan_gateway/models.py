"""Models and providers over HTTP: what there is, and (for administrators) changing it.

Both lists are a superset of what OpenAI's clients and every generation of Llama Stack's read.
"""

from __future__ import annotations

from typing import Any

from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import NotFound
from caravan_contracts.registry import (
    Changed,
    DeleteResource,
    ModelSpec,
    ModelType,
    ProviderSpec,
    PutResource,
    Resource,
    ResourceKind,
)
from fastapi import APIRouter, Depends, Request
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from caravan_gateway.auth import Authenticator, need


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


class RegisterProvider(BaseModel):
    """Body of ``POST /v1/providers``. Secrets are references: ``${env.NAME}`` or ``api_key_file``."""

    model_config = ConfigDict(extra="ignore")

    provider_id: str = Field(validation_alias=AliasChoices("provider_id", "id"), min_length=1, max_length=63)
    provider_type: str = Field(validation_alias=AliasChoices("provider_type", "type"))
    config: dict[str, Any] = Field(default_factory=dict)
    slots: int | None = Field(None, ge=1)


def model_object(resource: Resource, provider_type: str = "") -> dict[str, Any]:
    """One model, as every client reads it."""
    spec = resource.model
    kind = spec.model_type.value
    return {
        "id": resource.id,
        "object": "model",
        "created": resource.created,
        "owned_by": spec.metadata.get("owned_by", spec.provider_id),
        "identifier": resource.id,
        "model_type": kind,
        "provider_id": spec.provider_id,
        "provider_resource_id": spec.provider_resource_id,
        "type": "model",
        "aliases": spec.aliases,
        "metadata": spec.metadata,
        "custom_metadata": {
            **spec.metadata,
            "model_type": kind,
            "provider_id": spec.provider_id,
            "provider_resource_id": spec.provider_resource_id,
            "provider_type": provider_type,
        },
    }


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


def _list(rows: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "object": "list",
        "data": rows,
        "first_id": rows[0]["id"] if rows else None,
        "last_id": rows[-1]["id"] if rows else None,
        "has_more": False,
    }


def router(view: RegistryView, requester: Requester, auth: Authenticator) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1")

    def who(request: Request) -> Principal:
        headers = request.headers
        return auth.who(headers.get("authorization", "").encode(), headers.get("x-api-key", "").encode())

    def types(tenant: str) -> dict[str, str]:
        return {p.id: p.provider.provider_type for p in view.catalog.providers(tenant)}

    async def change(request: Request, principal: Principal, verb: str, message: BaseModel) -> Resource:
        need(principal, "admin")
        context = RequestContext(request.scope["caravan_request_id"], principal)
        changed = await requester.ask("registry", verb, message, Changed, context, timeout=10.0)
        return changed.resource

    @routes.get("/models", tags=["Models"], summary="Every model")
    async def list_models(principal: Principal = Depends(who)) -> dict[str, Any]:
        by_provider = types(principal.tenant)
        rows = view.catalog.models(principal.tenant)
        return _list([model_object(r, by_provider.get(r.model.provider_id, "")) for r in rows])

    @routes.get("/models/{model:path}", tags=["Models"], summary="One model")
    async def get_model(model: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        target = view.catalog.resolve(model, principal.tenant)
        if target.resource is None:
            raise NotFound(f"the model {model!r} is passed on to its provider, but not registered")
        return model_object(target.resource, types(principal.tenant).get(target.provider_id, ""))

    @routes.post("/models", tags=["Models"], summary="Register a model")
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
        )
        message = PutResource(kind=ResourceKind.MODEL, id=body.id, body=spec.model_dump(mode="json"))
        made = await change(request, principal, "put", message)
        return model_object(made, types(principal.tenant).get(spec.provider_id, ""))

    @routes.delete("/models/{model:path}", tags=["Models"], summary="Unregister a model")
    async def delete_model(model: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        await change(request, principal, "delete", DeleteResource(kind=ResourceKind.MODEL, id=model))
        return {"id": model, "object": "model", "deleted": True}

    @routes.get("/providers", tags=["Providers"], summary="Every provider")
    async def list_providers(principal: Principal = Depends(who)) -> dict[str, Any]:
        return _list([provider_object(r) for r in view.catalog.providers(principal.tenant)])

    @routes.get("/providers/{provider}", tags=["Providers"], summary="One provider")
    async def get_provider(provider: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        for resource in view.catalog.providers(principal.tenant):
            if resource.id == provider:
                return provider_object(resource)
        raise NotFound(f"there is no provider {provider!r}; see GET /v1/providers")

    @routes.post("/providers", tags=["Providers"], summary="Add or change a provider")
    async def register_provider(
        body: RegisterProvider, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        spec = ProviderSpec(provider_type=body.provider_type, config=body.config, slots=body.slots)
        message = PutResource(
            kind=ResourceKind.PROVIDER, id=body.provider_id, body=spec.model_dump(mode="json", exclude_none=True)
        )
        return provider_object(await change(request, principal, "put", message))

    @routes.delete("/providers/{provider}", tags=["Providers"], summary="Remove a provider and its models")
    async def delete_provider(provider: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        await change(request, principal, "delete", DeleteResource(kind=ResourceKind.PROVIDER, id=provider))
        return {"id": provider, "object": "provider", "deleted": True}

    return routes
