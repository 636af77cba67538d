"""What OpenAI answers, read: the chunks of a stream, and a whole answer."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts import chunks
from caravan_contracts.errors import InvalidJSON, UpstreamFailed
from caravan_contracts.sse import Splitter, payload

_DONE: Final = b"[DONE]"
_MAX_EVENT: Final = 4 * 1024 * 1024
"""Bytes of an event whose end has not come."""


class Chunks:
    """The chunks of a stream, out of bytes that may be cut anywhere."""

    __slots__ = ("_splitter",)

    def __init__(self) -> None:
        self._splitter = Splitter()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that `data` completes. Raises UpstreamFailed for what is none, or has no end."""
        found = [payload(event) for event in self._splitter.feed(data)]
        if self._splitter.waiting > _MAX_EVENT:
            raise UpstreamFailed("the provider sent an event without an end")
        return [_read(one) for one in found if one and one != _DONE]


def answer_of(answer: bytes, needed: str) -> dict[str, Any]:
    """A whole answer, whose list is called `needed`. Raises UpstreamFailed."""
    data = _read(answer)
    if not isinstance(data.get(needed), list) or not data[needed]:
        raise UpstreamFailed(f"the provider answered something without '{needed}'")
    return data


def request_of(body: bytes) -> dict[str, Any]:
    """The body of a request. Raises InvalidJSON."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    if not isinstance(data, dict):
        raise InvalidJSON("the body should be a JSON object")
    return data


def choices_of(chunk: dict[str, Any]) -> list[dict[str, Any]]:
    """Those of a chunk or an answer; none in one that carries the usage alone."""
    found = chunk.get("choices")
    return [choice for choice in found if isinstance(choice, dict)] if isinstance(found, list) else []


def said(message: dict[str, Any]) -> tuple[str, str]:
    """What a message or delta says: what the model thinks, and what it answers, be it a refusal."""
    found = list(chunks.texts(message))
    thoughts = "".join(text for kind, text in found if kind == "reasoning")
    return thoughts, "".join(text for kind, text in found if kind != "reasoning")


def _read(data: bytes) -> dict[str, Any]:
    try:
        return chunks.read_chunk(data)
    except chunks.Unreadable as error:
        raise UpstreamFailed(str(error)) from error
