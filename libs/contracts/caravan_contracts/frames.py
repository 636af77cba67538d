"""Frames of the token path: one byte of kind, a 4-byte sequence number, a payload.

    +------+----------------+-----------+
    | kind | seq (uint32 BE)| payload … |
    +------+----------------+-----------+

DATA, ERROR and END are numbered from 1 without gaps; ACCEPT and BUSY carry 0; HEARTBEAT carries the number
of the last frame sent, so that the receiver notices a lost tail. The payload of DATA is whole SSE events of a
stream, or bytes of a JSON body; it stays opaque to everything between the worker and the client.
END is ``uint32 BE length | summary (JSON) | tail bytes``: the tail is the last of the data, so that a short
answer is one frame. Control messages towards the worker are ``kind | seq``; only BODY has a payload.

A receiver that says so (see :func:`encode_window`) may get frames of several of its streams in one message at the
subject ``<its inbox prefix>.bundle``: for each, ``stream number (uint64 BE) | length (uint32 BE) | frame``.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Final

HEADER: Final = struct.Struct(">BI")
HEADER_SIZE: Final = HEADER.size
_LENGTH: Final = struct.Struct(">I")
_ENTRY: Final = struct.Struct(">QI")
_NUMBERED: Final = struct.Struct(">QIBI")
"""An entry of a bundle and its frame's header."""
ENTRY_SIZE: Final = _ENTRY.size
"""Bytes that a bundle adds to each of its frames."""
_BUNDLE_MARK: Final = "bundle"
MAX_DATA: Final = 256 * 1024
"""Largest payload of a data frame in bytes: well under NATS' max_payload of 1 MiB."""
SHUTDOWN: Final = "worker_shutdown"
"""Code of the error by which a worker that leaves gives a foreign request back: another may be asked."""
DEFAULT_WINDOW: Final = 256 * 1024
"""Bytes a worker may have sent that its receiver has not acknowledged."""


class Kind(IntEnum):
    """What a frame is."""

    ACCEPT = 1
    BUSY = 2
    DATA = 3
    HEARTBEAT = 4
    ERROR = 5
    END = 6


class Control(IntEnum):
    """What the receiver of a stream tells its worker; `seq` is the last frame it has in order."""

    ACK = 1
    RESEND = 2
    CANCEL = 3
    BODY = 4
    """A part of a request's body, numbered from 1 by `seq`: foreign users have no other way for one that is larger
    than a message (header Caravan-Body-Size)."""


def encode(kind: int, seq: int, payload: bytes = b"") -> bytes:
    """One frame, or one control message."""
    return HEADER.pack(kind, seq) + payload


def decode(frame: bytes) -> tuple[int, int, bytes]:
    """``(kind, seq, payload)``; raises ValueError for anything shorter than a header."""
    if len(frame) < HEADER_SIZE:
        raise ValueError(f"a frame has at least {HEADER_SIZE} bytes, not {len(frame)}")
    kind, seq = HEADER.unpack_from(frame)
    return kind, seq, frame[HEADER_SIZE:]


def encode_end(seq: int, summary: bytes, tail: bytes = b"") -> bytes:
    """The END frame of a stream: `summary` is JSON, `tail` the last of its data."""
    return b"".join((HEADER.pack(Kind.END, seq), _LENGTH.pack(len(summary)), summary, tail))


def decode_end(payload: bytes) -> tuple[bytes, bytes]:
    """``(summary, tail)`` of an END payload; raises ValueError when it is cut short."""
    if len(payload) < _LENGTH.size:
        raise ValueError("an END frame names the length of its summary")
    stop = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
    if len(payload) < stop:
        raise ValueError("an END frame holds its whole summary")
    return payload[_LENGTH.size : stop], payload[stop:]


def entry(number: int, size: int) -> bytes:
    """What stands in a bundle before a frame of `size` bytes of the stream `number`."""
    return _ENTRY.pack(number, size)


def encode_bundle(entries: Iterable[tuple[int, bytes]]) -> bytes:
    """Frames of several streams as one message; each entry is ``(stream number, frame)``."""
    parts: list[bytes] = []
    for number, frame in entries:
        parts += (entry(number, len(frame)), frame)
    return b"".join(parts)


def decode_bundle(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The opposite of :func:`encode_bundle`; raises ValueError where it is cut short."""
    position, size = 0, len(data)
    while position < size:
        start = position + ENTRY_SIZE
        if start > size:
            raise ValueError("a bundle holds whole entries")
        number, length = _ENTRY.unpack_from(data, position)
        position = start + length
        if position > size:
            raise ValueError("a bundle holds whole frames")
        yield number, data[start:position]


def frames_of(bundle: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """The same, each as ``(stream number, kind, seq, payload)``; what is too short for a frame is left out."""
    position, size = 0, len(bundle)
    while position < size:
        start = position + _NUMBERED.size
        if start > size:
            if position + ENTRY_SIZE > size or _ENTRY.unpack_from(bundle, position)[1] != size - position - ENTRY_SIZE:
                raise ValueError("a bundle holds whole entries")
            return
        number, length, kind, seq = _NUMBERED.unpack_from(bundle, position)
        position += ENTRY_SIZE + length
        if position > size:
            raise ValueError("a bundle holds whole frames")
        if length >= HEADER_SIZE:
            yield number, kind, seq, bundle[start:position]


def encode_window(window: int, bundles: bool) -> str:
    """The value of the header Caravan-Window: bytes of credit, and whether the receiver reads bundles."""
    return f"{window}; {_BUNDLE_MARK}" if bundles else str(window)


def decode_window(value: str) -> tuple[int, bool]:
    """The opposite of :func:`encode_window`; unreadable credit is the default, and it is kept within bounds."""
    number, _, mark = value.partition(";")
    try:
        window = max(1024, min(int(number), 16 * DEFAULT_WINDOW))
    except ValueError:
        window = DEFAULT_WINDOW
    return window, mark.strip() == _BUNDLE_MARK
