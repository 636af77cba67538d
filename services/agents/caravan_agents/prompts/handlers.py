"""Bus subjects to calls of the service."""

from __future__ import annotations

from typing import Final

from caravan_contracts import prompts as p

from caravan_agents.prompts.service import PromptService
from caravan_agents.verbs import Verbs

VERBS: Final[Verbs] = {
    "create_prompt": (p.CreatePrompt, PromptService.create),
    "get_prompt": (p.GetPrompt, PromptService.get),
    "update_prompt": (p.UpdatePrompt, PromptService.update),
    "delete_prompt": (p.DeletePrompt, PromptService.delete),
    "list_prompts": (p.ListPrompts, PromptService.list),
    "list_prompt_versions": (p.ListPromptVersions, PromptService.versions),
    "set_default_prompt_version": (p.SetDefaultPromptVersion, PromptService.set_default),
}
