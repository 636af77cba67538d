"""Blocks of a message become parts of a chat completion's content."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field, missing

Block = dict[str, Any]
Part = dict[str, Any]


def blocks(content: list[Any], where: str) -> list[Block]:
    """`content`, of which each has a type. Raises InvalidRequest."""
    for at, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            param = f"{where}.{at}"
            raise InvalidRequest(f"'{param}' should be an object with a 'type'", param=param, code="invalid_type")
    return content


def texts(given: Sequence[Block], where: str) -> list[str]:
    """The texts of blocks that may be nothing else. Raises InvalidRequest."""
    return [_text(block, f"{where}.{at}") for at, block in enumerate(given)]


def flat(given: Sequence[Part]) -> str | list[Part]:
    """A message's content: nothing but text is a string, which every provider takes."""
    if all(part["type"] == "text" for part in given):
        return "\n".join(part["text"] for part in given)
    return list(given)


def listed(content: str | list[Part]) -> list[Part]:
    """The opposite of :func:`flat`."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def part(block: Block, where: str) -> Part:
    """The part that says the same. Raises InvalidRequest for a block that a chat completion cannot have."""
    kind = block["type"]
    if kind == "text":
        return {"type": "text", "text": _text(block, where)}
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": _image(_source(block, where), f"{where}.source")}}
    if kind == "document":
        return _document(block, where)
    if kind == "search_result":
        head = [f"{name}: {block[name]}" for name in ("title", "source") if isinstance(block.get(name), str)]
        content = field(block, "content", list, where) or []
        return {"type": "text", "text": "\n".join([*head, *texts(blocks(content, where), f"{where}.content")])}
    raise _unsupported(f"a block of type {kind!r}", f"{where}.type")


def _text(block: Block, where: str) -> str:
    text = field(block, "text", str, where)
    if block["type"] != "text" or text is None:
        raise InvalidRequest(f"'{where}' should be a text", param=where, code="invalid_type")
    return str(text)


def _source(block: Block, where: str) -> dict[str, Any]:
    source: dict[str, Any] | None = field(block, "source", dict, where)
    if source is None:
        raise missing(f"{where}.source")
    return source


def _image(source: dict[str, Any], where: str) -> str:
    if source.get("type") == "url":
        return str(_of(source, "url", where))
    if source.get("type") == "base64":
        return _data_url(source, where)
    raise _unsupported(f"an image from {source.get('type')!r}", f"{where}.type")


def _document(block: Block, where: str) -> Part:
    source, inside = _source(block, where), f"{where}.source"
    kind, title = source.get("type"), field(block, "title", str, where)
    if kind == "base64":
        file = {"filename": title or "document.pdf", "file_data": _data_url(source, inside)}
        return {"type": "file", "file": file}
    if kind == "text":
        text = _of(source, "data", inside)
    elif kind == "content":
        content = field(source, "content", (str, list), inside) or ""
        text = content if isinstance(content, str) else "\n".join(texts(blocks(content, inside), inside))
    else:
        raise _unsupported(f"a document from {kind!r}", f"{inside}.type")
    context = field(block, "context", str, where)
    return {"type": "text", "text": "\n".join(one for one in (title, context, text) if one)}


def _data_url(source: dict[str, Any], where: str) -> str:
    return f"data:{_of(source, 'media_type', where)};base64,{_of(source, 'data', where)}"


def _of(source: dict[str, Any], name: str, where: str) -> str:
    value = field(source, name, str, where)
    if not value:
        raise missing(f"{where}.{name}")
    return str(value)


def _unsupported(what: str, param: str) -> InvalidRequest:
    return InvalidRequest(f"{what} is not supported here ('{param}')", param=param, code="unsupported_parameter")
