"""The stream of a chat completion, as providers send it."""

from __future__ import annotations

from typing import Any

import orjson

USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 7,
    "total_tokens": 18,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
DONE = b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any] | None = None, finish: str | None = None, **more: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": delta or {}, "logprobs": more.pop("logprobs", None), "finish_reason": finish}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "m",
        "choices": [choice],
        **more,
    }


def call(index: int, arguments: str | None = None, *, id: str | None = None, name: str | None = None) -> dict[str, Any]:
    """A delta with a piece of a tool call."""
    part: dict[str, Any] = {"index": index, "function": {}}
    if id is not None:
        part |= {"id": id, "type": "function"}
    if name is not None:
        part["function"]["name"] = name
    if arguments is not None:
        part["function"]["arguments"] = arguments
    return {"tool_calls": [part]}


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"


def stream(*deltas: dict[str, Any], finish: str | None = "stop", usage: bool = True) -> bytes:
    """A whole stream of these deltas."""
    made = [event(chunk({"role": "assistant", "content": ""}))]
    made += [event(chunk(delta)) for delta in deltas]
    if finish:
        made.append(event(chunk({}, finish)))
    if usage:
        made.append(event({**chunk(), "choices": [], "usage": USAGE}))
    return b"".join([*made, DONE])


def texts(*words: str) -> list[dict[str, Any]]:
    return [{"content": word} for word in words]
