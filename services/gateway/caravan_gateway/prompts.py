"""Prompts over HTTP, in the shapes of Llama Stack and OGX. They are kept by the agents service."""

from __future__ import annotations

from typing import Any

from caravan_contracts import prompts as p
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from caravan_gateway.agents import Agents, answer
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources


class NewPrompt(BaseModel):
    """Body of ``POST /v1/prompts``."""

    prompt: str
    variables: p.Variables | None = None


class NewVersion(NewPrompt):
    """Body of ``PUT /v1/prompts/{id}``."""

    version: p.Version
    set_as_default: bool = True


class DefaultVersion(BaseModel):
    """Body of ``PUT /v1/prompts/{id}/set-default-version``."""

    version: p.Version


_NEW: Any = Depends(reading(NewPrompt))
_VERSION: Any = Depends(reading(NewVersion))
_DEFAULT: Any = Depends(reading(DefaultVersion))


def router(resources: Resources, agents: Agents) -> APIRouter:
    """The routes. What is a PUT is a POST as well: clients of Llama Stack were made with either."""
    routes = APIRouter(prefix="/v1/prompts", tags=["Prompts"])
    who = resources.who

    @routes.get("", summary="Every prompt, in its default version")
    async def list_prompts(
        request: Request,
        after: str = "",
        limit: int = Query(100, ge=1, le=100),
        principal: Principal = Depends(who),
    ) -> Response:
        rows: list[p.Prompt] = []
        more = True
        while more and len(rows) < limit:
            message = p.ListPrompts(after=rows[-1].prompt_id if rows else after, limit=limit - len(rows))
            page = await agents.ask(request, principal, "list_prompts", message, p.PromptPage)
            rows += page.data
            more = page.has_more and bool(page.data)
        return _listed(rows, more)

    @routes.post("", summary="Add a prompt", openapi_extra=documented(NewPrompt))
    async def create_prompt(request: Request, principal: Principal = Depends(who), body: NewPrompt = _NEW) -> Response:
        message = p.CreatePrompt(prompt=body.prompt, variables=body.variables)
        made = await agents.ask(request, principal, "create_prompt", message, p.Prompt)
        return answer(made.model_dump())

    @routes.get("/{prompt}", summary="One version of a prompt")
    async def get_prompt(
        prompt: str, request: Request, version: p.Version | None = None, principal: Principal = Depends(who)
    ) -> Response:
        """Without `version`, the default one."""
        found = await agents.ask(request, principal, "get_prompt", p.GetPrompt(id=prompt, version=version), p.Prompt)
        return answer(found.model_dump())

    @routes.post("/{prompt}", include_in_schema=False)
    @routes.put("/{prompt}", summary="Add a version to a prompt", openapi_extra=documented(NewVersion))
    async def update_prompt(
        prompt: str,
        request: Request,
        principal: Principal = Depends(who),
        body: NewVersion = _VERSION,
    ) -> Response:
        """`version` is the newest one that you know: when there is a newer one, the answer is 409."""
        message = p.UpdatePrompt(
            id=prompt,
            prompt=body.prompt,
            version=body.version,
            variables=body.variables,
            set_as_default=body.set_as_default,
        )
        made = await agents.ask(request, principal, "update_prompt", message, p.Prompt)
        return answer(made.model_dump())

    @routes.delete("/{prompt}", summary="Forget a prompt with all its versions")
    async def delete_prompt(prompt: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        gone = await agents.ask(request, principal, "delete_prompt", p.DeletePrompt(id=prompt), p.PromptDeleted)
        return {"id": gone.id, "object": "prompt.deleted", "deleted": True}

    @routes.get("/{prompt}/versions", summary="Every version of a prompt, the oldest first")
    async def list_versions(
        prompt: str,
        request: Request,
        after: int = Query(0, ge=0, le=2**31 - 1),
        limit: int = Query(100, ge=1, le=100),
        principal: Principal = Depends(who),
    ) -> Response:
        rows: list[p.Prompt] = []
        more = True
        while more and len(rows) < limit:
            message = p.ListPromptVersions(
                id=prompt, after=rows[-1].version if rows else after, limit=limit - len(rows)
            )
            page = await agents.ask(request, principal, "list_prompt_versions", message, p.PromptPage)
            rows += page.data
            more = page.has_more and bool(page.data)
        return _listed(rows, more)

    @routes.post("/{prompt}/set-default-version", include_in_schema=False)
    @routes.put(
        "/{prompt}/set-default-version",
        summary="Choose the default version of a prompt",
        openapi_extra=documented(DefaultVersion),
    )
    async def set_default_version(
        prompt: str,
        request: Request,
        principal: Principal = Depends(who),
        body: DefaultVersion = _DEFAULT,
    ) -> Response:
        message = p.SetDefaultPromptVersion(id=prompt, version=body.version)
        made = await agents.ask(request, principal, "set_default_prompt_version", message, p.Prompt)
        return answer(made.model_dump())

    return routes


def _listed(rows: list[p.Prompt], has_more: bool) -> Response:
    return answer({"object": "list", "data": [row.model_dump() for row in rows], "has_more": has_more})
