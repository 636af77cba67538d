"""A stream of OpenAI's, and every way in which it can be cut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from caravan_gateway.dialects.base import Writer
from hypothesis import strategies as st


def chunk(delta: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up/plain"}
    return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def usage(read: int, written: int, **more: Any) -> dict[str, Any]:
    told = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written, **more}
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "up/plain",
        "choices": [],
        "usage": told,
    }


def raw(chunks: Iterable[dict[str, Any]]) -> bytes:
    """As our workers write it, with a comment and the end mark."""
    events = [b"data: " + json.dumps(each, ensure_ascii=False).encode() for each in chunks]
    return b"\n\n".join([b": ping", *events, b"data: [DONE]", b""])


def written(writer: Writer, pieces: Iterable[bytes]) -> bytes:
    return b"".join(writer.feed(piece) for piece in pieces) + writer.end()


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """`data` in pieces."""
    places = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return places.map(lambda at: [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)])
