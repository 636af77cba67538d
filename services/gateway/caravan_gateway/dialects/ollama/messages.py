"""Ollama's messages in OpenAI's words."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects import pictures
from caravan_gateway.dialects.base import field

_ROLES: Final = ("system", "user", "assistant", "tool")


def messages_of(given: list[Any]) -> list[dict[str, Any]]:
    """Raises InvalidRequest."""
    pending: list[tuple[str, str]] = []
    return [_message(message, f"messages[{at}]", pending) for at, message in enumerate(given)]


def with_pictures(text: str, images: list[Any] | None, where: str) -> str | list[dict[str, Any]]:
    """The content of a message. Raises InvalidRequest."""
    if not images:
        return text
    if not all(isinstance(image, str) for image in images):
        raise InvalidRequest(f"'{where}' should be a list of pictures in base64", param=where)
    parts = [pictures.part(image) for image in images]
    return [{"type": "text", "text": text}, *parts] if text else parts


def _message(given: Any, where: str, pending: list[tuple[str, str]]) -> dict[str, Any]:
    """`pending`: (id, tool) of calls that have no result yet. Ollama's messages tell calls apart by their tool, or by
    their order."""
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
        made["tool_call_id"] = _answered(given, where, pending)
    if calls := field(given, "tool_calls", list, where):
        made["tool_calls"] = [_call(call, f"{where}.tool_calls[{at}]", pending) for at, call in enumerate(calls)]
    return made


def _call(given: Any, where: str, pending: list[tuple[str, str]]) -> dict[str, Any]:
    function = given.get("function") if isinstance(given, dict) else None
    if not isinstance(function, dict) or not field(function, "name", str, f"{where}.function"):
        raise InvalidRequest(f"'{where}' should have a 'function' with a name", param=where)
    arguments = field(function, "arguments", (dict, str), f"{where}.function") or {}
    written = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    name = function["name"]
    called = field(given, "id", str, where) or f"call_{where.removeprefix('messages')}".translate(_PLAIN)
    pending.append((called, name))
    return {"id": called, "type": "function", "function": {"name": name, "arguments": written}}


_PLAIN: Final = str.maketrans({"[": "", "]": "_", ".": ""})


def _answered(given: dict[str, Any], where: str, pending: list[tuple[str, str]]) -> str:
    """The id of the call whose result this is."""
    said = field(given, "tool_call_id", str, where)
    tool = field(given, "tool_name", str, where) or field(given, "name", str, where)
    fitting = [call for call in pending if said == call[0] or (not said and tool in (None, call[1]))]
    if fitting or pending:
        found = (fitting or pending)[0]
        pending.remove(found)
        return said or found[0]
    return said or "call_unknown"
