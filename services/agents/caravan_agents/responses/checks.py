"""Says what is wrong with a value, and where: every refusal is a 400 whose `param` is the path of the field."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from pydantic import TypeAdapter, ValidationError

MAX_NAME: Final = 128
"""Characters of the name of a tool or a schema."""


def wrong(param: str, should: str) -> InvalidRequest:
    """The error of a field that should be something else."""
    return InvalidRequest(f"'{param}' should be {should}", param=param, code="invalid_type")


def missing(param: str) -> InvalidRequest:
    """The error of a field that must be there."""
    return InvalidRequest(f"'{param}' is missing", param=param, code="missing_required_parameter")


def contradiction(param: str, message: str) -> InvalidRequest:
    """The error of a field that cannot be together with another."""
    return InvalidRequest(message, param=param, code="invalid_value")


def an_object(value: Any, param: str) -> dict[str, Any]:
    """`value`, which is an object. Raises InvalidRequest."""
    if not isinstance(value, dict):
        raise wrong(param, "an object")
    return value


def a_list(value: Any, param: str) -> list[Any]:
    """`value`, which is a list. Raises InvalidRequest."""
    if not isinstance(value, list):
        raise wrong(param, "a list")
    return value


def a_text(value: Any, param: str, most: int | None = None) -> str:
    """`value`, which is a string of at most `most` characters. Raises InvalidRequest."""
    if not isinstance(value, str):
        raise wrong(param, "a string")
    if most is not None and len(value) > most:
        raise wrong(param, f"a string of at most {most} characters, not {len(value)}")
    if most is not None and "\0" in value:
        raise wrong(param, "a string without the character U+0000")
    return value


def needed(value: dict[str, Any], name: str, param: str) -> Any:
    """The field `name` of the object at `param`. Raises InvalidRequest when it is not there."""
    found = value.get(name)
    if found is None:
        raise missing(f"{param}.{name}")
    return found


def a_name(value: Any, param: str) -> str:
    """What functions and schemas may be called. Raises InvalidRequest."""
    name = a_text(value, param)
    plain = name.replace("-", "").replace("_", "")
    if not 0 < len(name) <= MAX_NAME or not (plain.isascii() and (plain.isalnum() or not plain)):
        raise wrong(param, f"1 to {MAX_NAME} letters, digits, underscores and dashes")
    return name


def conform(kind: Any, value: Any, param: str) -> None:
    """Whether `value` is one of the SDK's type `kind`. Raises InvalidRequest naming the innermost field.

    Only models go here: iterables of the SDK's TypedDicts are checked when somebody walks them, which is too late.
    """
    try:
        _adapter(kind).validate_python(value, strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        first = max(found, key=lambda one: len(one["loc"]))
        where = _path(param, value, first["loc"], first["type"] == "missing")
        if first["type"] == "missing":
            raise missing(where) from error
        message = f"'{where}' is not what it should be: {first['msg']}"
        raise InvalidRequest(message, param=where, code="invalid_type") from error


@lru_cache(maxsize=256)
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _path(param: str, value: Any, location: tuple[int | str, ...], absent: bool) -> str:
    """The path of a field, without the names of a union's members that stand between its own."""
    last = len(location) - 1
    for at, part in enumerate(location):
        if isinstance(part, int) and isinstance(value, list):
            param, value = f"{param}[{part}]", value[part]
        elif isinstance(value, dict) and part in value:
            param, value = f"{param}.{part}", value[part]
        elif at == last and absent:
            param = f"{param}.{part}"
    return param
