"""Small changes to a JSON body without parsing and writing it again."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import orjson

_STRINGS = {
    key: re.compile(rb'"' + key + rb'"\s*:\s*("(?:[^"\\]|\\.)*")') for key in (b"model", b"id", b"finish_reason")
}
_MODEL = _STRINGS[b"model"]
_TOKENS = re.compile(rb'[{}\[\]]|"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
"""Brackets and strings of a JSON text."""
_USAGE_OPTION = b'"stream_options":{"include_usage":true},'


def rename_model(body: bytes, shown: str, wanted: str) -> bytes:
    """`body` with its top-level `model` changed from `shown` to `wanted`.

    A raw ``"model"`` can only be a key (inside a string its quotes are escaped), so a single one is the right one;
    when there are more, the body is parsed.
    """
    if shown == wanted:
        return body
    if body.count(b'"model"') == 1:
        for old, new in _renamings(shown, wanted):
            if old in body:
                return body.replace(old, new)
    found = _first_two(body)
    if len(found) == 1 and _decoded(found[0].group(1)) == shown:
        return _put(body, found[0].span(1), wanted)
    data = orjson.loads(body)
    data["model"] = wanted
    return orjson.dumps(data)


@lru_cache(maxsize=1024)
def _renamings(shown: str, wanted: str) -> tuple[tuple[bytes, bytes], ...]:
    """How clients write it: (before, after)."""
    new = json.dumps(wanted).encode()
    old = json.dumps(shown).encode()
    return tuple((b'"model":' + space + old, b'"model":' + space + new) for space in (b" ", b""))


def rename_own_model(body: bytes, shown: str, wanted: str) -> bytes:
    """`body`, a JSON object whose `model` is `shown`, with that changed to `wanted` and every other byte as it was,
    whatever else in it is called a model."""
    if shown == wanted:
        return body
    models = _first_two(body)
    written_out = b"\\u006" not in body  # each letter of the key may be written as such an escape
    if written_out and len(models) == 1 and _decoded(models[0].group(1)) == shown:
        return _put(body, models[0].span(1), wanted)
    depth, key, at = 0, b"", 0
    own: tuple[int, int] | None = None
    for token in _TOKENS.finditer(body):
        found = token.group()
        if found in (b"{", b"["):
            depth += 1
        elif found in (b"}", b"]"):
            depth -= 1
        elif depth == 1 and body[at : token.start()].strip() == b":" and _decoded(key) == "model":
            own = token.span()  # of several the last holds, as for whoever read the body before
        else:
            key, at = found, token.end()
    return body if own is None else _put(body, own, wanted)


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
    depth, seen = 0, start
    while (stop := body.find(b"}", seen) + 1) > 0:
        depth += body.count(b"{", seen, stop) - 1
        seen = stop
        if depth == 0:
            return _loaded(body[start:stop])
    return None


def event_object(event: bytes) -> dict[str, Any] | None:
    """The JSON object of one event; None when it has none."""
    start = event.find(b"{")
    return _loaded(event[start:]) if start >= 0 else None


def _loaded(raw: bytes) -> dict[str, Any] | None:
    try:
        made = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None
    return made if isinstance(made, dict) else None


def first_string(body: bytes, key: bytes) -> tuple[bytes, str] | None:
    """The first ``"key": "value"`` of `body`, where `key` is model, id or finish_reason: its raw bytes and the decoded
    value."""
    match = _STRINGS[key].search(body)
    if match is None:
        return None
    value = _decoded(match.group(1))
    return (match.group(0), value) if value is not None else None


def _put(body: bytes, span: tuple[int, int], name: str) -> bytes:
    """`body` with `name` for what stands there."""
    return b"".join((body[: span[0]], json.dumps(name).encode(), body[span[1] :]))


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
