"""Small changes to a JSON body without parsing and writing it again."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_USAGE_OPTION = b'"stream_options":{"include_usage":true},'


def rename_model(body: bytes, shown: str, wanted: str) -> bytes:
    """`body` with its top-level `model` changed from `shown` to `wanted`.

    A raw ``"model"`` can only be a key (inside a string its quotes are escaped), so a single one is the right one;
    when there are more, the body is parsed.
    """
    if shown == wanted:
        return body
    found = list(_first_two(body))
    if len(found) == 1 and _decoded(found[0].group(1)) == shown:
        start, stop = found[0].span(1)
        return b"".join((body[:start], json.dumps(wanted).encode(), body[stop:]))
    data = orjson.loads(body)
    data["model"] = wanted
    return orjson.dumps(data)


def ask_for_usage(body: bytes) -> bytes:
    """`body` with ``stream_options.include_usage`` switched on."""
    if b'"stream_options"' not in body:
        start = body.index(b"{") + 1
        return b"".join((body[:start], _USAGE_OPTION, body[start:]))
    data = orjson.loads(body)
    data["stream_options"] = {**(data.get("stream_options") or {}), "include_usage": True}
    return orjson.dumps(data)


def last_object(body: bytes, key: bytes) -> dict[str, Any] | None:
    """The object that follows the last ``"key":`` of `body`; None when there is none.

    Finds `usage` at the end of a long answer without parsing the rest.
    """
    at = body.rfind(b'"' + key + b'"')
    start = body.find(b"{", at) if at >= 0 else -1
    if start < 0 or body[at + len(key) + 2 : start].strip() != b":":
        return None
    depth = 0
    for i in range(start, len(body)):
        if body[i] == 0x7B:
            depth += 1
        elif body[i] == 0x7D:
            depth -= 1
            if depth == 0:
                try:
                    made = orjson.loads(body[start : i + 1])
                except orjson.JSONDecodeError:
                    return None
                return made if isinstance(made, dict) else None
    return None


def first_string(body: bytes, key: bytes) -> tuple[bytes, str] | None:
    """The first ``"key": "value"`` of `body`: its raw bytes and the decoded value."""
    match = re.search(rb'"' + key + rb'"\s*:\s*("(?:[^"\\]|\\.)*")', body)
    if match is None:
        return None
    value = _decoded(match.group(1))
    return (match.group(0), value) if value is not None else None


def _first_two(body: bytes) -> list[re.Match[bytes]]:
    found = []
    for match in _MODEL.finditer(body):
        found.append(match)
        if len(found) == 2:
            break
    return found


def _decoded(raw: bytes) -> str | None:
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, str) else None
