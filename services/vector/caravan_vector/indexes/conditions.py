"""Filters as conditions on ``vector_index_files``; values travel as parameters, never in the text."""

from __future__ import annotations

from typing import Any, Final

from caravan_vector.filters import Compare, Filter, Join, Member

_ORDERS: Final = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


class Parameters:
    """Of one statement."""

    def __init__(self) -> None:
        self.values: list[Any] = []

    def add(self, value: Any, type: str) -> str:
        """Its place in the statement."""
        self.values.append(value)
        return f"${len(self.values)}::{type}"


def condition(filter: Filter, parameters: Parameters) -> str:
    """A boolean expression that is never NULL."""
    if isinstance(filter, Join):
        word = f" {filter.type.upper()} "
        return "(" + word.join(condition(each, parameters) for each in filter.filters) + ")"
    value = f"attributes -> {parameters.add(filter.key, 'text')}"
    if isinstance(filter, Member):
        return _member(filter, value, parameters)
    if filter.type in ("eq", "ne"):
        same = "IS NOT DISTINCT FROM" if filter.type == "eq" else "IS DISTINCT FROM"
        return f"({value} {same} {parameters.add(filter.value, 'jsonb')})"
    return _order(filter, value, parameters)


def _member(filter: Member, value: str, parameters: Parameters) -> str:
    # one document with all values: an array of jsonb would be made of texts that asyncpg wrote
    values = f"SELECT jsonb_array_elements({parameters.add(list(filter.values), 'jsonb')})"
    return f"(({value} IN ({values})) IS {'TRUE' if filter.type == 'in' else 'NOT TRUE'})"


def _order(filter: Compare, value: str, parameters: Parameters) -> str:
    sign = _ORDERS[filter.type]
    if isinstance(filter.value, str):  # jsonb would compare in the order of the database's language
        text = f"({value} #>> '{{}}') COLLATE \"C\" {sign} {parameters.add(filter.value, 'text')}"
        return f"((jsonb_typeof({value}) = 'string' AND {text}) IS TRUE)"
    number = f"({value}) {sign} {parameters.add(filter.value, 'jsonb')}"
    return f"((jsonb_typeof({value}) = 'number' AND {number}) IS TRUE)"
