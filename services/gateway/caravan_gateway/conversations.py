"""Conversations over HTTP, in OpenAI's shapes. They are kept by the agents service."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts import conversations as c
from caravan_contracts.completions import Order, metadata_problem
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field

from caravan_gateway.agents import Agents, answer, listed
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources

PATH: Final = "/v1/conversations"
MAX_BODY: Final = 1024 * 1024
"""Bytes of a body: the items of one call, as whoever writes JSON with many escapes may write them."""


class NewConversation(BaseModel):
    """Body of ``POST /v1/conversations``."""

    items: c.Items | None = None
    metadata: dict[str, Any] | None = None


class ChangedConversation(BaseModel):
    """Body of ``POST /v1/conversations/{id}``."""

    metadata: dict[str, Any] | None


class NewItems(BaseModel):
    """Body of ``POST /v1/conversations/{id}/items``."""

    items: c.Items = Field(min_length=1)


_NEW: Any = Depends(reading(NewConversation))
_CHANGED: Any = Depends(reading(ChangedConversation))
_ITEMS: Any = Depends(reading(NewItems))


def included(
    request: Request,
    include: list[str] = Query(default=[], description="also as `include[]`, any number of times"),  # noqa: B008 - FastAPI's way
) -> list[str]:
    """The query parameter `include`, in both forms that clients of OpenAI write."""
    return [*include, *request.query_params.getlist("include[]")]


def router(resources: Resources, agents: Agents) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH, tags=["Conversations"])
    who = resources.who

    @routes.post("", summary="Begin a conversation", openapi_extra=documented(NewConversation))
    async def create_conversation(
        request: Request, principal: Principal = Depends(who), body: NewConversation = _NEW
    ) -> Response:
        """With up to 20 items, and metadata."""
        message = c.CreateConversation(items=body.items or [], metadata=_metadata(body.metadata))
        made = await agents.ask(request, principal, "create_conversation", message, c.Conversation)
        return answer(made.model_dump())

    @routes.get("/{conversation}", summary="One conversation")
    async def get_conversation(conversation: str, request: Request, principal: Principal = Depends(who)) -> Response:
        message = c.GetConversation(id=conversation)
        found = await agents.ask(request, principal, "get_conversation", message, c.Conversation)
        return answer(found.model_dump())

    @routes.post(
        "/{conversation}",
        summary="Replace the metadata of a conversation",
        openapi_extra=documented(ChangedConversation),
    )
    async def update_conversation(
        conversation: str,
        request: Request,
        principal: Principal = Depends(who),
        body: ChangedConversation = _CHANGED,
    ) -> Response:
        message = c.UpdateConversation(id=conversation, metadata=_metadata(body.metadata))
        made = await agents.ask(request, principal, "update_conversation", message, c.Conversation)
        return answer(made.model_dump())

    @routes.delete("/{conversation}", summary="Forget a conversation and its items")
    async def delete_conversation(
        conversation: str, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        message = c.DeleteConversation(id=conversation)
        gone = await agents.ask(request, principal, "delete_conversation", message, c.ConversationDeleted)
        return {"id": gone.id, "object": "conversation.deleted", "deleted": True}

    @routes.post("/{conversation}/items", summary="Add items to a conversation", openapi_extra=documented(NewItems))
    async def create_items(
        conversation: str,
        request: Request,
        principal: Principal = Depends(who),
        body: NewItems = _ITEMS,
        include: list[str] = Depends(included),
    ) -> Response:
        """Up to 20, in this order; all of them or none."""
        message = c.CreateConversationItems(conversation=conversation, items=body.items, include=include)
        made = await agents.ask(request, principal, "create_conversation_items", message, c.ConversationItems)
        return listed(made.data, "id", made.has_more)

    @routes.get("/{conversation}/items", summary="The items of a conversation")
    async def list_items(
        conversation: str,
        request: Request,
        after: str = "",
        limit: int = Query(20, ge=1, le=100),
        order: Order = "desc",
        principal: Principal = Depends(who),
        include: list[str] = Depends(included),
    ) -> Response:
        """A page may have fewer than `limit` although `has_more` is true: it has at most 600 KiB."""
        message = c.ListConversationItems(
            conversation=conversation, after=after, limit=limit, order=order, include=include
        )
        page = await agents.ask(request, principal, "list_conversation_items", message, c.ConversationItems)
        return listed(page.data, "id", page.has_more)

    @routes.get("/{conversation}/items/{item}", summary="One item of a conversation")
    async def get_item(
        conversation: str,
        item: str,
        request: Request,
        principal: Principal = Depends(who),
        include: list[str] = Depends(included),
    ) -> Response:
        message = c.GetConversationItem(conversation=conversation, item=item, include=include)
        found = await agents.ask(request, principal, "get_conversation_item", message, c.ConversationItems)
        return answer(found.data[0])

    @routes.delete("/{conversation}/items/{item}", summary="Take an item out of a conversation")
    async def delete_item(
        conversation: str, item: str, request: Request, principal: Principal = Depends(who)
    ) -> Response:
        """The answer is the conversation."""
        message = c.DeleteConversationItem(conversation=conversation, item=item)
        left = await agents.ask(request, principal, "delete_conversation_item", message, c.Conversation)
        return answer(left.model_dump())

    return routes


def _metadata(given: dict[str, Any] | None) -> dict[str, str]:
    if given and (wrong := metadata_problem(given)):
        raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
    return given or {}
