"""A stream of chat completion chunks becomes the chat completion that it tells.

Source: OpenAI's API reference, chat completion chunk object; other providers' additions to a delta (reasoning,
annotations, audio) are put together by the same rules: text is appended, objects are merged, entries of a list with an
`index` are merged by it, other lists are extended, everything else is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import orjson

_ONCE: Final = frozenset({"id", "type", "role", "object", "format", "index"})
"""Texts that are whole when they come; a provider may send them again with every chunk."""
_HEAD: Final = ("id", "created", "model")
_LATEST: Final = ("system_fingerprint", "service_tier", "usage")


class NotAnAnswer(ValueError):
    """These bytes are no whole answer."""


def events(data: bytes) -> Iterator[bytes]:
    """The data of each server-sent event (WHATWG HTML, 9.2.6), comments and other fields left out."""
    lines: list[bytes] = []
    for line in data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n"):
        if not line:
            if lines:
                yield b"\n".join(lines)
                lines = []
        elif line.startswith(b"data:"):
            lines.append(line[5:].removeprefix(b" "))
    if lines:
        yield b"\n".join(lines)


def assemble(data: bytes) -> dict[str, Any]:
    """The object of a whole stream. Raises NotAnAnswer."""
    made: dict[str, Any] = {"id": "", "object": "chat.completion", "created": 0, "model": ""}
    choices: dict[int, dict[str, Any]] = {}
    seen = False
    for chunk in _chunks(data):
        seen = True
        _take_head(made, chunk)
        for choice in _objects(chunk.get("choices")):
            _take_choice(choices, choice)
    if not seen:
        raise NotAnAnswer("there is no chunk in it")
    made["choices"] = [choices[index] for index in sorted(choices)]
    for choice in made["choices"]:
        for call in _objects(choice["message"].get("tool_calls")):
            call.pop("index", None)  # it orders pieces, and is no part of the whole
    return made


def _chunks(data: bytes) -> Iterator[dict[str, Any]]:
    for event in events(data):
        if event == b"[DONE]":
            return
        try:
            chunk = orjson.loads(event)
        except orjson.JSONDecodeError:
            continue  # the client got it as well, and could do as little with it
        if isinstance(chunk, dict):
            if chunk.get("error"):
                raise NotAnAnswer("the stream ended with an error")
            yield chunk


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _take_head(made: dict[str, Any], chunk: dict[str, Any]) -> None:
    for name in _HEAD:
        if not made[name] and chunk.get(name):
            made[name] = chunk[name]
    for name in _LATEST:
        if chunk.get(name) is not None:
            made[name] = chunk[name]


def _take_choice(choices: dict[int, dict[str, Any]], choice: dict[str, Any]) -> None:
    index = choice.get("index")
    if not isinstance(index, int):
        index = 0
    made = choices.get(index)
    if made is None:
        empty = {"role": "assistant", "content": None, "refusal": None}
        made = choices[index] = {"index": index, "message": empty, "logprobs": None, "finish_reason": None}
    for name, value in choice.items():
        if name == "delta":
            if isinstance(value, dict):
                _merge(made["message"], value)
        elif name == "finish_reason":
            made[name] = value or made[name]
        elif name not in ("index", "message"):
            _merge(made, {name: value})


def _merge(made: dict[str, Any], delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        before = made.get(name)
        if value is None:
            made.setdefault(name, None)
        elif before is None:
            made[name] = _first(value)
        elif isinstance(before, str) and isinstance(value, str):
            made[name] = _text(name, before, value)
        elif isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value)
        elif isinstance(before, list) and isinstance(value, list):
            _extend(before, value)
        else:
            made[name] = value


def _text(name: str, before: str, value: str) -> str:
    if name in _ONCE:
        return value or before
    if name == "name" and before == value:
        return before  # said once more, not gone on with
    return before + value


def _first(value: Any) -> Any:
    """What is merged into must be our own."""
    if isinstance(value, dict):
        return {name: _first(part) for name, part in value.items()}
    if isinstance(value, list):
        made: list[Any] = []
        _extend(made, value)
        return made
    return value


def _extend(made: list[Any], parts: list[Any]) -> None:
    for part in parts:
        known = _same(made, part)
        if known is None:
            made.append(_first(part))
        else:
            _merge(known, part)


def _same(made: list[Any], part: Any) -> dict[str, Any] | None:
    """The entry that `part` goes on with: the one of its `index`, or, where providers leave that out, of its `id`."""
    if not isinstance(part, dict):
        return None
    key = "index" if isinstance(part.get("index"), int) else "id" if part.get("function") and part.get("id") else ""
    if not key:
        return made[-1] if part.get("function") and made and isinstance(made[-1], dict) else None
    for entry in made:
        if isinstance(entry, dict) and entry.get(key) == part[key]:
            return entry
    return None
