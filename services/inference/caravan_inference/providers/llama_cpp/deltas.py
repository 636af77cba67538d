"""What both verbs say step by step, before it becomes events or a body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caravan_contracts.inference import Usage


@dataclass(frozen=True, slots=True)
class Delta:
    """One step of one choice."""

    index: int
    content: dict[str, Any]
    """Chat: a `delta` object. Completions: ``{"text": ...}``."""
    logprobs: Any = None
    finish: str = ""


@dataclass(slots=True)
class Tally:
    """Usage over all choices: a prompt counts once, as OpenAI counts."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0

    def add(self, usage: Usage, *, same_prompt: bool) -> None:
        """`same_prompt`: a further answer to a prompt that was counted already."""
        self.completion += usage.completion_tokens
        if not same_prompt:
            self.prompt += usage.prompt_tokens
            self.cached += usage.cached_tokens

    def usage(self) -> Usage:
        """All of it."""
        return Usage(self.prompt, self.completion, self.cached)

    def to_openai(self) -> dict[str, Any]:
        """As a `usage` object."""
        return {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.prompt + self.completion,
            "prompt_tokens_details": {"cached_tokens": self.cached},
        }
