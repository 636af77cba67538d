"""``generateContent`` as a chat completion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.google.contents import messages_of
from caravan_gateway.dialects.google.fields import record
from caravan_gateway.dialects.google.options import parameters, thinking_of, tools_of


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, read."""

    chat: dict[str, Any]
    """OpenAI's body."""
    thoughts: bool
    """Whether the client wants to read what the model thinks."""


def chat(data: dict[str, Any], model: str) -> Asked:
    """Raises InvalidRequest."""
    request = record(data, "the body")
    if field(request, "cachedContent", str):
        raise InvalidRequest("nothing is cached here by name: send the contents themselves", param="cachedContent")
    config = record(request.get("generationConfig") or {}, "generationConfig")
    body = {
        "model": model,
        "messages": messages_of(request.get("contents"), request.get("systemInstruction")),
        **parameters(config),
        **tools_of(request.get("tools"), request.get("toolConfig")),
    }
    return Asked(body, field(thinking_of(config), "includeThoughts", bool, "generationConfig.thinkingConfig") is True)
