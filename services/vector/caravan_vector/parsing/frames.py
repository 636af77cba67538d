"""What passes between the service and a worker: requests as lines of JSON one way, frames the other.

A frame is one byte of kind, the payload's length as 4 bytes (big-endian) and the payload. The service believes none
of it: a worker may have been taken over by what it reads.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any

import orjson

from caravan_vector.parsing.pieces import Piece, Place

HEADER = struct.Struct("!BI")
MAX_PAYLOAD = 256 * 1024
"""Bytes of one frame: what is longer ends the worker."""
MAX_PIECE = 16 * 1024
"""Characters of one piece."""
MAX_REQUEST = 64 * 1024
"""Bytes of one request."""
_MAX_HEADING = 200


class Frame(IntEnum):
    """Kinds of frames: BEGUN, then TEXT and MORE_TIME any number of times, then END or ERROR."""

    BEGUN = 1
    TEXT = 2
    END = 3
    ERROR = 4
    MORE_TIME = 5
    """A page is about to be read by OCR, for which there is time of its own."""


class BadFrame(Exception):
    """The worker sent what no worker of ours sends."""


def frame(kind: Frame, payload: bytes = b"") -> bytes:
    """The bytes of one frame."""
    return HEADER.pack(kind, len(payload)) + payload


def from_piece(piece: Piece) -> bytes:
    """The payload of a TEXT frame. Half characters and zero bytes, which no database takes, are replaced."""
    place = piece.place
    text = piece.text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    headings = [_clean(heading) for heading in place.headings]
    sheet = None if place.sheet is None else _clean(place.sheet)
    return orjson.dumps([text, place.page, place.slide, sheet, headings])


def to_piece(payload: bytes) -> Piece:
    """The piece of a TEXT frame. Raises BadFrame."""
    try:
        text, page, slide, sheet, headings = orjson.loads(payload)
        if not isinstance(text, str) or len(text) > MAX_PIECE:
            raise BadFrame("no text")
        place = Place(_number(page), _number(slide), None if sheet is None else str(sheet), tuple(map(str, headings)))
    except (orjson.JSONDecodeError, TypeError, ValueError) as error:
        raise BadFrame(f"no piece of text: {error}") from error
    return Piece(text, place)


def to_error(payload: bytes) -> dict[str, Any]:
    """kind, message and bound of an ERROR frame. Raises BadFrame."""
    try:
        said = orjson.loads(payload)
        return {"kind": str(said["kind"]), "message": str(said["message"])[:1000], "bound": said["bound"]}
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadFrame(f"no error: {error}") from error


def _number(value: object) -> int | None:
    if value is None or isinstance(value, int):
        return value
    raise BadFrame("no number")


def _clean(text: str) -> str:
    return text[:_MAX_HEADING].replace("\x00", "").encode("utf-8", "replace").decode()
