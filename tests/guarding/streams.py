"""Streams of chunks, cut in every way, and what a client makes of them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from typing import Any

import orjson
from caravan_bus.stream.reader import Sink
from caravan_contracts.inference import DONE_EVENT, CallSpec, Summary, Usage
from caravan_contracts.openai import RequestFacts

STREAM = RequestFacts("m", True, False)
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


class Scripted:
    """An answer that brings these reads; it has the surface of any other."""

    worker, target, attempts = "w", "up/m", 1
    spec = CallSpec("up", "m", "m", True)

    def __init__(self, reads: Iterable[bytes], whole: bytes = b"") -> None:
        self.reads = iter(reads)
        self.whole = whole
        self.summary: Summary | None = None
        self.cancelled = False
        self.taken = 0

    async def read(self) -> bytes:
        await asyncio.sleep(0)
        data = next(self.reads, b"")
        self.taken += 1
        if not data:
            self.summary = Summary("chatcmpl-1", "m", "stop", Usage(3, 4))
        return data

    async def pump(self, sink: Sink) -> bytes:
        raise AssertionError("what is guarded is read")

    async def read_all(self, limit: int) -> bytes:
        self.summary = Summary("chatcmpl-1", "m", "stop", Usage(3, 4))
        return self.whole

    def cancel(self) -> None:
        self.cancelled = True


def chunk(delta: dict[str, Any], index: int = 0, finish: str | None = None, **more: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return b"data: " + orjson.dumps({**HEAD, "choices": [choice]}) + b"\n\n"


def tokens(pieces: Iterable[str], index: int = 0, finish: str = "stop", field: str = "content") -> list[bytes]:
    """The events of one choice."""
    made = [chunk({"role": "assistant", "content": ""}, index)]
    made += [chunk({field: piece}, index) for piece in pieces]
    return [*made, chunk({}, index, finish)]


def call(pieces: Iterable[str], index: int = 0, name: str = "look_up") -> list[bytes]:
    """The events of one tool call."""
    function: dict[str, Any] = {"name": name, "arguments": ""}
    first = {"index": index, "id": f"call_{index}", "type": "function", "function": function}
    made = [chunk({"tool_calls": [first]})]
    return made + [chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in pieces]


def cut(text: str, chance: random.Random, longest: int) -> list[str]:
    """`text` in pieces of 1 to `longest` characters."""
    made = []
    while text:
        size = chance.randint(1, longest)
        made.append(text[:size])
        text = text[size:]
    return made


def torn(data: bytes, chance: random.Random, longest: int) -> list[bytes]:
    """Bytes cut anywhere: within events, characters and escapes."""
    made = []
    while data:
        size = chance.randint(1, longest)
        made.append(data[:size])
        data = data[size:]
    return made


class Client:
    """What a reader has of an answer."""

    def __init__(self, data: bytes) -> None:
        self.texts: dict[tuple[Any, ...], str] = {}
        self.finished: dict[int, str] = {}
        self.extension: dict[str, Any] | None = None
        self.usage: dict[str, Any] | None = None
        self.logprobs: list[Any] = []
        self.done = data.endswith(DONE_EVENT)
        for event in data.split(b"\n\n"):
            if event.startswith(b"data: {"):
                self._take(orjson.loads(event[6:]))

    def _take(self, data: dict[str, Any]) -> None:
        self.extension = data.get("caravan") or self.extension
        self.usage = data.get("usage") or self.usage
        for choice in data.get("choices") or []:
            index = choice["index"]
            delta = choice.get("delta", choice)
            for name in ("content", "reasoning_content", "refusal", "text"):
                self._add((index, name), delta.get(name))
            for made in delta.get("tool_calls") or []:
                self._add((index, "tool", made["index"]), made["function"].get("arguments"))
            if choice.get("finish_reason"):
                self.finished[index] = choice["finish_reason"]
            if choice.get("logprobs"):
                self.logprobs.append(choice["logprobs"])

    def _add(self, key: tuple[Any, ...], text: str | None) -> None:
        if text:
            self.texts[key] = self.texts.get(key, "") + text

    @property
    def content(self) -> str:
        return self.texts.get((0, "content"), "")
