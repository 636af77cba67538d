"""Tools, and how an answer is to be made, in OpenAI's words."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field
from caravan_gateway.dialects.google.fields import record, records
from caravan_gateway.dialects.google.schema import json_schema

_NUMBER: Final = (int, float)
_CONFIG: Final = "generationConfig"
_OPTIONS: Final[dict[str, tuple[str, type | tuple[type, ...]]]] = {
    "temperature": ("temperature", _NUMBER),
    "topP": ("top_p", _NUMBER),
    "maxOutputTokens": ("max_completion_tokens", int),
    "stopSequences": ("stop", list),
    "candidateCount": ("n", int),
    "seed": ("seed", int),
    "presencePenalty": ("presence_penalty", _NUMBER),
    "frequencyPenalty": ("frequency_penalty", _NUMBER),
}
"""Their names there, and what they are."""
_MODES: Final = {"": "auto", "MODE_UNSPECIFIED": "auto", "AUTO": "auto", "VALIDATED": "auto", "ANY": "required"}
_LEVELS: Final = ("minimal", "low", "medium", "high")
_BUDGETS: Final = ((1024, "low"), (8192, "medium"))
"""Tokens of thinking that are such an effort at most: Google's own reckoning for OpenAI's clients."""


def parameters(config: dict[str, Any]) -> dict[str, Any]:
    """Of ``generationConfig``. Raises InvalidRequest."""
    made: dict[str, Any] = {}
    for name, (called, kind) in _OPTIONS.items():
        if (value := field(config, name, kind, _CONFIG)) is not None:
            made[called] = value
    if (top := field(config, "topK", _NUMBER, _CONFIG)) is not None:
        made["top_k"] = int(top)  # no name of OpenAI's: servers on llama.cpp and vLLM take it
    if field(config, "responseLogprobs", bool, _CONFIG):
        made["logprobs"] = True
        if (count := field(config, "logprobs", int, _CONFIG)) is not None:
            made["top_logprobs"] = count
    modalities = field(config, "responseModalities", list, _CONFIG) or ["TEXT"]
    if [str(each).upper() for each in modalities] != ["TEXT"]:
        raise InvalidRequest("answers are TEXT alone", param=f"{_CONFIG}.responseModalities")
    if effort := _effort(thinking_of(config)):
        made["reasoning_effort"] = effort
    return {**made, **_format(config)}


def thinking_of(config: dict[str, Any]) -> dict[str, Any]:
    """``thinkingConfig``. Raises InvalidRequest."""
    return record(config.get("thinkingConfig") or {}, f"{_CONFIG}.thinkingConfig")


def _effort(thinking: dict[str, Any]) -> str:
    """Empty when it is the model's own choice."""
    where = f"{_CONFIG}.thinkingConfig"
    level = (field(thinking, "thinkingLevel", str, where) or "").lower()
    if level in _LEVELS:
        return level
    if level not in ("", "thinking_level_unspecified"):
        raise InvalidRequest(f"'{where}.thinkingLevel' should be one of {', '.join(_LEVELS)}", param=where)
    budget = field(thinking, "thinkingBudget", int, where) or 0
    if budget <= 0:
        return ""
    return next((effort for most, effort in _BUDGETS if budget <= most), "high")


def _format(config: dict[str, Any]) -> dict[str, Any]:
    kind = field(config, "responseMimeType", str, _CONFIG) or "text/plain"
    plain, own = config.get("responseJsonSchema"), config.get("responseSchema")
    if kind not in ("text/plain", "application/json"):
        where = f"{_CONFIG}.responseMimeType"
        raise InvalidRequest(f"'{where}' should be text/plain or application/json", param=where)
    if plain is None and own is None:
        return {"response_format": {"type": "json_object"}} if kind == "application/json" else {}
    schema = plain if plain is not None else json_schema(own, f"{_CONFIG}.responseSchema")
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}}


def tools_of(given: Any, config: Any) -> dict[str, Any]:
    """``tools`` and ``tool_choice``. Raises InvalidRequest."""
    tools = [
        _tool(declaration, f"tools[{at}].functionDeclarations[{place}]")
        for at, tool in enumerate(records(given, "tools"))
        for place, declaration in enumerate(_declarations(tool, f"tools[{at}]"))
    ]
    if not tools:
        return {}
    calling = record(record(config or {}, "toolConfig").get("functionCallingConfig") or {}, "toolConfig")
    return {"tools": tools, **_choice(calling, tools)}


def _declarations(tool: dict[str, Any], where: str) -> list[dict[str, Any]]:
    others = [name for name, value in tool.items() if name != "functionDeclarations" and value is not None]
    if others:
        raise InvalidRequest(
            f"'{where}.{others[0]}' is a tool that Google runs: here there are functionDeclarations, and the tools of "
            "/v1/responses",
            param=f"{where}.{others[0]}",
        )
    return records(tool.get("functionDeclarations"), f"{where}.functionDeclarations")


def _tool(declaration: dict[str, Any], where: str) -> dict[str, Any]:
    name = field(declaration, "name", str, where)
    if not name:
        raise InvalidRequest(f"'{where}.name' is missing", param=f"{where}.name", code="missing_required_parameter")
    function: dict[str, Any] = {"name": name}
    if description := field(declaration, "description", str, where):
        function["description"] = description
    plain, own = declaration.get("parametersJsonSchema"), declaration.get("parameters")
    if plain is not None or own is not None:
        function["parameters"] = plain if plain is not None else json_schema(own, f"{where}.parameters")
    return {"type": "function", "function": function}


def _choice(calling: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    where = "toolConfig.functionCallingConfig"
    mode = (field(calling, "mode", str, where) or "").upper()
    allowed = field(calling, "allowedFunctionNames", list, where)
    if mode == "NONE":
        return {"tool_choice": "none"}
    if mode not in _MODES:
        raise InvalidRequest(f"'{where}.mode' should be AUTO, ANY, NONE or VALIDATED", param=f"{where}.mode")
    if not allowed:
        return {"tool_choice": _MODES[mode]} if mode else {}
    fitting = [tool for tool in tools if tool["function"]["name"] in allowed]
    if not fitting:
        raise InvalidRequest(
            f"'{where}.allowedFunctionNames' names no declared function", param=f"{where}.allowedFunctionNames"
        )
    return {"tools": fitting, "tool_choice": _MODES[mode]}
