"""Chunks of a chat completion, read leniently: what providers add or get wrong is known here alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, Literal

import orjson

Kind = Literal["text", "reasoning", "refusal"]
_REASONING: Final = ("reasoning_content", "reasoning", "thinking")
"""Fields in which providers stream reasoning; where two of them say the same, the first is taken."""


class Unreadable(ValueError):
    """This is no chunk."""


def read_chunk(data: bytes) -> dict[str, Any]:
    """The object of an event's data. Raises Unreadable."""
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        chunk = _lenient(data)  # half a character, which some providers cut in two
    if not isinstance(chunk, dict):
        raise Unreadable("an event of the provider's stream is no object")
    return chunk


def _lenient(data: bytes) -> Any:
    try:
        return _clean(json.loads(data.decode("utf-8", "replace"), strict=False))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"an event of the provider's stream is no JSON: {error}") from error


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, list):
        return [_clean(one) for one in value]
    if isinstance(value, dict):
        return {readable(name): _clean(one) for name, one in value.items()}
    return value


def first_choice(chunk: dict[str, Any]) -> dict[str, Any] | None:
    """The only one that was asked for."""
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return None
    for choice in choices:
        if isinstance(choice, dict) and not choice.get("index"):
            return choice
    return None


def texts(delta: dict[str, Any]) -> Iterator[tuple[Kind, str]]:
    """What a delta says, in the order in which it is meant."""
    for name in _REASONING:
        value = delta.get(name)
        if isinstance(value, str) and value:
            yield "reasoning", value
            break
    content = delta.get("content")
    if isinstance(content, str):
        if content:
            yield "text", content
    elif isinstance(content, list):
        yield from _blocks(content)
    refusal = delta.get("refusal")
    if isinstance(refusal, str) and refusal:
        yield "refusal", refusal


def _blocks(content: list[Any]) -> Iterator[tuple[Kind, str]]:
    """Content that comes as parts, thinking among them."""
    for part in content:
        if not isinstance(part, dict):
            continue
        text = part.get("text")
        if isinstance(text, str) and text:
            yield "text", text
        thinking = part.get("thinking")
        if isinstance(thinking, list):
            thinking = "".join(text for kind, text in _blocks(thinking) if kind == "text")
        if isinstance(thinking, str) and thinking:
            yield "reasoning", thinking


def citations(delta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The annotations of a delta, as the parts of a response have them."""
    given = delta.get("annotations")
    for one in given if isinstance(given, list) else ():
        cited = one.get("url_citation") if isinstance(one, dict) else None
        if isinstance(cited, dict) and isinstance(cited.get("url"), str):
            title = cited.get("title")
            yield {
                "type": "url_citation",
                "start_index": _whole(cited.get("start_index")),
                "end_index": _whole(cited.get("end_index")),
                "url": cited["url"],
                "title": title if isinstance(title, str) else "",
            }


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def error_of(chunk: dict[str, Any]) -> str | None:
    """The message of an error in the stream."""
    error = chunk.get("error")
    if not error:
        return None
    message = error.get("message") if isinstance(error, dict) else error
    return str(message or "the provider's stream ended with an error")


def readable(text: str) -> str:
    """`text` as JSON takes it: half of a pair of surrogates becomes the sign for what cannot be read."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
