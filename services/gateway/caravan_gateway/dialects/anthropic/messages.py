"""The messages of a request become those of a chat completion."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.anthropic import parts
from caravan_gateway.dialects.base import field, missing

Message = dict[str, Any]
_THOUGHTS: Final = ("thinking", "redacted_thinking")
"""Blocks that the model is not told again: chat completions have no field for them that every provider takes."""
_ATTACHED: Final = "What the tool returned is attached to the next message."


def chat_messages(data: dict[str, Any]) -> list[Message]:
    """The system's and all others. Raises InvalidRequest naming the block."""
    given = field(data, "messages", list)
    if not given:
        raise missing("messages")
    made: list[Message] = []
    if system := field(data, "system", (str, list)):
        made.append({"role": "system", "content": _texts(system, "system")})
    for at, message in enumerate(given):
        where = f"messages.{at}"
        if not isinstance(message, dict):
            raise InvalidRequest(f"'{where}' should be an object", param=where, code="invalid_type")
        content = field(message, "content", (str, list), where)
        if content is None:
            raise missing(f"{where}.content")
        for one in _read(field(message, "role", str, where), content, where):
            _add(made, one)
    return made


def _add(made: list[Message], message: Message) -> None:
    """Of what one side says in several messages, Anthropic makes one; many models take nothing else, and a system's
    message at the beginning alone."""
    if message["role"] == "system" and any(one["role"] != "system" for one in made):
        message = {**message, "role": "user"}
    if made and message["role"] in ("system", "user") and made[-1]["role"] == message["role"]:
        both = [parts.listed(one["content"]) for one in (made.pop(), message)]
        message = {**message, "content": parts.flat(both[0] + both[1])}
    made.append(message)


def _read(role: str | None, content: str | list[Any], where: str) -> list[Message]:
    if role == "user":
        return _user(content, f"{where}.content")
    if role == "assistant":
        return [_assistant(content, f"{where}.content")]
    if role == "system":
        return [{"role": "system", "content": _texts(content, f"{where}.content")}]
    param = f"{where}.role"
    raise InvalidRequest(f"'{param}' should be user, assistant or system", param=param, code="invalid_value")


def _texts(content: str | list[Any], where: str) -> str:
    return content if isinstance(content, str) else "\n".join(parts.texts(parts.blocks(content, where), where))


def _user(content: str | list[Any], where: str) -> list[Message]:
    """The results of tools are messages of their own; what stands beside them comes behind."""
    if isinstance(content, str):
        return [{"role": "user", "content": content}]
    made: list[Message] = []
    said: list[parts.Part] = []
    for at, block in enumerate(parts.blocks(content, where)):
        if block["type"] == "tool_result":
            message, more = _result(block, f"{where}.{at}")
            made.append(message)
            said += more
        else:
            said.append(parts.part(block, f"{where}.{at}"))
    if said or not made:
        made.append({"role": "user", "content": parts.flat(said)})
    return made


def _result(block: dict[str, Any], where: str) -> tuple[Message, list[parts.Part]]:
    """The message, and what no message of a tool can hold."""
    call = field(block, "tool_use_id", str, where)
    if not call:
        raise missing(f"{where}.tool_use_id")
    content = field(block, "content", (str, list), where) or ""
    more: list[parts.Part] = []
    if isinstance(content, str):
        text = content
    else:
        inside = f"{where}.content"
        read = [parts.part(one, f"{inside}.{at}") for at, one in enumerate(parts.blocks(content, inside))]
        text = "\n".join(one["text"] for one in read if one["type"] == "text")
        more = [one for one in read if one["type"] != "text"]
    if more and not text:
        text = _ATTACHED
    if field(block, "is_error", bool, where):
        text = f"Error: {text}" if text else "Error: the tool failed"
    return {"role": "tool", "tool_call_id": call, "content": text}, more


def _assistant(content: str | list[Any], where: str) -> Message:
    if isinstance(content, str):
        return {"role": "assistant", "content": content}
    said: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for at, block in enumerate(parts.blocks(content, where)):
        if block["type"] == "tool_use":
            calls.append(_call(block, f"{where}.{at}"))
        elif block["type"] not in _THOUGHTS:
            said.append(block)
    text = "\n".join(parts.texts(said, where))
    made: Message = {"role": "assistant", "content": None if calls and not text else text}
    if calls:
        made["tool_calls"] = calls
    return made


def _call(block: dict[str, Any], where: str) -> dict[str, Any]:
    call, name = field(block, "id", str, where), field(block, "name", str, where)
    if not call or not name:
        raise missing(f"{where}.{'name' if call else 'id'}")
    given = field(block, "input", dict, where) or {}
    return {"id": call, "type": "function", "function": {"name": name, "arguments": orjson.dumps(given).decode()}}
