"""Which hosted tools a request may have, and what it may wish of its search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from caravan_agents.responses.tools import read_tool_choice, read_tools
from caravan_agents.settings import Settings
from caravan_agents.tools.search.options import read_options
from caravan_agents.tools.search.question import Location
from caravan_agents.tools.search.service import Searching
from caravan_agents.tools.search.settings import SearchSettings
from caravan_agents.tools.served import check
from caravan_contracts.errors import InvalidRequest

SEARCH = {"type": "web_search"}
WEATHER = {"type": "function", "name": "weather", "parameters": {}}


def refused(tools: list[dict[str, Any]], searching: bool = True) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        check(read_tools(tools), searching)
    return caught.value


@pytest.mark.parametrize(
    "type", ["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"]
)
def test_a_search_without_an_engine_is_refused_by_name(type: str) -> None:
    error = refused([WEATHER, {"type": type}], searching=False)
    assert (error.status, error.code, error.param) == (400, "unsupported_tool", "tools[1].type")
    assert type in error.message and "CARAVAN_AGENTS_SEARCH_PROVIDER" in error.message
    check(read_tools([WEATHER, {"type": type}]), searching=True)


def test_two_searches_and_a_function_of_the_same_name_are_refused() -> None:
    assert refused([SEARCH, {"type": "web_search_preview"}]).param == "tools[1]"
    assert refused([{**WEATHER, "name": "web_search"}, SEARCH]).param == "tools[0].name"
    check(read_tools([{**WEATHER, "name": "web_search"}]), searching=True)


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"filters": {"allowed_domains": ["https://a.example"]}}, "filters.allowed_domains[0]"),
        ({"filters": {"allowed_domains": ["a.example", "b.example/path"]}}, "filters.allowed_domains[1]"),
        ({"filters": {"allowed_domains": ["a.example OR site:b.example"]}}, "filters.allowed_domains[0]"),
        ({"filters": {"blocked_domains": [7]}}, "filters.blocked_domains[0]"),
        ({"filters": {"blocked_domains": "a.example"}}, "filters.blocked_domains"),
        ({"filters": {"allowed_domains": ["a.example"] * 101}}, "filters.allowed_domains"),
        ({"user_location": {"type": "approximate", "country": "USA"}}, "user_location.country"),
        ({"user_location": {"type": "approximate", "city": "Ann\r\nArbor"}}, "user_location.city"),
    ],
)
def test_a_wish_that_cannot_be_met_is_named(wish: dict[str, Any], param: str) -> None:
    assert refused([{**SEARCH, **wish}]).param == f"tools[0].{param}"


def test_a_search_that_may_not_go_out_is_not_offered_and_needs_no_engine() -> None:
    inside = {**SEARCH, "external_web_access": False}
    check(read_tools([inside, {**WEATHER, "name": "web_search"}]), searching=False)
    with pytest.raises(InvalidRequest) as caught:
        read_tool_choice({"type": "web_search"}, read_tools([inside]))
    assert caught.value.param == "tool_choice"


def test_wishes_become_a_question() -> None:
    options = read_options(
        {
            "type": "web_search",
            "search_context_size": "low",
            "filters": {"allowed_domains": ["PubMed.example", "pubmed.example."], "blocked_domains": ["x.example"]},
            "user_location": {"type": "approximate", "country": "de", "city": "Köln"},
        },
        "tools[0]",
    )
    question = options.question("  many\n words " + "x" * 1000)
    assert question.text.startswith("many words x") and len(question.text) == 400
    assert (question.allowed, question.blocked) == (("pubmed.example",), ("x.example",))
    assert question.location == Location("DE", "", "Köln", "")
    small = question.results * question.characters
    sizes = [
        (made := read_options({**SEARCH, "search_context_size": size}, "").question("x")).results * made.characters
        for size in ("low", "medium", "high")
    ]
    assert sizes == sorted(sizes) and sizes[0] == small
    assert read_options({**SEARCH, "user_location": {"type": "approximate"}}, "").location is None


def test_images_alone_are_refused() -> None:
    tool = {"type": "web_search_preview", "search_content_types": ["image"]}
    assert refused([tool]).param == "tools[0].search_content_types"
    check(read_tools([{**tool, "search_content_types": ["text", "image"]}]), searching=True)


def test_settings_name_the_engine_and_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert not Searching(Settings()).configured
    monkeypatch.setenv("CARAVAN_AGENTS_SEARCH_PROVIDER", "brave")
    with pytest.raises(ValueError, match="needs CARAVAN_AGENTS_SEARCH_KEY"):
        Settings()
    (tmp_path / "key").write_text("secret-key\n")
    monkeypatch.setenv("CARAVAN_AGENTS_SEARCH_KEY_FILE", str(tmp_path / "key"))
    made = Settings()
    assert (made.search_key, made.search_url) == ("secret-key", "https://api.search.brave.com/res/v1/web/search")
    assert "secret-key" not in repr(made)
    assert Searching(made).configured


@pytest.mark.parametrize(
    ("provider", "url", "problem"),
    [("altavista", "", "one of brave, tavily"), ("searxng", "", "_URL"), ("custom", "ftp://x/", "_URL")],
)
def test_settings_that_cannot_work_are_refused_at_the_start(provider: str, url: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        SearchSettings(search_provider=provider, search_url=url)
