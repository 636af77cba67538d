"""What chunks that look alike have in common, so that one that brings only text need not be parsed.

A provider's chunks differ in one string. When a chunk was parsed and brought nothing but a text, the bytes around that
text are kept; the next chunk with the same bytes around one string means the same with another text: what stands
between is proven to be one JSON string by reading it, and nothing else of the chunk is looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import orjson

Sink = Callable[[bytes, str], None]
"""Takes a text as JSON and as it is."""
_STRING: Final = re.compile(rb'"(?:[^"\\]|\\.)*"')
_QUOTE: Final = ord('"')
_FIELDS: Final = ("content", "reasoning_content", "reasoning")


class Outline:
    """The bytes before and behind the text of a chunk, and who takes the text."""

    __slots__ = ("_begin", "_head", "_least", "_sink", "_stop", "_tail")

    def __init__(self, head: bytes, tail: bytes, sink: Sink) -> None:
        self._head, self._tail, self._sink = head, tail, sink
        self._begin, self._stop = len(head), -len(tail)
        self._least = len(head) + len(tail) + 2

    def take(self, event: bytes) -> bool:
        """Whether `event` is of this outline; its text is handed on then."""
        if len(event) < self._least or not event.startswith(self._head) or not event.endswith(self._tail):
            return False
        encoded = event[self._begin : self._stop]
        if encoded[0] != _QUOTE or encoded[-1] != _QUOTE:
            return False
        try:
            text = orjson.loads(encoded)
        except orjson.JSONDecodeError:
            return False
        if text:
            self._sink(encoded, text)
        return True


def field_of(chunk: dict[str, Any], choice: dict[str, Any]) -> tuple[str, str] | None:
    """The field that is all that this chunk brings, and its text; None when it brings more, or something else.

    For the arguments of a call it is ``("arguments", …)``.
    """
    if choice.get("finish_reason") or choice.get("logprobs") or chunk.get("usage") or len(chunk["choices"]) != 1:
        return None
    delta = choice["delta"]
    found = [(name, value) for name, value in delta.items() if value and name != "role"]
    if len(found) != 1:
        return None
    name, value = found[0]
    if name in _FIELDS and isinstance(value, str):
        return name, value
    if name != "tool_calls" or not isinstance(value, list) or len(value) != 1 or not isinstance(value[0], dict):
        return None
    function = value[0].get("function")
    if not isinstance(function, dict) or function.get("name") or not isinstance(function.get("arguments"), str):
        return None
    return ("arguments", function["arguments"]) if function["arguments"] else None


def outline_of(event: bytes, field: str, text: str, sink: Sink) -> Outline | None:
    """The outline of an event whose only text is `text`; None when it is not certain where that stands."""
    key = b'"%b":' % field.encode()
    if event.count(key) != 1 or not event.startswith(b"data: ") or b"\n" in event:
        return None
    begin = event.index(key) + len(key)
    if event[begin : begin + 1] == b" ":
        begin += 1
    found = _STRING.match(event, begin)
    if found is None or not _says(found.group(), text):
        return None
    return Outline(event[:begin], event[found.end() :], sink)


def _says(encoded: bytes, text: str) -> bool:
    try:
        return bool(orjson.loads(encoded) == text)
    except orjson.JSONDecodeError:
        return False  # it was read leniently
