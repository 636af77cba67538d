"""What one may ask about conversations, each for the tenant who asks."""

from __future__ import annotations

import secrets

import orjson
from caravan_contracts.completions import metadata_problem
from caravan_contracts.context import RequestContext
from caravan_contracts.conversations import (
    Conversation,
    ConversationDeleted,
    ConversationItems,
    CreateConversation,
    CreateConversationItems,
    DeleteConversation,
    DeleteConversationItem,
    GetConversation,
    GetConversationItem,
    ListConversationItems,
    UpdateConversation,
)
from caravan_contracts.errors import InvalidRequest

from caravan_agents.conversations import include
from caravan_agents.conversations.items import check_call, prepare
from caravan_agents.conversations.store import Store


class ConversationService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(self, store: Store, item_bytes: int) -> None:
        self._store = store
        self._item_bytes = item_bytes

    async def create(self, asked: CreateConversation, context: RequestContext) -> Conversation:
        """A new one. Raises InvalidRequest."""
        items = prepare(asked.items, self._item_bytes)
        check_call(items)
        name = f"conv_{secrets.token_hex(24)}"
        return await self._store.create(context.principal.tenant, name, _metadata(asked.metadata), items)

    async def get(self, asked: GetConversation, context: RequestContext) -> Conversation:
        """One."""
        return await self._store.get(context.principal.tenant, asked.id)

    async def update(self, asked: UpdateConversation, context: RequestContext) -> Conversation:
        """Replace the metadata. Raises InvalidRequest."""
        return await self._store.describe(context.principal.tenant, asked.id, _metadata(asked.metadata))

    async def delete(self, asked: DeleteConversation, context: RequestContext) -> ConversationDeleted:
        """Forget it."""
        await self._store.forget(context.principal.tenant, asked.id)
        return ConversationDeleted(id=asked.id)

    async def add(self, asked: CreateConversationItems, context: RequestContext) -> ConversationItems:
        """Add items; they come back as they are kept. Raises InvalidRequest."""
        wanted = include.check(asked.include)
        items = prepare(asked.items, self._item_bytes)
        check_call(items)
        await self._store.append(context.principal.tenant, asked.conversation, items)
        return ConversationItems(data=[include.shown(orjson.loads(item.data), wanted) for item in items])

    async def list(self, asked: ListConversationItems, context: RequestContext) -> ConversationItems:
        """A page of its items. Raises InvalidRequest, and NotFound for an `after` that is none of them."""
        wanted = include.check(asked.include)
        items, more = await self._store.page(context.principal.tenant, asked)
        return ConversationItems(data=[include.shown(item, wanted) for item in items], has_more=more)

    async def item(self, asked: GetConversationItem, context: RequestContext) -> ConversationItems:
        """One item. Raises InvalidRequest."""
        wanted = include.check(asked.include)
        item = await self._store.item(context.principal.tenant, asked.conversation, asked.item)
        return ConversationItems(data=[include.shown(item, wanted)])

    async def remove(self, asked: DeleteConversationItem, context: RequestContext) -> Conversation:
        """Take one item out of it."""
        return await self._store.remove(context.principal.tenant, asked.conversation, asked.item)


def _metadata(given: dict[str, str]) -> dict[str, str]:
    if wrong := metadata_problem(given):
        raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
    return given
