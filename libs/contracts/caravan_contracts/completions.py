"""Stored chat completions: the job that keeps one, and the questions one may ask about them.

A job is the request and the answer as the client sent and got them; whoever stores it reads them, so that nobody does
on the way of the answer:

    +--------------------+------------+-----------------------+---------+--------+
    | length (uint32 BE) | head, JSON | length (uint32 BE)    | request | answer |
    +--------------------+------------+-----------------------+---------+--------+
"""

from __future__ import annotations

import struct
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import orjson
from pydantic import BaseModel, Field

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.registry import Message

SERVICE: Final = "agents"
MAX_PAIRS: Final = 16
MAX_KEY: Final = 64
MAX_VALUE: Final = 512
PAGE_BYTES: Final = 600 * 1024
"""Bytes of rows in one reply; a larger row is fetched piece by piece."""
PIECE_BYTES: Final = 512 * 1024
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of a completion beside its bytes."""

    at: float
    """Unix seconds of its end, by the clock of whoever asked."""
    stream: bool
    """Whether the answer is a stream's events or one JSON object."""
    model: str
    """As the client wrote it."""
    usage: tuple[int, int, int, int] | None = None
    """Tokens in the order of :class:`caravan_contracts.inference.Usage`, for streams that were not asked to tell."""


def encode_job(head: Head, request: bytes, answer: bytes) -> bytes:
    """The bytes of a job."""
    told = orjson.dumps(asdict(head))
    return b"".join((_LENGTH.pack(len(told)), told, _LENGTH.pack(len(request)), request, answer))


def decode_job(data: bytes) -> tuple[Head, bytes, bytes]:
    """``(head, request, answer)``; the opposite of :func:`encode_job`. Raises InvalidRequest."""
    try:
        stop = _LENGTH.size + _LENGTH.unpack_from(data)[0]
        told = orjson.loads(data[_LENGTH.size : stop])
        usage = told["usage"]
        head = Head(float(told["at"]), bool(told["stream"]), str(told["model"]), tuple(usage) if usage else None)
        start = stop + _LENGTH.size
        middle = start + _LENGTH.unpack_from(data, stop)[0]
        if middle > len(data):
            raise ValueError("it was cut short")
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise InvalidRequest(f"a job of the queue of completions cannot be read: {error}") from error
    return head, data[start:middle], data[middle:]


def metadata_problem(metadata: Any) -> str:
    """Why this is no metadata of OpenAI's; "" when it is."""
    if not isinstance(metadata, dict):
        return "an object of strings"
    if len(metadata) > MAX_PAIRS:
        return f"at most {MAX_PAIRS} pairs, not {len(metadata)}"
    for key, value in metadata.items():
        if not isinstance(value, str):
            return f"an object of strings; {key[:MAX_KEY]!r} is none"
        if not 0 < len(key) <= MAX_KEY:
            return f"keys of 1 to {MAX_KEY} characters; {key[:MAX_KEY]!r} has {len(key)}"
        if len(value) > MAX_VALUE:
            return f"values of at most {MAX_VALUE} characters; that of {key!r} has {len(value)}"
        if "\0" in key + value:
            return f"text without zero bytes; {key!r} has one"
    return ""


def message_object(id: str, message: dict[str, Any]) -> dict[str, Any]:
    """A message of a request as OpenAI gives it out: its text in `content`, a list of parts in `content_parts`."""
    made = {"id": id, "content_parts": None, "content": None, **message}
    content = message.get("content")
    if isinstance(content, list):
        made["content_parts"] = content
        texts = [part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)]
        made["content"] = "\n".join(texts) if texts else None
    return made


Order = Literal["asc", "desc"]


class ListCompletions(Message):
    """Completions in the order of their creation."""

    after: str = ""
    """Id of the last one of the page before."""
    limit: int = Field(20, ge=1, le=100)
    order: Order = "asc"
    model: str = ""
    metadata: dict[str, str] = Field(default_factory=dict)
    """Only those with all of these pairs."""


class GetCompletion(Message):
    """One completion."""

    id: str


class UpdateCompletion(Message):
    """Replace its metadata."""

    id: str
    metadata: dict[str, str]


class DeleteCompletion(Message):
    """Forget it."""

    id: str


class ListCompletionMessages(Message):
    """The messages of its request."""

    id: str
    after: str = ""
    limit: int = Field(20, ge=1, le=100)
    order: Order = "asc"


class CompletionRow(BaseModel):
    """One object, or, when it is too large for a reply, what fetches it."""

    id: str
    head: dict[str, Any]
    """Fields that are kept beside the object's bytes: they come first in it."""
    ref: str
    """For :class:`ReadCompletionPiece`."""
    size: int
    """Bytes of its JSON."""
    object: dict[str, Any] | None = None


class CompletionPage(BaseModel):
    """Some rows. There may be fewer than were asked for although there are more: a reply has its bound."""

    rows: list[CompletionRow]
    has_more: bool = False


class ReadCompletionPiece(Message):
    """Bytes of a large object's JSON."""

    ref: str
    offset: int = Field(ge=0)


class CompletionPiece(BaseModel):
    """At most PIECE_BYTES."""

    data: str
    """base64."""


class CompletionDeleted(BaseModel):
    """What was forgotten."""

    id: str
