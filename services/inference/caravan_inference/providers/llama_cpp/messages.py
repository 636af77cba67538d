"""The conversation as a chat template takes it: roles system, user and assistant, each with plain text.

Templates differ in what they know of tools, and most small models' know nothing: calls and results of tools are
written out as text here, in the form in which the model is asked to write calls. When it is not asked to, the calls
are left out, and their results stand there alone: a small model would only repeat the calls.
"""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.errors import InvalidRequest

Message = dict[str, str]
_TEXT_PARTS = {"text": "text", "refusal": "refusal", "input_text": "text", "output_text": "text"}


def render(messages: list[dict[str, Any]], default_system: str, addition: str = "") -> list[Message]:
    """`addition` tells of tools and is put after the system message; without it, calls are left out.

    Raises InvalidRequest with the place of what is wrong.
    """
    names: dict[str, str] = {}
    made: list[Message] = []
    for i, message in enumerate(messages):
        role, text = _read(message, f"messages[{i}]", names)
        if role == "assistant" and message.get("tool_calls") and not addition:
            text = _text(message.get("content") or "", f"messages[{i}]")
            if not text:
                continue
        if made and made[-1]["role"] == role:
            # some templates insist on turns; results of tools make two user messages out of one turn
            made[-1]["content"] += "\n\n" + text
        else:
            made.append({"role": role, "content": text})
    if not made:
        raise InvalidRequest("messages hold nothing to answer", param="messages")
    if made[0]["role"] != "system" and (default_system or addition):
        made.insert(0, {"role": "system", "content": default_system})
    if addition:
        made[0]["content"] = f"{made[0]['content']}\n\n{addition}".strip()
    return made


def _read(message: dict[str, Any], where: str, names: dict[str, str]) -> tuple[str, str]:
    """Role and text; `names` learns which call has which function."""
    role = message.get("role")
    if role in ("system", "developer"):
        return "system", _text(message.get("content"), where)
    if role == "user":
        return "user", _text(message.get("content"), where)
    if role == "assistant":
        return "assistant", _assistant(message, where, names)
    if role in ("tool", "function"):
        name = names.get(str(message.get("tool_call_id")), "") or message.get("name") or "the function"
        return "user", f"Result of {name}: {_text(message.get('content'), where)}"
    raise InvalidRequest(f"{where}.role should be system, developer, user, assistant or tool", param=f"{where}.role")


def _assistant(message: dict[str, Any], where: str, names: dict[str, str]) -> str:
    calls = message.get("tool_calls") or []
    content = message.get("content")
    parts = [] if content is None and calls else [_text(content, where)]
    for j, call in enumerate(calls):
        try:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            names[str(call.get("id"))] = name
            parts.append(f'{{"name": {orjson.dumps(name).decode()}, "arguments": {arguments or "{}"}}}')
        except (TypeError, KeyError, AttributeError) as error:
            place = f"{where}.tool_calls[{j}]"
            raise InvalidRequest(f"{place} should have function.name and function.arguments", param=place) from error
    return "\n".join(part for part in parts if part)


def _text(content: Any, where: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest(f"{where}.content should be text or a list of parts", param=f"{where}.content")
    return "\n".join(_part(part, f"{where}.content[{i}]") for i, part in enumerate(content))


def _part(part: Any, where: str) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind not in _TEXT_PARTS:
        raise InvalidRequest(f"{where}: this model takes text only, not a part of type {kind!r}", param=where)
    text = part.get(_TEXT_PARTS[kind])
    if not isinstance(text, str):
        raise InvalidRequest(f"{where}.{_TEXT_PARTS[kind]} should be text", param=where)
    return text
