"""What one may ask about prompts, each for the tenant who asks."""

from __future__ import annotations

import secrets

import orjson
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.prompts import (
    CreatePrompt,
    DeletePrompt,
    GetPrompt,
    ListPrompts,
    ListPromptVersions,
    Prompt,
    PromptDeleted,
    PromptPage,
    SetDefaultPromptVersion,
    UpdatePrompt,
)

from caravan_agents.prompts.store import Store
from caravan_agents.prompts.templates import declared


class PromptService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(self, store: Store, prompt_bytes: int) -> None:
        self._store = store
        self._prompt_bytes = prompt_bytes

    async def create(self, asked: CreatePrompt, context: RequestContext) -> Prompt:
        """Version 1 of a new one. Raises InvalidRequest."""
        template = self._template(asked.prompt)
        name = f"pmpt_{secrets.token_hex(24)}"
        return await self._store.create(context.principal.tenant, name, template, declared(template, asked.variables))

    async def get(self, asked: GetPrompt, context: RequestContext) -> Prompt:
        """One version."""
        return await self._store.get(context.principal.tenant, asked.id, asked.version)

    async def update(self, asked: UpdatePrompt, context: RequestContext) -> Prompt:
        """A new version. Raises Conflict when there is a newer one than the caller knows, and InvalidRequest."""
        template = self._template(asked.prompt)
        variables = declared(template, asked.variables)
        return await self._store.update(context.principal.tenant, asked, variables)

    async def delete(self, asked: DeletePrompt, context: RequestContext) -> PromptDeleted:
        """Forget it."""
        await self._store.forget(context.principal.tenant, asked.id)
        return PromptDeleted(id=asked.id)

    async def list(self, asked: ListPrompts, context: RequestContext) -> PromptPage:
        """A page of all prompts. Raises NotFound for an `after` that is none of them."""
        return await self._store.prompts(context.principal.tenant, asked)

    async def versions(self, asked: ListPromptVersions, context: RequestContext) -> PromptPage:
        """A page of all versions of one."""
        return await self._store.versions(context.principal.tenant, asked)

    async def set_default(self, asked: SetDefaultPromptVersion, context: RequestContext) -> Prompt:
        """Choose the default version; that one."""
        return await self._store.set_default(context.principal.tenant, asked.id, asked.version)

    def _template(self, text: str) -> str:
        if not text.strip():
            raise InvalidRequest("'prompt' should be a text", param="prompt")
        if "\0" in text:
            raise InvalidRequest("'prompt' should be a text without zero bytes", param="prompt")
        if (size := len(orjson.dumps(text))) > self._prompt_bytes:
            raise InvalidRequest(
                f"'prompt' has {size} bytes of JSON; it may have {self._prompt_bytes}",
                param="prompt",
                code="prompt_too_large",
            )
        return text
