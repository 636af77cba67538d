"""Tools that a request offers, as OpenAI's functions."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.base import field

Object = dict[str, Any]
_TYPES: Final = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "none": "null",
}
"""Python's words, which Llama Stack understands beside those of JSON Schema."""
_NAMES: Final = frozenset(("string", "integer", "number", "boolean", "array", "object", "null"))
_OURS: Final = ("param_type", "required")
"""Of a parameter, what JSON Schema says otherwise."""
_BUILT_IN: Final = {"brave_search": "query", "wolfram_alpha": "query", "photogen": "query", "code_interpreter": "code"}
"""Tools that Llama models know without a description, and their one parameter."""


def functions(given: list[Any]) -> list[Object]:
    """As OpenAI takes them; functions in OpenAI's own words stay. Raises InvalidRequest."""
    return [_tool(tool, f"tools.{number}") for number, tool in enumerate(given)]


def choice(given: Any) -> Any:
    """`tool_choice`: a word, or the name of a tool."""
    if not isinstance(given, str) or given in ("auto", "required", "none"):
        return given
    return {"type": "function", "function": {"name": given}}


def _tool(given: Any, where: str) -> Object:
    if not isinstance(given, dict):
        raise InvalidRequest(f"'{where}' should be an object", param=where, code="invalid_type")
    if given.get("type") == "function":
        return given
    name = field(given, "tool_name", str, where)
    if not name:
        raise InvalidRequest(
            f"'{where}.tool_name' is missing", param=f"{where}.tool_name", code="missing_required_parameter"
        )
    parameters = field(given, "parameters", dict, where)
    if parameters is None and name in _BUILT_IN:
        parameters = {_BUILT_IN[name]: {"param_type": "string"}}
    function: Object = {"name": name}
    if description := field(given, "description", str, where):
        function["description"] = description
    function["parameters"] = _schema(parameters or {}, f"{where}.parameters")
    return {"type": "function", "function": function}


def _schema(parameters: Object, where: str) -> Object:
    properties: Object = {}
    required: list[str] = []
    for name, given in parameters.items():
        if not isinstance(given, dict):
            raise InvalidRequest(f"'{where}.{name}' should be an object", param=f"{where}.{name}", code="invalid_type")
        rest = {
            key: value for key, value in given.items() if key not in ("param_type", "required") and value is not None
        }
        properties[name] = {**_typed(given.get("param_type")), **rest}
        if given.get("required") is not False:  # true is Llama Stack's default
            required.append(name)
    return {"type": "object", "properties": properties, "required": required}


def _typed(written: Any) -> Object:
    """JSON Schema of a type such as "str" or "string | integer"; what is no type we know allows everything."""
    words = [word.strip().lower() for word in str(written or "").split("|")]
    names = [_TYPES.get(word, word) for word in words]
    if not all(name in _NAMES for name in names):
        return {}
    return {"type": names[0] if len(names) == 1 else names}
