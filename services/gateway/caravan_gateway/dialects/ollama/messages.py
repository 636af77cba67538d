"""Ollama's messages in OpenAI's words."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects import pictures
from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.calls import Matching

_ROLES: Final = ("system", "user", "assistant", "tool")


def messages_of(given: list[Any]) -> list[dict[str, Any]]:
    """Raises InvalidRequest."""
    matching = Matching()
    return [_message(message, f"messages[{at}]", matching) for at, message in enumerate(given)]


def with_pictures(text: str, images: list[Any] | None, where: str) -> str | list[dict[str, Any]]:
    """The content of a message. Raises InvalidRequest."""
    if not images:
        return text
    if not all(isinstance(image, str) for image in images):
        raise InvalidRequest(f"'{where}' should be a list of pictures in base64", param=where)
    parts = [pictures.part(image) for image in images]
    return [{"type": "text", "text": text}, *parts] if text else parts


def _message(given: Any, where: str, matching: Matching) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidRequest(f"'{where}' should be an object", param=where)
    role = field(given, "role", str, where)
    if role not in _ROLES:
        raise InvalidRequest(f"'{where}.role' should be one of {', '.join(_ROLES)}", param=f"{where}.role")
    text = field(given, "content", str, where) or ""
    made: dict[str, Any] = {
        "role": role,
        "content": with_pictures(text, field(given, "images", list, where), f"{where}.images"),
    }
    if role == "tool":
        tool = field(given, "tool_name", str, where) or field(given, "name", str, where)
        made["tool_call_id"] = matching.result(tool, field(given, "tool_call_id", str, where))
    if calls := field(given, "tool_calls", list, where):
        made["tool_calls"] = [_call(call, f"{where}.tool_calls[{at}]", matching) for at, call in enumerate(calls)]
    return made


def _call(given: Any, where: str, matching: Matching) -> dict[str, Any]:
    function = given.get("function") if isinstance(given, dict) else None
    if not isinstance(function, dict) or not field(function, "name", str, f"{where}.function"):
        raise InvalidRequest(f"'{where}' should have a 'function' with a name", param=where)
    arguments = field(function, "arguments", (dict, str), f"{where}.function") or {}
    written = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    name = function["name"]
    called = matching.call(name, field(given, "id", str, where))
    return {"id": called, "type": "function", "function": {"name": name, "arguments": written}}
