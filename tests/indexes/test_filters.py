"""Filters are read once, refused with the path of what is wrong, and mean what the reference says."""

from __future__ import annotations

from typing import Any

import pytest
from caravan_contracts.errors import InvalidRequest
from caravan_vector.filters import (
    MAX_DEPTH,
    MAX_FILTERS,
    MAX_VALUES,
    Attributes,
    Compare,
    Join,
    Member,
    matches,
    parse,
)


def compare(type: str, key: Any, value: Any) -> dict[str, Any]:
    return {"type": type, "key": key, "value": value}


def test_a_tree_is_read() -> None:
    read = parse(
        {
            "type": "and",
            "filters": [
                compare("gte", "year", 2020),
                {"type": "or", "filters": [compare("eq", "draft", False), compare("nin", "by", ["ann", 3])]},
            ],
        }
    )
    either = Join("or", (Compare("eq", "draft", False), Member("nin", "by", ("ann", 3))))
    assert read == Join("and", (Compare("gte", "year", 2020), either))


def deep(levels: int) -> dict[str, Any]:
    made = compare("eq", "a", 1)
    for _ in range(levels - 1):
        made = {"type": "and", "filters": [made]}
    return made


@pytest.mark.parametrize(
    ("data", "param"),
    [
        (None, "filters"),
        ([], "filters"),
        ({}, "filters.type"),
        (compare("like", "a", "b"), "filters.type"),
        ({"type": ["eq"], "key": "a", "value": 1}, "filters.type"),
        ({"type": "eq", "key": "a"}, "filters.value"),
        (compare("eq", "", 1), "filters.key"),
        (compare("eq", "k" * 65, 1), "filters.key"),
        (compare("eq", "a\0", 1), "filters.key"),
        (compare("eq", "a", None), "filters.value"),
        (compare("eq", "a", [1]), "filters.value"),
        (compare("eq", "a", float("nan")), "filters.value"),
        (compare("eq", "a", 2**53 + 1), "filters.value"),
        (compare("eq", "a", "\ud800"), "filters.value"),
        (compare("gt", "a", True), "filters.value"),
        (compare("in", "a", "b"), "filters.value"),
        (compare("in", "a", [1, {}]), "filters.value[1]"),
        (compare("in", "a", ["x"] * (MAX_VALUES + 1)), "filters.value"),
        ({**compare("eq", "a", 1), "filters": []}, "filters.filters"),
        ({"type": "and", "filters": []}, "filters.filters"),
        ({"type": "or", "filters": [compare("eq", "a", 1), compare("eq", 7, 1)]}, "filters.filters[1].key"),
        ({"type": "or", "filters": [compare("eq", "a", 1)] * MAX_FILTERS}, f"filters.filters[{MAX_FILTERS - 1}]"),
        (deep(MAX_DEPTH + 1), "filters" + ".filters[0]" * MAX_DEPTH),
    ],
)
def test_what_is_wrong_is_named(data: object, param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse(data)
    assert caught.value.param == param
    assert caught.value.status == 400


def test_as_deep_as_it_may_be() -> None:
    assert matches(parse(deep(MAX_DEPTH)), {"a": 1})


HAS: Attributes = {"n": 3, "t": "b", "yes": True, "no": False}


@pytest.mark.parametrize(
    ("type", "key", "value", "holds"),
    [
        ("eq", "n", 3.0, True),
        ("eq", "n", "3", False),
        ("ne", "n", "3", True),
        ("eq", "yes", 1, False),
        ("ne", "yes", 1, True),
        ("eq", "no", False, True),
        ("eq", "none", "x", False),
        ("ne", "none", "x", True),
        ("gt", "n", 2.5, True),
        ("lte", "n", 3, True),
        ("lt", "n", "4", False),
        ("gt", "t", "a", True),
        ("gt", "t", "B", True),
        ("gte", "none", 0, False),
        ("lt", "yes", 2, False),
        ("in", "t", ["a", "b"], True),
        ("in", "t", [], False),
        ("nin", "t", [], True),
        ("nin", "none", ["a"], True),
        ("in", "yes", [1], False),
    ],
)
def test_what_a_comparison_means(type: str, key: str, value: Any, holds: bool) -> None:
    assert matches(parse(compare(type, key, value)), HAS) is holds
