"""Bus subjects to calls of the service."""

from __future__ import annotations

from typing import Final

from caravan_contracts import conversations as c

from caravan_agents.conversations.service import ConversationService
from caravan_agents.verbs import Verbs

VERBS: Final[Verbs] = {
    "create_conversation": (c.CreateConversation, ConversationService.create),
    "get_conversation": (c.GetConversation, ConversationService.get),
    "update_conversation": (c.UpdateConversation, ConversationService.update),
    "delete_conversation": (c.DeleteConversation, ConversationService.delete),
    "create_conversation_items": (c.CreateConversationItems, ConversationService.add),
    "list_conversation_items": (c.ListConversationItems, ConversationService.list),
    "get_conversation_item": (c.GetConversationItem, ConversationService.item),
    "delete_conversation_item": (c.DeleteConversationItem, ConversationService.remove),
}
