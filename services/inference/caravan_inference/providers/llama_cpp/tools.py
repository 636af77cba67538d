"""Tools as a JSON schema.

The runtime writes tools into the prompt but does not hold the model to them, so a call is asked for as structured
output: one object ``{"name": ..., "arguments": {...}}`` whose schema has one alternative per tool.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson
from caravan_contracts.errors import InvalidRequest

MAX_TOOLS = 128


@dataclass(frozen=True, slots=True)
class Tool:
    """One function the model may call."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=lambda: {"type": "object", "properties": {}})


def read(given: list[dict[str, Any]] | None) -> list[Tool]:
    """The request's `tools`. Raises InvalidRequest with the place."""
    if given and len(given) > MAX_TOOLS:
        raise InvalidRequest(f"more than {MAX_TOOLS} tools", param="tools")
    return [_read(tool, f"tools[{i}]") for i, tool in enumerate(given or [])]


def _read(tool: dict[str, Any], where: str) -> Tool:
    function = tool.get("function")
    if tool.get("type", "function") != "function" or not isinstance(function, dict):
        raise InvalidRequest(f"{where} should be of type function", param=where)
    name = function.get("name")
    if not isinstance(name, str) or not name:
        raise InvalidRequest(f"{where}.function.name is missing", param=f"{where}.function.name")
    parameters = function.get("parameters") or {"type": "object", "properties": {}}
    if not isinstance(parameters, dict):
        place = f"{where}.function.parameters"
        raise InvalidRequest(f"{place} should be a JSON schema", param=place)
    return Tool(name, str(function.get("description") or ""), parameters)


def schema(tools: list[Tool]) -> dict[str, Any]:
    """Exactly one call of one of `tools`."""
    definitions: dict[str, Any] = {}
    calls = []
    for i, tool in enumerate(tools):
        definitions[f"tool{i}"] = _moved(tool.parameters, f"#/$defs/tool{i}")
        calls.append(
            {
                "type": "object",
                "properties": {"name": {"const": tool.name}, "arguments": {"$ref": f"#/$defs/tool{i}"}},
                "required": ["name", "arguments"],
                "additionalProperties": False,
            }
        )
    return {"$defs": definitions, **(calls[0] if len(calls) == 1 else {"anyOf": calls})}


def _moved(schema: Any, root: str) -> Any:
    """`schema` with its own references pointing to where it stands now."""
    if isinstance(schema, list):
        return [_moved(part, root) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _moved(value, root) for key, value in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        made["$ref"] = root + reference[1:]
    return made


def instructions(tools: list[Tool], *, must: bool) -> str:
    """What the model is told of its tools."""
    listed = "\n".join(
        orjson.dumps({"name": t.name, "description": t.description, "parameters": t.parameters}).decode() for t in tools
    )
    rule = (
        'Reply with one JSON object that calls one of them: {"name": <function>, "arguments": {...}}.'
        if must
        else 'If one of them is needed, reply with only a JSON object that calls it: {"name": <function>, '
        '"arguments": {...}}. If none is needed, reply to the user in plain text.'
    )
    return f"You can call these functions:\n{listed}\n{rule}"
