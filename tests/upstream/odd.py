"""Answers that are odd: calls around words, calls of nothing, calls without end, and ends before the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.upstream.acting import pieces

FINISH = {"short": "length", "filtered": "content_filter"}
"""Why these models stop."""


def mixed() -> Iterator[dict[str, Any]]:
    """The deltas of a call, words, and another call."""
    for piece in pieces(_call(0, "weather", '{"city":"Paris"}'), 0):
        yield {"tool_calls": [piece]}
    yield {"content": "and "}
    yield {"content": "then"}
    for piece in pieces(_call(1, "clock", '{"zone":"CET"}'), 1):
        yield {"tool_calls": [piece]}


def calls(name: str, times: int, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The call that the model `name` makes now; none when it speaks."""
    turns = sum(1 for message in body.get("messages", ()) if message["role"] == "tool")
    tools = body.get("tools") or []
    if name == "lost" and turns < times and tools:
        return [_call(turns, "no_such_tool", "{}")]
    if (name == "endless" and tools) or name == "stubborn":
        return [_call(turns, tools[0]["function"]["name"] if tools else "shop__add", '{"a":1,"b":2}')]
    return []


def _call(number: int, name: str, arguments: str) -> dict[str, Any]:
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
