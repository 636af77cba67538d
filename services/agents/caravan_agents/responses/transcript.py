"""A conversation as one text, for a model that is to write of it: with its calls as words, any model can read it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from caravan_agents.responses.messages import Message


def transcript(messages: Iterable[Message]) -> str:
    """Line by line: who said what, which tools were called, and what they returned."""
    return "\n\n".join(text for message in messages if (text := _said(message)))


def _said(message: Message) -> str:
    lines = []
    content = _text(message.get("content"))
    if content:
        who = "result of a tool" if message["role"] == "tool" else message["role"]
        lines.append(f"[{who}]\n{content}")
    for call in message.get("tool_calls") or ():
        function = call["function"]
        lines.append(f"[assistant calls a tool]\n{function['name']}({function['arguments']})")
    return "\n\n".join(lines)


def _text(content: str | list[dict[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part["text"] if part["type"] == "text" else f"({part['type']})" for part in content)
