"""Server-sent events, cut out of bytes and written. Source: WHATWG HTML, 9.2.6."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import UpstreamBroke

MOST: Final = 4 * 1024 * 1024
"""Bytes of one event."""


class Events:
    """Cuts a stream into events, however it comes."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The whole events that are there now, each with its empty line. Raises UpstreamBroke for one without end."""
        cut = data.rfind(b"\n\n") + 2
        # an empty line may be cut itself
        if cut == 1 and not (data.startswith(b"\n") and self._rest and self._rest[-1].endswith(b"\n")):
            self._keep(data)
            return []
        whole = b"".join([*self._rest, data])
        self._rest, self._size = [], 0
        *events, rest = whole.split(b"\n\n")
        if rest:
            self._keep(rest)
        return [found + b"\n\n" for found in events if found]

    def end(self) -> None:
        """No more comes. Raises UpstreamBroke when an event is not whole."""
        if self._rest:
            raise UpstreamBroke("a model's answer ended within an event")

    def _keep(self, data: bytes) -> None:
        if data:
            self._rest.append(data)
        self._size += len(data)
        if self._size > MOST:
            raise UpstreamBroke(f"a model's answer has an event of more than {MOST} bytes")


def payload(event: bytes) -> bytes:
    """The data of an event; b"" for a comment."""
    lines = event.replace(b"\r", b"").split(b"\n")
    return b"\n".join([line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]).strip()


def event(chunk: dict[str, Any]) -> bytes:
    """One that says `chunk`."""
    return b"data: " + orjson.dumps(chunk) + b"\n\n"
