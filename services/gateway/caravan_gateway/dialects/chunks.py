"""What OpenAI answers, read: the chunks of a stream, and a whole answer."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidJSON, UpstreamFailed

_DATA: Final = b"data:"


class Chunks:
    """The chunks of a stream, out of bytes that may be cut anywhere. Each stands on one line, as our workers write it;
    what is no object, such as ``[DONE]``, is passed over."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The chunks that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        read = (_object(line[len(_DATA) :]) for line in lines if line.startswith(_DATA))
        return [chunk for chunk in read if chunk is not None]


def answer_of(answer: bytes, needed: str) -> dict[str, Any]:
    """A whole answer, whose list is called `needed`. Raises UpstreamFailed."""
    data = _object(answer)
    if data is None or not isinstance(data.get(needed), list) or not data[needed]:
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


def thought(message: dict[str, Any]) -> str:
    """What a message or delta says of the model's thinking: servers call it by two names."""
    return message.get("reasoning_content") or message.get("reasoning") or ""


def _object(data: bytes) -> dict[str, Any] | None:
    try:
        made = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return made if isinstance(made, dict) else None
