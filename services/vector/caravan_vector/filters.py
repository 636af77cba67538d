"""Filters over the attributes of files: OpenAI's JSON, read once into a small tree that every index translates.

``{"type": "eq" | "ne" | "gt" | "gte" | "lt" | "lte" | "in" | "nin", "key": …, "value": …}`` compares one attribute;
``{"type": "and" | "or", "filters": […]}`` joins filters. :func:`matches` says what a filter means:

- A file without the attribute is like one with a value of another type.
- Nothing is equal to a value of another type; ``1`` and ``1.0`` are the same number, ``true`` is none.
- ``ne`` and ``nin`` are the opposite of ``eq`` and ``in``, so they hold for a file without the attribute.
- ``gt``, ``gte``, ``lt`` and ``lte`` compare numbers with numbers and texts with texts (by code points), and hold for
  nothing else.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from caravan_contracts.errors import InvalidRequest

from caravan_vector.texts import storable

Scalar = str | int | float | bool
Attributes = Mapping[str, Scalar]
CompareType = Literal["eq", "ne", "gt", "gte", "lt", "lte"]
MemberType = Literal["in", "nin"]
JoinType = Literal["and", "or"]

MAX_DEPTH: Final = 10
"""Of filters within filters."""
MAX_FILTERS: Final = 200
"""In one tree, joins included."""
MAX_VALUES: Final = 1000
"""Of all ``in`` and ``nin`` of one tree together."""
MAX_KEY: Final = 64
"""Characters, as OpenAI has it for attributes."""
MAX_TEXT: Final = 512
MAX_INTEGER: Final = 2**53
"""Beyond it numbers of JSON are not the same number everywhere."""

_COMPARES: Final = ("eq", "ne", "gt", "gte", "lt", "lte")
_MEMBERS: Final = ("in", "nin")
_JOINS: Final = ("and", "or")
_ORDERS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


@dataclass(frozen=True, slots=True)
class Compare:
    """One attribute with one value; of an order, the value is a text or a number."""

    type: CompareType
    key: str
    value: Scalar


@dataclass(frozen=True, slots=True)
class Member:
    """One attribute with a list of values, which may be empty."""

    type: MemberType
    key: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Join:
    """All of some filters, or any of them; there is at least one."""

    type: JoinType
    filters: tuple[Filter, ...]


Filter = Compare | Member | Join


def parse(data: object, param: str = "filters") -> Filter:
    """The tree of `data`, which is JSON that was read already. Raises InvalidRequest, with the path of what is wrong
    as its `param`, which begins with `param`."""
    return _Parser().read(data, param, 1)


def matches(filter: Filter, attributes: Attributes) -> bool:
    """Whether the filter holds for these attributes: the reference for every index."""
    if isinstance(filter, Join):
        return (all if filter.type == "and" else any)(matches(each, attributes) for each in filter.filters)
    has = attributes.get(filter.key)
    if isinstance(filter, Member):
        return any(_same(has, value) for value in filter.values) == (filter.type == "in")
    if filter.type in ("eq", "ne"):
        return _same(has, filter.value) == (filter.type == "eq")
    return _kind(has) == _kind(filter.value) and _ORDERS[filter.type](has, filter.value)


def check_key(key: object, param: str) -> str:
    """The name of an attribute. Raises InvalidRequest."""
    if not isinstance(key, str) or not 1 <= len(key) <= MAX_KEY or not storable(key):
        raise InvalidRequest(
            f"{param} must be a text of 1 to {MAX_KEY} characters, the name of an attribute", param=param
        )
    return key


def check_value(value: object, param: str) -> Scalar:
    """The value of an attribute. Raises InvalidRequest."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > MAX_TEXT or not storable(value):
            raise InvalidRequest(f"{param} must be a text of at most {MAX_TEXT} characters", param=param)
        return value
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise InvalidRequest(
            f"{param} must be between -2^53 and 2^53 to be the same number everywhere; write it as a text", param=param
        )
    if isinstance(value, int | float) and math.isfinite(value):
        return value
    raise InvalidRequest(f"{param} must be a text, a number, true or false", param=param)


class _Parser:
    """Counts what one tree has."""

    def __init__(self) -> None:
        self._filters = 0
        self._values = 0

    def read(self, data: object, param: str, depth: int) -> Filter:
        self._filters += 1
        if depth > MAX_DEPTH:
            raise InvalidRequest(f"{param}: filters may be {MAX_DEPTH} deep", param=param)
        if self._filters > MAX_FILTERS:
            raise InvalidRequest(f"{param}: there may be {MAX_FILTERS} filters together", param=param)
        if not isinstance(data, dict):
            raise InvalidRequest(f"{param} must be an object with a type", param=param)
        kind = data.get("type")
        if kind in _JOINS:
            return self._join(cast("JoinType", kind), data, param, depth)
        if kind in _COMPARES or kind in _MEMBERS:
            return self._comparison(cast("CompareType | MemberType", kind), data, param)
        known = ", ".join((*_COMPARES, *_MEMBERS, *_JOINS))
        raise InvalidRequest(f"{param}.type must be one of {known}", param=f"{param}.type")

    def _join(self, type: JoinType, data: dict[Any, Any], param: str, depth: int) -> Join:
        _only(data, ("type", "filters"), param)
        filters = data.get("filters")
        if not isinstance(filters, list) or not filters:
            raise InvalidRequest(f"{param}.filters must be a list of at least one filter", param=f"{param}.filters")
        read = (self.read(each, f"{param}.filters[{place}]", depth + 1) for place, each in enumerate(filters))
        return Join(type, tuple(read))

    def _comparison(self, type: CompareType | MemberType, data: dict[Any, Any], param: str) -> Filter:
        _only(data, ("type", "key", "value"), param)
        key = check_key(data.get("key"), f"{param}.key")
        if type in _MEMBERS:
            return Member(type, key, self._list(data.get("value"), f"{param}.value"))
        value = check_value(data.get("value"), f"{param}.value")
        if type in _ORDERS and isinstance(value, bool):
            raise InvalidRequest(f"{param}.value must be a text or a number for {type}", param=f"{param}.value")
        return Compare(cast("CompareType", type), key, value)

    def _list(self, value: object, param: str) -> tuple[Scalar, ...]:
        if not isinstance(value, list):
            raise InvalidRequest(f"{param} must be a list", param=param)
        self._values += len(value)
        if self._values > MAX_VALUES:
            raise InvalidRequest(f"{param}: there may be {MAX_VALUES} values together", param=param)
        return tuple(check_value(each, f"{param}[{place}]") for place, each in enumerate(value))


def _only(data: dict[Any, Any], known: tuple[str, ...], param: str) -> None:
    if unknown := [str(key) for key in data if key not in known]:
        raise InvalidRequest(
            f"{param} may have {', '.join(known)}, not {unknown[0][:MAX_KEY]!r}",
            param=f"{param}.{unknown[0][:MAX_KEY]}",
        )


def _kind(value: object) -> str:
    """What can be compared with each other; "" for what there is no order of."""
    if isinstance(value, str):
        return "text"
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _same(has: object, value: Scalar) -> bool:
    if isinstance(has, bool) or isinstance(value, bool):
        return has is value
    return has == value
