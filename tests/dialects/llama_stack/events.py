"""Streams, as a provider sends them and as a client reads them."""

from __future__ import annotations

import json
from typing import Any

Object = dict[str, Any]


def chunk(delta: Object, finish: str | None = None, **more: Any) -> Object:
    """One of OpenAI's chat completion chunks."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish, **more}]}


def piece(index: int, arguments: str, **head: Any) -> Object:
    """Some of a tool call."""
    name = {"name": head.pop("name")} if "name" in head else {}
    return chunk({"tool_calls": [{"index": index, **head, "function": {**name, "arguments": arguments}}]})


def sent(*chunks: Object, end: str = "\n\n", done: bool = True) -> bytes:
    """The bytes of a stream."""
    lines = ["data: " + json.dumps(each) for each in chunks] + ["data: [DONE]"] * done
    return "".join(line + end for line in lines).encode()


def read(data: bytes) -> list[Any]:
    """The objects of a stream."""
    return [json.loads(line[5:]) for line in data.split(b"\n") if line.startswith(b"data:")]
