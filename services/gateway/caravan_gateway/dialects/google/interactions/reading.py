"""A request for an interaction as one for a response."""

from __future__ import annotations

from typing import Any, Final

import orjson
from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.calls import Matching
from caravan_gateway.dialects.google.interactions.content import result_of, spoken

_NUMBER: Final = (int, float)
_CONFIG: Final = "generation_config"
_OPTIONS: Final[dict[str, tuple[str, type | tuple[type, ...]]]] = {
    "temperature": ("temperature", _NUMBER),
    "top_p": ("top_p", _NUMBER),
    "max_output_tokens": ("max_output_tokens", int),
    "stop_sequences": ("stop", list),
    "seed": ("seed", int),
}
_KEPT: Final = {"store": bool, "stream": bool, "background": bool}
_CHOICES: Final = {"auto": "auto", "validated": "auto", "any": "required", "none": "none"}
_STEPS: Final = ("user_input", "model_output", "function_call", "function_result", "thought")


def response_of(data: dict[str, Any]) -> dict[str, Any]:
    """OpenAI's body. Raises InvalidRequest."""
    model = field(data, "model", str)
    if not model:
        raise InvalidRequest("'model' is missing: name one of GET /v1/models", param="model", code="missing_model")
    made: dict[str, Any] = {"model": model.removeprefix("models/"), "input": _input(data)}
    for name, kind in _KEPT.items():
        if (value := field(data, name, kind)) is not None:
            made[name] = value
    if before := field(data, "previous_interaction_id", str):
        made["previous_response_id"] = before
    if instruction := field(data, "system_instruction", str):
        made["instructions"] = instruction
    if tools := field(data, "tools", list):
        made["tools"] = [_tool(tool, f"tools[{at}]") for at, tool in enumerate(tools)]
    return {**made, **_options(field(data, _CONFIG, dict) or {}), **_format(data)}


def _input(data: dict[str, Any]) -> str | list[dict[str, Any]]:
    given = field(data, "input", (str, dict, list))
    if given is None:
        raise InvalidRequest("'input' is missing", param="input", code="missing_required_parameter")
    if isinstance(given, str):
        return given
    listed = given if isinstance(given, list) else [given]
    if not all(isinstance(each, dict) for each in listed):
        raise InvalidRequest("'input' should be a text, contents or steps", param="input", code="invalid_type")
    if not any(each.get("type") in _STEPS or "role" in each for each in listed):
        return [_message("user", listed, "input")]
    matching = Matching()
    return [item for at, step in enumerate(listed) for item in _items(step, f"input[{at}]", matching)]


def _items(step: dict[str, Any], where: str, matching: Matching) -> list[dict[str, Any]]:
    """Of a step, or of a turn as earlier clients write it."""
    kind = step.get("type")
    if "role" in step:
        return _turn(step, where, matching)
    if kind == "thought":
        return []
    if kind == "function_call":
        arguments = orjson.dumps(field(step, "arguments", dict, where) or {}).decode()
        name = field(step, "name", str, where) or ""
        called = matching.call(name, field(step, "id", str, where))
        return [{"type": "function_call", "call_id": called, "name": name, "arguments": arguments}]
    if kind == "function_result":
        name = field(step, "name", str, where)
        called = matching.result(name, field(step, "call_id", str, where))
        return [{"type": "function_call_output", "call_id": called, "output": result_of(step.get("result"), where)}]
    if kind in ("user_input", "model_output"):
        role = "user" if kind == "user_input" else "assistant"
        return [_message(role, field(step, "content", list, where) or [], f"{where}.content")]
    raise InvalidRequest(f"'{where}.type' should be one of {', '.join(_STEPS)}", param=f"{where}.type")


def _turn(turn: dict[str, Any], where: str, matching: Matching) -> list[dict[str, Any]]:
    role = field(turn, "role", str, where)
    if role not in ("user", "model"):
        raise InvalidRequest(f"'{where}.role' should be user or model", param=f"{where}.role")
    ours = "user" if role == "user" else "assistant"
    content = field(turn, "content", (str, list), where) or []
    if isinstance(content, str):
        return [{"type": "message", "role": ours, "content": content}]
    made: list[dict[str, Any]] = []
    for at, part in enumerate(content):
        stands = isinstance(part, dict) and part.get("type") in _STEPS
        place = f"{where}.content[{at}]"
        made += _items(part, place, matching) if stands else [_message(ours, [part], place)]
    return made


def _message(role: str, content: list[Any], where: str) -> dict[str, Any]:
    parts = [spoken(part, role == "assistant", f"{where}[{at}]") for at, part in enumerate(content)]
    return {"type": "message", "role": role, "content": parts}


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise InvalidRequest(
            f"'{where}' is a tool that Google runs: here there are functions, and the tools of /v1/responses",
            param=where,
        )
    name = field(tool, "name", str, where)
    if not name:
        raise InvalidRequest(f"'{where}.name' is missing", param=f"{where}.name", code="missing_required_parameter")
    made = {"type": "function", "name": name, "strict": False}
    if description := field(tool, "description", str, where):
        made["description"] = description
    return {**made, "parameters": field(tool, "parameters", dict, where) or {"type": "object", "properties": {}}}


def _options(config: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for name, (called, kind) in _OPTIONS.items():
        if (value := field(config, name, kind, _CONFIG)) is not None:
            made[called] = value
    reasoning: dict[str, Any] = {}
    if level := field(config, "thinking_level", str, _CONFIG):
        reasoning["effort"] = level.lower()
    if field(config, "thinking_summaries", str, _CONFIG) == "auto":
        reasoning["summary"] = "auto"
    if reasoning:
        made["reasoning"] = reasoning
    if (choice := field(config, "tool_choice", (str, dict), _CONFIG)) is not None:
        made["tool_choice"] = _choice(choice)
    return made


def _choice(choice: str | dict[str, Any]) -> str | dict[str, Any]:
    where = f"{_CONFIG}.tool_choice"
    allowed: dict[str, Any] = {}
    if isinstance(choice, dict):
        allowed = field(choice, "allowed_tools", dict, where) or {}
    mode = choice if isinstance(choice, str) else field(allowed, "mode", str, where) or "auto"
    if mode.lower() not in _CHOICES:
        raise InvalidRequest(f"'{where}' should be one of {', '.join(_CHOICES)}", param=where)
    ours = _CHOICES[mode.lower()]
    names = field(allowed, "tools", list, where)
    if not names or ours == "none":
        return ours
    return {"type": "allowed_tools", "mode": ours, "tools": [{"type": "function", "name": name} for name in names]}


def _format(data: dict[str, Any]) -> dict[str, Any]:
    """A form of text, one in a list, or the bare schema that earlier clients send."""
    given = field(data, "response_format", (dict, list))
    form = given[0] if isinstance(given, list) and len(given) == 1 else given
    if not form:
        return {}
    if not isinstance(form, dict) or form.get("type") in ("image", "audio", "video"):
        raise InvalidRequest("'response_format' should be of type text", param="response_format")
    schema = field(form, "schema", dict, "response_format") if form.get("type") == "text" else form
    if schema is not None:
        return {"text": {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": False}}}
    return {"text": {"format": {"type": "json_object"}}} if form.get("mime_type") == "application/json" else {}
