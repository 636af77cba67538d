"""Server-sent events, cut out of bytes.

Source: WHATWG HTML, 9.2.6.
"""

from __future__ import annotations


class Splitter:
    """Cuts a stream into events, however it comes. Carriage returns are dropped: JSON has none of its own."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The whole events that are there now, each without the empty line behind it."""
        if b"\r" in data:
            data = data.replace(b"\r", b"")
        if self._rest:
            data = self._rest + data
        events = data.split(b"\n\n")
        self._rest = events.pop()
        return events

    @property
    def waiting(self) -> int:
        """Bytes of an event whose end has not come."""
        return len(self._rest)

    def end(self) -> bytes:
        """What came behind the last whole event."""
        rest, self._rest = self._rest, b""
        return rest


def payload(event: bytes) -> bytes:
    """The data of an event; b"" for a comment."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = [line[5:].removeprefix(b" ") for line in event.split(b"\n") if line.startswith(b"data:")]
    return b"\n".join(lines)
