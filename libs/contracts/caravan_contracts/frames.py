"""Frames of the token path: one byte of kind, a 4-byte sequence number, a payload.

    +------+----------------+-----------+
    | kind | seq (uint32 BE)| payload … |
    +------+----------------+-----------+

DATA, ERROR and END are numbered from 1 without gaps; ACCEPT and BUSY carry 0; HEARTBEAT carries the number
of the last frame sent, so that the receiver notices a lost tail. The payload of DATA is whole SSE events of a
stream, or bytes of a JSON body; it stays opaque to everything between the worker and the client.
END is ``uint32 BE length | summary (JSON) | tail bytes``: the tail is the last of the data, so that a short
answer is one frame. Control messages towards the worker are ``kind | seq`` alone.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

HEADER: Final = struct.Struct(">BI")
HEADER_SIZE: Final = HEADER.size
_LENGTH: Final = struct.Struct(">I")
MAX_DATA: Final = 256 * 1024
"""Largest payload of a data frame in bytes: well under NATS' max_payload of 1 MiB."""
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
