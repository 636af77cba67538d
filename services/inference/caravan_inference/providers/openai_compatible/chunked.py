"""HTTP chunks that arrive whole, one to a read, as a token does that comes alone: read without the parser.

A parser that knows every form of HTTP calls back three times for each chunk. Of a stream whose tokens come one by one
each read is one chunk, and its size says so: then there is nothing to parse. Whatever looks otherwise is the parser's,
which never notices what passed it by, for between two chunks it remembers nothing (RFC 9112, section 7.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_LINE_END: Final = b"\r\n"
_DIGITS: Final = b"0123456789abcdefABCDEF"
_MOST_DIGITS: Final = 8
_SHORT: Final = 4096
"""Longest read after which it is worth finding out whether a chunk ended with it."""


def whole_chunk(data: bytes) -> bytes | None:
    """What is in the one chunk that `data` is; None when it is none, more than one, or the last of a body."""
    end = data.find(_LINE_END, 1, _MOST_DIGITS + 2)
    if end < 0 or not data.endswith(_LINE_END):
        return None
    digits = data[:end]
    if digits.strip(_DIGITS):
        return None  # an extension, or no chunk at all
    size = int(digits, 16)
    return data[end + 2 : -2] if size and end + size + 4 == len(data) else None


def ends_chunk(data: bytes, parts: Sequence[bytes]) -> bool:
    """Whether the read `data`, of whose body a parser found the last of `parts`, ends where a chunk does; False when
    that is not sure.

    A complete piece stands before a line end. So does what a size line says, but that has no line end within; and a
    piece that is not complete reaches to the end of its read: to look like a complete one it would have to be made of
    nothing but line ends.
    """
    if not parts or len(data) > _SHORT:
        return False
    last = parts[-1]
    return last.endswith(b"\n") and last[0] not in _LINE_END and data.endswith(last + _LINE_END)
