"""What a request may wish of its file search."""

from __future__ import annotations

from typing import Any

import pytest
from caravan_agents.responses.tools import read_tool_choice, read_tools
from caravan_agents.tools.files.options import MOST_STORES, read_options
from caravan_agents.tools.served import check
from caravan_contracts.errors import InvalidRequest

SEARCH = {"type": "file_search", "vector_store_ids": ["vs_1"]}


def refused(*tools: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check(read_tools(list(tools)), searching=True)
    return caught.value


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"vector_store_ids": []}, "vector_store_ids"),
        ({"vector_store_ids": [""]}, "vector_store_ids"),
        ({"vector_store_ids": [7]}, "vector_store_ids[0]"),
        ({"vector_store_ids": [f"vs_{n}" for n in range(MOST_STORES + 1)]}, "vector_store_ids"),
        ({"max_num_results": 0}, "max_num_results"),
        ({"max_num_results": 51}, "max_num_results"),
        ({"ranking_options": {"score_threshold": "high"}}, "ranking_options.score_threshold"),
        ({"ranking_options": {"hybrid_search": {"text_weight": 1}}}, "ranking_options.hybrid_search.embedding_weight"),
    ],
)
def test_a_wish_that_cannot_be_met_is_named(wish: dict[str, Any], param: str) -> None:
    assert refused({**SEARCH, **wish}).param == f"tools[0].{param}"


def test_one_file_search_and_no_function_of_its_name() -> None:
    assert refused(SEARCH, SEARCH).param == "tools[1]"
    assert refused({"type": "function", "name": "file_search", "parameters": {}}, SEARCH).param == "tools[0].name"
    check(read_tools([SEARCH, {"type": "web_search"}]), searching=True)
    check(read_tools([SEARCH]), searching=False)


def test_a_store_that_is_named_twice_is_searched_once() -> None:
    assert read_options({**SEARCH, "vector_store_ids": ["b", "a", "b"]}, "tools[0]").stores == ("b", "a")


def test_the_tool_can_be_chosen() -> None:
    tools = read_tools([SEARCH])
    assert read_tool_choice({"type": "file_search"}, tools) == {"type": "file_search"}
    with pytest.raises(InvalidRequest):
        read_tool_choice({"type": "file_search"}, read_tools([{"type": "web_search"}]))
