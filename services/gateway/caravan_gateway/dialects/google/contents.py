"""Google's contents, which are made of parts, as messages."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.calls import Matching
from caravan_gateway.dialects.google.fields import record, records
from caravan_gateway.dialects.google.media import inline, linked

_SAID_ALONE: Final = ("result", "output")
"""Under which of its names a function's answer often stands alone: then it is passed on as it is."""


def messages_of(contents: Any, instruction: Any) -> list[dict[str, Any]]:
    """Raises InvalidRequest."""
    matching = Matching()
    made: list[dict[str, Any]] = []
    if instruction is not None and (text := text_of(instruction, "systemInstruction")):
        made.append({"role": "system", "content": text})
    listed = contents if isinstance(contents, list) else [] if contents is None else [contents]
    found = records([_spoken(each) for each in listed], "contents")
    if not found:
        raise InvalidRequest("'contents' is missing", param="contents", code="missing_required_parameter")
    for at, content in enumerate(found):
        where = f"contents[{at}]"
        parts = records(content.get("parts"), f"{where}.parts")
        role = field(content, "role", str, where) or "user"
        if role not in ("user", "model", "function", "tool"):
            raise InvalidRequest(f"'{where}.role' should be user or model", param=f"{where}.role")
        said = _said_by_model if role == "model" else _said_to_model
        made += said(parts, f"{where}.parts", matching)
    return made


def text_of(content: Any, where: str) -> str:
    """All the text of a content; raises InvalidRequest for parts that are none."""
    parts = records(record(_spoken(content), where).get("parts"), f"{where}.parts")
    texts = [field(part, "text", str, f"{where}.parts[{at}]") for at, part in enumerate(parts)]
    if None in texts:
        raise InvalidRequest(f"'{where}' should hold text alone", param=where)
    return "\n".join(texts)


def _spoken(content: Any) -> Any:
    """A content that is a text alone, as some clients send it."""
    return {"parts": [{"text": content}]} if isinstance(content, str) else content


def _said_by_model(parts: list[dict[str, Any]], where: str, matching: Matching) -> list[dict[str, Any]]:
    texts: list[str] = []
    calls: list[dict[str, Any]] = []
    for at, part in enumerate(parts):
        if "functionCall" in part:
            calls.append(_call(record(part["functionCall"], f"{where}[{at}].functionCall"), f"{where}[{at}]", matching))
        elif not part.get("thought"):
            texts.append(_text(part, f"{where}[{at}]"))
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts)}
    if calls:
        message["tool_calls"] = calls
    return [message] if texts or calls else []


def _said_to_model(parts: list[dict[str, Any]], where: str, matching: Matching) -> list[dict[str, Any]]:
    """Results first: OpenAI wants them right behind their calls."""
    results: list[dict[str, Any]] = []
    content: list[dict[str, Any]] = []
    for at, part in enumerate(parts):
        place = f"{where}[{at}]"
        if "functionResponse" in part:
            results.append(_result(record(part["functionResponse"], f"{place}.functionResponse"), place, matching))
        elif "inlineData" in part:
            content.append(inline(record(part["inlineData"], f"{place}.inlineData"), f"{place}.inlineData"))
        elif "fileData" in part:
            content.append(linked(record(part["fileData"], f"{place}.fileData"), f"{place}.fileData"))
        elif not part.get("thought"):
            content.append({"type": "text", "text": _text(part, place)})
    if all(part["type"] == "text" for part in content):
        text = "\n".join(part["text"] for part in content)
        return [*results, {"role": "user", "content": text}] if content or not results else results
    return [*results, {"role": "user", "content": content}]


def _text(part: dict[str, Any], where: str) -> str:
    text: str | None = field(part, "text", str, where)
    if text is None:
        raise InvalidRequest(
            f"'{where}' should hold text, inlineData, fileData, functionCall or functionResponse", param=where
        )
    return text


def _call(call: dict[str, Any], where: str, matching: Matching) -> dict[str, Any]:
    name = _name(call, f"{where}.functionCall")
    arguments = orjson.dumps(field(call, "args", dict, f"{where}.functionCall") or {}).decode()
    called = matching.call(name, field(call, "id", str, f"{where}.functionCall"))
    return {"id": called, "type": "function", "function": {"name": name, "arguments": arguments}}


def _result(result: dict[str, Any], where: str, matching: Matching) -> dict[str, Any]:
    name = _name(result, f"{where}.functionResponse")
    response = field(result, "response", dict, f"{where}.functionResponse") or {}
    alone = next((response[key] for key in _SAID_ALONE if list(response) == [key]), None)
    text = alone if isinstance(alone, str) else orjson.dumps(response).decode()
    called = matching.result(name, field(result, "id", str, f"{where}.functionResponse"))
    return {"role": "tool", "tool_call_id": called, "content": text}


def _name(data: dict[str, Any], where: str) -> str:
    name: str | None = field(data, "name", str, where)
    if not name:
        raise InvalidRequest(f"'{where}.name' is missing", param=f"{where}.name", code="missing_required_parameter")
    return name
