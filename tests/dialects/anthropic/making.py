"""Requests, and streams of chat completions, as the tests write them."""

from __future__ import annotations

import json
from typing import Any

from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from caravan_gateway.dialects.anthropic.reading import read_request
from caravan_gateway.dialects.anthropic.writing import MessageWriter
from pydantic import TypeAdapter

HELLO: dict[str, Any] = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "hello"}]}
WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 6}}
_EVENTS: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def chat(**more: Any) -> dict[str, Any]:
    """The chat completion that is asked for with `more` fields."""
    return read_request(json.dumps({**HELLO, **more}).encode()).chat


def said(*content: Any, role: str = "user") -> list[dict[str, Any]]:
    """The messages of a chat completion for one message."""
    made: list[dict[str, Any]] = chat(messages=[{"role": role, "content": list(content)}])["messages"]
    return made


def writer(**more: Any) -> MessageWriter:
    """For a request with `more` fields."""
    return MessageWriter(read_request(json.dumps({**HELLO, **more}).encode()))


def chunk(finish: str | None = None, usage: Any = None, choice: dict[str, Any] | None = None, **delta: Any) -> bytes:
    """An event of a provider."""
    choices = [{"index": 0, "delta": delta, "finish_reason": finish, **(choice or {})}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": choices}
    return b"data: " + json.dumps({**head, "usage": usage}).encode() + b"\n\n"


def tail(usage: Any) -> bytes:
    """The event in which a provider tells the usage, behind all others."""
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m", "choices": []}
    return b"data: " + json.dumps({**head, "usage": usage}).encode() + b"\n\n"


def piece(index: int, call: str = "", name: str = "", arguments: str = "") -> dict[str, Any]:
    """A piece of a tool call."""
    made: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
    if call:
        made.update(id=call, type="function")
        made["function"]["name"] = name
    return made


def events(raw: bytes) -> list[dict[str, Any]]:
    """What a stream tells; each event has the name of its type, and is one that the official client knows."""
    made = []
    for text in raw.decode().removesuffix("\n\n").split("\n\n"):
        name, data = text.split("\n")
        told = json.loads(data.removeprefix("data: "))
        assert name == f"event: {told['type']}"
        if told["type"] not in ("ping", "error"):
            _EVENTS.validate_python(told)
        made.append(told)
    return made


def written(stream: bytes, **more: Any) -> list[dict[str, Any]]:
    """The events that come of a provider's stream."""
    made = writer(**more)
    return events(made.feed(stream) + made.end())


def gathered(told: list[dict[str, Any]]) -> Message:
    """The message that the official client makes of events."""
    snapshot: Any = None
    for one in told:
        if one["type"] not in ("ping", "error"):
            snapshot = accumulate_event(event=_EVENTS.validate_python(one), current_snapshot=snapshot)
    assert isinstance(snapshot, Message)
    return snapshot
