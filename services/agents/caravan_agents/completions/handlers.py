"""Bus subjects to calls of the service."""

from __future__ import annotations

from typing import Final

from caravan_contracts import completions as c

from caravan_agents.completions.service import CompletionService
from caravan_agents.verbs import Verbs

VERBS: Final[Verbs] = {
    "list_completions": (c.ListCompletions, CompletionService.list),
    "get_completion": (c.GetCompletion, CompletionService.get),
    "update_completion": (c.UpdateCompletion, CompletionService.update),
    "delete_completion": (c.DeleteCompletion, CompletionService.delete),
    "list_completion_messages": (c.ListCompletionMessages, CompletionService.messages),
    "read_completion_piece": (c.ReadCompletionPiece, CompletionService.piece),
}
