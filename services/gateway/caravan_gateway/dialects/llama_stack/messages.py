"""Messages of a chat, and the calls in them."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.llama_stack import content

_ROLES: Final = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool", "ipython": "tool"}
"""`ipython` is what the first two generations call a tool."""

Object = dict[str, Any]


def messages(given: Any, where: str) -> list[Object]:
    """As OpenAI takes them. Raises InvalidRequest."""
    if not isinstance(given, list) or not given:
        raise InvalidRequest(
            f"'{where}' should be a list of at least one message", param=where, code="missing_required_parameter"
        )
    return [_message(message, f"{where}.{number}") for number, message in enumerate(given)]


def call(given: Object, typed: bool) -> tuple[Object, bool]:
    """A call of OpenAI's in Llama Stack's words, and whether its arguments are a JSON object; else they are the text
    that the model wrote. `typed`: with `arguments_json`."""
    function = given.get("function") or {}
    written = function.get("arguments") or "{}"
    arguments = _read(written)
    made: Object = {
        "call_id": given.get("id") or "",
        "tool_name": function.get("name") or "",
        "arguments": written if arguments is None else arguments,
    }
    if typed:
        made["arguments_json"] = written
    return made, arguments is not None


def _message(given: Any, where: str) -> Object:
    if not isinstance(given, dict):
        raise InvalidRequest(f"'{where}' should be an object", param=where, code="invalid_type")
    role = _ROLES.get(given.get("role") or "")
    if role is None:
        raise InvalidRequest(f"'{where}.role' should be one of {', '.join(_ROLES)}", param=f"{where}.role")
    place = f"{where}.content"
    if role == "user":
        return {"role": role, "content": _with_context(given, where)}
    if role == "tool":
        made: Object = {"role": role, "content": content.text(given.get("content"), place)}
        made["tool_call_id"] = field(given, "call_id", str, where) or ""
        return made
    calls = field(given, "tool_calls", list, where) or [] if role == "assistant" else []
    if not calls:
        return {"role": role, "content": content.text(given.get("content"), place)}
    said = content.text(given.get("content") or "", place)
    called = [_called(each, f"{where}.tool_calls.{number}") for number, each in enumerate(calls)]
    return {"role": role, "content": said or None, "tool_calls": called}


def _with_context(given: Object, where: str) -> str | list[Object]:
    """What a user says, and behind it what was found for it."""
    said = content.parts(given.get("content"), f"{where}.content")
    if given.get("context") is None:
        return said
    context = content.parts(given["context"], f"{where}.context")
    if isinstance(said, str) and isinstance(context, str):
        return f"{said}\n{context}"
    return [*_listed(said), *_listed(context)]


def _listed(said: str | list[Object]) -> list[Object]:
    return [{"type": "text", "text": said}] if isinstance(said, str) else said


def _called(given: Any, where: str) -> Object:
    if not isinstance(given, dict):
        raise InvalidRequest(f"'{where}' should be an object", param=where, code="invalid_type")
    arguments = given.get("arguments_json") or given.get("arguments") or {}
    written = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    function = {"name": field(given, "tool_name", str, where) or "", "arguments": written}
    return {"id": field(given, "call_id", str, where) or "", "type": "function", "function": function}


def _read(written: str) -> Object | None:
    try:
        made = orjson.loads(written)
    except orjson.JSONDecodeError:
        return None
    return made if isinstance(made, dict) else None
