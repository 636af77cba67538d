"""Whether what a server calls the schema of its tool's input is one. Nothing is evaluated: no pattern is run, no
reference followed."""

from __future__ import annotations

from typing import Any, Final

import orjson

MAX_SCHEMA: Final = 64 * 1024
"""Bytes, as JSON."""
_DEPTH: Final = 32
_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_SCHEMAS: Final = (
    "items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_LISTS: Final = ("anyOf", "allOf", "oneOf", "prefixItems")
_MAPS: Final = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")


def parameters(schema: Any) -> dict[str, Any] | None:
    """The schema as the parameters of a function; None when it cannot be used: it describes no object, is too large
    or too deep, or no schema at all."""
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return None
    try:
        if len(orjson.dumps(schema)) > MAX_SCHEMA:
            return None
    except (orjson.JSONEncodeError, RecursionError):
        return None
    return {"properties": {}, **schema, "type": "object"} if _sound(schema, 0) else None


def _sound(schema: Any, depth: int) -> bool:
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict) or depth > _DEPTH:
        return False
    below = [schema[name] for name in _SCHEMAS if name in schema]
    for name in _LISTS:
        if not isinstance(schema.get(name, []), list):
            return False
        below += schema.get(name, [])
    for name in _MAPS:
        if not isinstance(schema.get(name, {}), dict):
            return False
        below += schema.get(name, {}).values()
    if isinstance(schema.get("items"), list):  # a tuple, in older drafts
        below.remove(schema["items"])
        below += schema["items"]
    return _words(schema) and all(_sound(one, depth + 1) for one in below)


def _words(schema: dict[str, Any]) -> bool:
    kinds = schema.get("type", [])
    if not all(isinstance(kind, str) and kind in _TYPES for kind in (kinds if isinstance(kinds, list) else [kinds])):
        return False
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        return False
    return isinstance(schema.get("enum", []), list) and isinstance(schema.get("$ref", ""), str)
