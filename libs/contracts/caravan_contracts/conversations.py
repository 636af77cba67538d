"""Conversations: items that belong together, kept in one order, and the questions one may ask about them.

The shapes of conversations and items are OpenAI's (``openai.types.conversations``).
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, Field

from caravan_contracts.completions import Order
from caravan_contracts.registry import Message

MAX_ITEMS: Final = 20
"""Items that one call may add."""
CALL_BYTES: Final = 768 * 1024
"""Bytes of all items that one call adds: they travel in one message of the bus, there and back."""
LARGEST_ITEM: Final = 512 * 1024
"""Bytes of one item at most, whatever the settings say."""
PAGE_BYTES: Final = 600 * 1024
"""Bytes of items in one reply; there is always room for one of them."""
MAX_DEPTH: Final = 100
"""Objects and lists inside of each other."""


def _shallow(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    level: list[Any] = list(items)
    for _ in range(MAX_DEPTH):
        inside = (value for node in level for value in (node.values() if isinstance(node, dict) else node))
        level = [value for value in inside if isinstance(value, dict | list)]
        if not level:
            return items
    raise ValueError(f"at most {MAX_DEPTH} objects and lists may be inside of each other")


Items = Annotated[list[dict[str, Any]], Field(max_length=MAX_ITEMS), AfterValidator(_shallow)]
"""Items as a client writes them."""


class CreateConversation(Message):
    """A new conversation."""

    items: Items = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)


class GetConversation(Message):
    """One conversation, without its items."""

    id: str


class UpdateConversation(Message):
    """Replace its metadata."""

    id: str
    metadata: dict[str, str]


class DeleteConversation(Message):
    """Forget it and its items."""

    id: str


class Conversation(BaseModel):
    """What is known of a conversation beside its items."""

    id: str
    object: str = "conversation"
    created_at: int
    """Unix seconds."""
    metadata: dict[str, str]


class ConversationDeleted(BaseModel):
    """What was forgotten."""

    id: str


class CreateConversationItems(Message):
    """Add items at the end."""

    conversation: str
    items: Items = Field(min_length=1)
    include: list[str] = Field(default_factory=list)


class ListConversationItems(Message):
    """Items in the order in which they were added, or against it."""

    conversation: str
    after: str = ""
    """Id of the last one of the page before."""
    limit: int = Field(20, ge=1, le=100)
    order: Order = "desc"
    include: list[str] = Field(default_factory=list)


class GetConversationItem(Message):
    """One item."""

    conversation: str
    item: str
    include: list[str] = Field(default_factory=list)


class DeleteConversationItem(Message):
    """Take one item out of its conversation."""

    conversation: str
    item: str


class ConversationItems(BaseModel):
    """Some items. There may be fewer than were asked for although there are more: a reply has its bound."""

    data: list[dict[str, Any]]
    has_more: bool = False
