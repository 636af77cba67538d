"""Guardrails over HTTP: which shields look at what of whose requests. For administrators."""

from __future__ import annotations

from typing import Any

from caravan_contracts.context import Principal
from caravan_contracts.errors import NotFound
from caravan_contracts.models import page
from caravan_contracts.registry import DeleteResource, PutResource, Resource, ResourceKind
from caravan_contracts.safety import GuardrailSpec
from fastapi import APIRouter, Depends, Request
from pydantic import Field

from caravan_gateway.auth import need
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources


class RegisterGuardrail(GuardrailSpec):
    """Body of ``POST /v1/guardrails``."""

    id: str = Field(min_length=1, max_length=256)


_NEW: Any = Depends(reading(RegisterGuardrail))
_PUT: Any = Depends(reading(GuardrailSpec))


def guardrail_object(resource: Resource) -> dict[str, Any]:
    """One guardrail; `shared`: it holds for every tenant, and only the shared tenant changes it."""
    return {
        "id": resource.id,
        "object": "guardrail",
        "tenant": resource.tenant,
        "created": resource.created,
        "revision": resource.revision,
        "source": resource.source.value,
        **resource.body,
    }


def router(resources: Resources) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix="/v1", tags=["Guardrails"])
    catalog, who = resources.catalog, resources.who

    async def put(id: str, spec: GuardrailSpec, request: Request, principal: Principal) -> dict[str, Any]:
        body = spec.model_dump(mode="json", exclude={"id"})
        message = PutResource(kind=ResourceKind.GUARDRAIL, id=id, body=body)
        return guardrail_object(await resources.change(request, principal, "put", message))

    @routes.get("/guardrails", summary="Every guardrail that holds for the tenant")
    async def list_guardrails(principal: Principal = Depends(who)) -> dict[str, Any]:
        need(principal, "admin")
        return page([guardrail_object(each) for each in catalog().guardrails(principal.tenant)])

    @routes.get("/guardrails/{guardrail:path}", summary="One guardrail")
    async def get_guardrail(guardrail: str, principal: Principal = Depends(who)) -> dict[str, Any]:
        need(principal, "admin")
        found = [each for each in catalog().guardrails(principal.tenant) if each.id == guardrail]
        if not found:
            raise NotFound(f"there is no guardrail {guardrail[:200]!r}; see GET /v1/guardrails")
        return guardrail_object(found[-1])

    @routes.post("/guardrails", summary="Add or change a guardrail", openapi_extra=documented(RegisterGuardrail))
    async def register_guardrail(
        request: Request, principal: Principal = Depends(who), body: RegisterGuardrail = _NEW
    ) -> dict[str, Any]:
        need(principal, "admin")
        return await put(body.id, body, request, principal)

    @routes.put(
        "/guardrails/{guardrail:path}",
        summary="Add or change the guardrail of this name",
        openapi_extra=documented(GuardrailSpec),
    )
    async def put_guardrail(
        guardrail: str, request: Request, principal: Principal = Depends(who), body: GuardrailSpec = _PUT
    ) -> dict[str, Any]:
        need(principal, "admin")
        return await put(guardrail, body, request, principal)

    @routes.delete("/guardrails/{guardrail:path}", summary="Remove a guardrail")
    async def delete_guardrail(guardrail: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        message = DeleteResource(kind=ResourceKind.GUARDRAIL, id=guardrail)
        await resources.change(request, principal, "delete", message)
        return {"id": guardrail, "object": "guardrail", "deleted": True}

    return routes
