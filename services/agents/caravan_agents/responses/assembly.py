"""The response object at each stage of its life.

Source: OpenAI's API reference, "The response object"; `openai.types.responses.Response`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from caravan_contracts.errors import CaravanError

from caravan_agents.responses.items import Item
from caravan_agents.responses.request import ResponseRequest

Status = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]
IncompleteReason = Literal["max_output_tokens", "content_filter"]
_REDACTED: Final = "<redacted>"


@dataclass(slots=True)
class Usage:
    """Tokens, summed over the turns of a response."""

    input: int = 0
    cached: int = 0
    output: int = 0
    reasoning: int = 0
    total: int = 0

    def add(self, chat: dict[str, Any]) -> None:
        """Add the `usage` of a chat completion."""
        read = _number(chat, "prompt_tokens")
        written = _number(chat, "completion_tokens")
        self.input += read
        self.output += written
        self.total += _number(chat, "total_tokens") or read + written
        self.cached += _number(chat.get("prompt_tokens_details"), "cached_tokens")
        self.reasoning += _number(chat.get("completion_tokens_details"), "reasoning_tokens")

    def to_object(self) -> dict[str, Any]:
        """OpenAI's usage object."""
        return {
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached, "cache_write_tokens": 0},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.total,
        }


def _number(value: Any, name: str) -> int:
    found = value.get(name) if isinstance(value, dict) else None
    return found if isinstance(found, int) else 0


def error_object(error: CaravanError) -> dict[str, Any]:
    """The `error` of a failed response: OpenAI knows few codes."""
    code = "server_error"
    if error.status == 429:
        code = "rate_limit_exceeded"
    elif 400 <= error.status < 500:
        code = "invalid_prompt"
    return {"code": code, "message": error.message}


@dataclass(slots=True)
class ResponseObject:
    """What is known of a response while it is made. `output` and `usage` grow; nothing else changes."""

    id: str
    created_at: int
    """Unix seconds."""
    request: ResponseRequest
    instructions: str | list[Item] | None = None
    """As they were used: those of a prompt are items."""
    output: list[Item] = field(default_factory=list)
    """In the order of their `output_index`."""
    usage: Usage | None = None
    """Of the turns that told theirs; None when none did."""
    service_tier: str = ""
    """The one that was used, when the provider says."""

    def add_usage(self, chat: dict[str, Any]) -> None:
        """Add what a turn cost."""
        if self.usage is None:
            self.usage = Usage()
        self.usage.add(chat)

    def snapshot(
        self,
        status: Status,
        *,
        error: dict[str, Any] | None = None,
        reason: IncompleteReason | None = None,
        completed_at: int | None = None,
    ) -> dict[str, Any]:
        """The object, ready for JSON. `reason` says why it is incomplete, `completed_at` (Unix seconds) when it was
        completed."""
        request = self.request
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": request.background,
            "completed_at": completed_at if status == "completed" else None,
            "conversation": {"id": request.conversation} if request.conversation else None,
            "error": error,
            "incomplete_details": {"reason": reason} if reason else None,
            "instructions": self.instructions if self.instructions is not None else request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": request.max_tool_calls,
            "model": request.model,
            "output": list(self.output),
            "parallel_tool_calls": request.parallel_tool_calls,
            "previous_response_id": request.previous_response_id,
            "prompt": request.prompt,
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": {"effort": None, "summary": None, **(request.reasoning or {})},
            "safety_identifier": request.safety_identifier,
            "service_tier": self.service_tier or request.service_tier or "auto",
            "store": request.store,
            "temperature": 1.0 if request.temperature is None else request.temperature,
            "text": {"format": request.text_format, "verbosity": request.verbosity or "medium"},
            "tool_choice": request.tool_choice,
            "tools": [_shown(tool) for tool in request.tools],
            "top_logprobs": request.top_logprobs or 0,
            "top_p": 1.0 if request.top_p is None else request.top_p,
            "truncation": request.truncation,
            "usage": self.usage.to_object() if self.usage else None,
            "user": request.user,
            "metadata": request.metadata,
        }


def _shown(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as it is told back: what opens an MCP server stays with us."""
    if tool["type"] == "function":
        return {"description": None, "parameters": None, "strict": None, **tool}
    if tool["type"] != "mcp":
        return tool
    shown = {name: value for name, value in tool.items() if name != "authorization"}
    if shown.get("headers"):
        shown["headers"] = dict.fromkeys(shown["headers"], _REDACTED)
    return shown
