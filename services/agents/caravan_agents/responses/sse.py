"""Server-sent events, made of templates; those of a provider are cut by :mod:`caravan_contracts.sse`.

Source: WHATWG HTML, 9.2.6.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

_PADDED: Final = 16
"""Deltas that hide their length are padded to a multiple of so many bytes."""
_NOISE: Final = b"q7Zk2mXw9RtLb4Vh"
"""What they are padded with: its length is all that matters, and events that are made again have to be the same."""


class DeltaTemplate:
    """The bytes of a kind of delta event: all but its number, its text and what follows the text."""

    __slots__ = ("head", "middle", "tail")

    def __init__(self, type: str, place: dict[str, Any], tail: bytes = b"") -> None:
        """`place` is the item and the part; `tail` are fields behind the delta, as JSON that begins with a comma."""
        self.head = f'event: {type}\ndata: {{"type":"{type}","sequence_number":'.encode()
        self.middle = b"," + orjson.dumps(place)[1:-1] + b',"delta":'
        self.tail = tail


class EventLog:
    """Numbers events and keeps their bytes until they are taken."""

    __slots__ = ("_obfuscate", "_pieces", "sequence")

    def __init__(self, sequence: int = 0, obfuscate: bool = False) -> None:
        self.sequence = sequence
        """The number of the next event."""
        self._obfuscate = obfuscate
        self._pieces: list[bytes] = []

    def event(self, type: str, fields: dict[str, Any]) -> None:
        """Write an event."""
        data = orjson.dumps({"type": type, "sequence_number": self.sequence, **fields})
        self.sequence += 1
        self._pieces.append(b"event: %b\ndata: %b\n\n" % (type.encode(), data))

    def delta(self, template: DeltaTemplate, encoded: bytes, tail: bytes | None = None) -> None:
        """Write a delta whose text is JSON already."""
        if tail is None:
            tail = template.tail
        if self._obfuscate:
            tail = b'%b,"obfuscation":"%b"' % (tail, _NOISE[len(encoded) % _PADDED :])
        self._pieces.append(b"%b%d%b%b%b}\n\n" % (template.head, self.sequence, template.middle, encoded, tail))
        self.sequence += 1

    def take(self) -> bytes:
        """All that was written since the last time."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
