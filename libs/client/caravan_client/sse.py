"""Server-sent events out of pieces of bytes (WHATWG HTML, section 9.2): only `data` matters here."""

from __future__ import annotations

from typing import Final

DONE: Final = b"[DONE]"


class EventDecoder:
    """Pieces in, the data of whole events out. Line ends may be LF or CRLF."""

    __slots__ = ("_data", "_rest")

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """The data of every event that `piece` completes, in order."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        made: list[bytes] = []
        data = self._data
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].strip())
            elif not line.strip() and data:
                made.append(data[0] if len(data) == 1 else b"\n".join(data))
                data.clear()
        return made

    def last(self) -> list[bytes]:
        """What an end without a blank line leaves behind."""
        return self.feed(b"\n\n")
