"""The objects of a provider's event stream, out of bytes that are cut anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamBroke

_MAX_EVENT: Final = 4 * 1024 * 1024
"""Bytes of an event whose end has not come."""


class Chunks:
    """Of one stream (server-sent events: WHATWG HTML, 9.2.6). An event of OpenAI's has its data in one line."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The objects whose line ends in `data`. Raises UpstreamBroke for what is no JSON, or has no end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > _MAX_EVENT:
            raise UpstreamBroke("the provider sent an event without an end")
        for line in lines:
            if line.startswith(b"data:"):
                chunk = _object(line[5:].strip())
                if chunk is not None:
                    yield chunk


def _object(data: bytes) -> dict[str, Any] | None:
    if data == b"[DONE]":
        return None
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise UpstreamBroke("the provider sent an event that is no JSON") from error
    return chunk if isinstance(chunk, dict) else None
