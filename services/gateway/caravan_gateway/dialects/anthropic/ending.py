"""Why a message ended, and what it cost, in Anthropic's words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from caravan_contracts.inference import Usage

_REASONS: Final = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_MATCHED: Final = ("stop_reason", "matched_stop")
"""Where vLLM and SGLang name the sequence that ended an answer. OpenAI's own answers do not tell."""


class Ending:
    """Gathers what the choices and chunks of an answer say of its end."""

    def __init__(self, stop_sequences: Sequence[str]) -> None:
        self.refused = False
        """Whether the model said so."""
        self._stop_sequences = stop_sequences
        self._finish = ""
        self._matched: str | None = None
        self._usage: Usage | None = None

    def take(self, choice: dict[str, Any]) -> None:
        """A choice of the answer, or of a chunk of it."""
        if finish := choice.get("finish_reason"):
            self._finish = str(finish)
        for name in _MATCHED:
            if choice.get(name) in self._stop_sequences:
                self._matched = choice[name]

    def count(self, usage: object) -> None:
        """The usage of the answer, where it is one."""
        self._usage = Usage.from_openai(usage) or self._usage

    def reason(self, called: bool) -> dict[str, str | None]:
        """``stop_reason`` and ``stop_sequence``; `called` says whether the model called a tool."""
        reason = _REASONS.get(self._finish, "end_turn")
        if self.refused:
            reason = "refusal"
        elif reason == "end_turn" and called:  # some providers call tools and say "stop"
            reason = "tool_use"
        elif reason == "end_turn" and self._matched is not None:
            return {"stop_reason": "stop_sequence", "stop_sequence": self._matched}
        return {"stop_reason": reason, "stop_sequence": None}

    def usage(self) -> dict[str, Any]:
        """Tokens; those that a cache had are no input tokens here, but counted beside them."""
        usage = self._usage or Usage()
        made: dict[str, Any] = {
            "input_tokens": max(0, usage.prompt_tokens - usage.cached_tokens),
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": usage.cached_tokens,
            "output_tokens": usage.completion_tokens,
        }
        if usage.reasoning_tokens:
            made["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
        return made
