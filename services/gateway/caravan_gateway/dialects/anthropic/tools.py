"""The tools of a request become functions of a chat completion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field, missing

_STRING: Final = {"type": "string"}
_INTEGER: Final = {"type": "integer"}
_BASH: Final = {
    "description": "Run a command in a bash shell that keeps its state between calls.",
    "parameters": {
        "type": "object",
        "properties": {
            "command": {**_STRING, "description": "the command to run"},
            "restart": {"type": "boolean", "description": "start the shell anew instead"},
        },
    },
}
_EDITOR: Final = {
    "description": "View, create and edit text files.",
    "parameters": {
        "type": "object",
        "properties": {
            "command": {"type": "string", "enum": ["view", "create", "str_replace", "insert"]},
            "path": {**_STRING, "description": "of the file or folder"},
            "view_range": {
                "type": "array",
                "items": _INTEGER,
                "description": "view: first and last line, -1: the end",
            },
            "file_text": {**_STRING, "description": "create: the whole file"},
            "old_str": {**_STRING, "description": "str_replace: what stands there, once"},
            "new_str": {**_STRING, "description": "str_replace: what is to stand there"},
            "insert_line": {**_INTEGER, "description": "insert: the line behind which"},
            "insert_text": {**_STRING, "description": "insert: what"},
        },
        "required": ["command", "path"],
    },
}
_KNOWN: Final[Mapping[str, dict[str, Any]]] = {"bash_": _BASH, "text_editor_": _EDITOR}
"""Tools that Anthropic's models know without being told, and that the client runs, by the beginning of their type."""


def of_request(data: dict[str, Any]) -> dict[str, Any]:
    """``tools``, ``tool_choice`` and ``parallel_tool_calls``. Raises InvalidRequest."""
    offered = field(data, "tools", list) or []
    choice = field(data, "tool_choice", dict)
    if not offered:
        return {}
    made: dict[str, Any] = {"tools": [_tool(tool, f"tools.{at}") for at, tool in enumerate(offered)]}
    if choice is not None:
        made["tool_choice"] = _choice(choice)
        if field(choice, "disable_parallel_tool_use", bool, "tool_choice"):
            made["parallel_tool_calls"] = False
    return made


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict):
        raise InvalidRequest(f"'{where}' should be an object", param=where, code="invalid_type")
    kind = field(tool, "type", str, where) or "custom"
    name = field(tool, "name", str, where)
    if not name:
        raise missing(f"{where}.name")
    if kind != "custom":
        return {"type": "function", "function": {"name": name, **_known(kind, where)}}
    schema = field(tool, "input_schema", dict, where)
    if schema is None:
        raise missing(f"{where}.input_schema")
    function = {"name": name, "parameters": schema}
    if description := field(tool, "description", str, where):
        function["description"] = description
    if field(tool, "strict", bool, where):
        function["strict"] = True
    return {"type": "function", "function": function}


def _known(kind: str, where: str) -> dict[str, Any]:
    for begins, function in _KNOWN.items():
        if kind.startswith(begins):
            return function
    raise InvalidRequest(
        f"'{where}' is of type {kind!r}, which is not run here: name a tool of your own with an 'input_schema', or use "
        "POST /v1/responses, whose tools run on this server",
        param=f"{where}.type",
        code="unsupported_parameter",
    )


def _choice(choice: dict[str, Any]) -> str | dict[str, Any]:
    kind = choice.get("type")
    if kind == "tool":
        name = field(choice, "name", str, "tool_choice")
        if not name:
            raise missing("tool_choice.name")
        return {"type": "function", "function": {"name": name}}
    plain = {"auto": "auto", "any": "required", "none": "none"}.get(str(kind))
    if plain is None:
        param = "tool_choice.type"
        raise InvalidRequest(f"'{param}' should be auto, any, tool or none", param=param, code="invalid_value")
    return plain
