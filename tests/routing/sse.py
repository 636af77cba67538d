"""Streams as an OpenAI-compatible server writes them, and what a client reads in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

DONE = b"data: [DONE]\n\n"


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def chat(
    tokens: Sequence[str],
    id: str = "chatcmpl-1",
    model: str = "a/m",
    created: int = 11,
    finish: str | None = "stop",
    usage: tuple[int, int] | None = None,
    role: bool = True,
) -> list[bytes]:
    """The events of one answer: its role, a token each, the finish reason, usage. Without ``[DONE]``."""
    head = {"id": id, "object": "chat.completion.chunk", "created": created, "model": model}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    made = [chunk({"role": "assistant", "content": ""})] if role else []
    made += [chunk({"content": token}) for token in tokens]
    if finish:
        made.append(chunk({}, finish))
    if usage:
        counted = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
        made.append(event({**head, "choices": [], "usage": counted}))
    return made


def tool_call(pieces: Sequence[str], call: str, id: str = "chatcmpl-1", finish: bool = True) -> list[bytes]:
    """An answer that is one call of `weather`."""
    head = {"id": id, "object": "chat.completion.chunk", "created": 11, "model": "a/m"}

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        return event({**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    first = {"index": 0, "id": call, "type": "function", "function": {"name": "weather", "arguments": ""}}
    made = [chunk({"role": "assistant", "content": None, "tool_calls": [first]})]
    made += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}) for piece in pieces]
    return [*made, chunk({}, "tool_calls")] if finish else made


@dataclass
class Read:
    text: str = ""
    arguments: str = ""
    ids: set[str] = field(default_factory=set)
    created: set[int] = field(default_factory=set)
    models: list[str] = field(default_factory=list)
    roles: int = 0
    calls: list[str] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    usage: dict[str, int] | None = None
    done: int = 0


def read(data: bytes) -> Read:
    """What a client makes of `data`, all of which has to be whole events."""
    made = Read()
    assert data.endswith(b"\n\n") or not data
    for part in data.split(b"\n\n")[:-1]:
        assert part.startswith(b"data: "), part
        if part == b"data: [DONE]":
            made.done += 1
            continue
        assert not made.done, "nothing comes after the end"
        chunk = orjson.loads(part[6:])
        made.ids.add(chunk["id"])
        made.created.add(chunk["created"])
        if chunk["model"] not in made.models:
            made.models.append(chunk["model"])
        made.usage = chunk.get("usage") or made.usage
        for choice in chunk["choices"]:
            delta = choice.get("delta", choice)
            made.text += delta.get("content") or delta.get("text") or ""
            made.roles += "role" in delta
            for call in delta.get("tool_calls") or ():
                made.calls += [call["id"]] if "id" in call else []
                made.arguments += call["function"].get("arguments") or ""
            if choice["finish_reason"]:
                made.finishes.append(choice["finish_reason"])
    return made
