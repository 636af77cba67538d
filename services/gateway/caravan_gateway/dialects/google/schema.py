"""Google's schemas, a dialect of OpenAPI's, as JSON schemas."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts.errors import InvalidRequest

from caravan_gateway.dialects.google.fields import record

MAX_DEPTH: Final = 64
_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties")
"""64-bit numbers, which JSON of protocol buffers may write as strings."""
_DROPPED: Final = ("nullable", "propertyOrdering", "example")
_INNER: Final = ("items", "additionalProperties", "not")


def json_schema(given: Any, where: str, depth: int = 0) -> dict[str, Any]:
    """Raises InvalidRequest."""
    if depth > MAX_DEPTH:
        raise InvalidRequest(f"'{where}' has more than {MAX_DEPTH} schemas within each other", param=where)
    schema = record(given, where)
    made = {name: value for name, value in schema.items() if name not in _DROPPED}
    for name in _COUNTS:
        if isinstance(made.get(name), str) and made[name].isdigit():
            made[name] = int(made[name])
    for name in _INNER:
        if isinstance(made.get(name), dict):
            made[name] = json_schema(made[name], f"{where}.{name}", depth + 1)
    if isinstance(made.get("anyOf"), list):
        made["anyOf"] = [json_schema(each, f"{where}.anyOf", depth + 1) for each in made["anyOf"]]
    if isinstance(made.get("properties"), dict):
        inner = made["properties"].items()
        made["properties"] = {name: json_schema(each, f"{where}.{name}", depth + 1) for name, each in inner}
    return _typed(made, schema.get("nullable") is True)


def _typed(made: dict[str, Any], nullable: bool) -> dict[str, Any]:
    kind = made.get("type")
    if not isinstance(kind, str):
        return {**made, "anyOf": [*made["anyOf"], {"type": "null"}]} if nullable and "anyOf" in made else made
    if kind == "TYPE_UNSPECIFIED":
        return {name: value for name, value in made.items() if name != "type"}
    return {**made, "type": [kind.lower(), "null"] if nullable else kind.lower()}
