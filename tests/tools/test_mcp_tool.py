"""What a request says of an MCP server, and everything that is decided without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from caravan_agents.responses.request import read_request
from caravan_agents.responses.turn import ToolCall
from caravan_agents.settings import Settings
from caravan_agents.tools.base import Outcome
from caravan_agents.tools.mcp import Connector, McpOptions, McpService, approved
from caravan_agents.tools.mcp.cache import ListCache
from caravan_agents.tools.mcp.connectors import Connectors, load
from caravan_agents.tools.mcp.results import text_of
from caravan_agents.tools.mcp.schemas import parameters
from caravan_agents.tools.mcp.selecting import read_approval, read_filter
from caravan_agents.tools.mcp.servers import read_server
from caravan_bus.outbound import Guard
from caravan_contracts.errors import InvalidRequest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.emitting import Told, made, named, opened
from tests.tools.scripted import Scripted, one, result, running

MCP: dict[str, Any] = {"type": "mcp", "server_label": "docs", "server_url": "https://docs.example/mcp"}
NONE = Connectors()


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"server_label": "x" * 129}, "tools[0].server_label"),
        ({"server_label": "a\nb"}, "tools[0].server_label"),
        ({"headers": {"Authorization": "a"}, "authorization": "b"}, "tools[0].authorization"),
        ({"headers": {"authorization": "a"}, "authorization": "b"}, "tools[0].authorization"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "tools[0].headers"),
        ({"headers": {"Host": "inside"}}, "tools[0].headers"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "tools[0].headers"),
        ({"headers": {"Proxy-Authorization": "x"}}, "tools[0].headers"),
        ({"headers": {"X A": "1"}}, "tools[0].headers"),
        ({"headers": {"X-A": "1\r\nHost: inside"}}, "tools[0].headers.X-A"),
        ({"headers": {"X-A": "ключ"}}, "tools[0].headers.X-A"),
        ({"headers": {f"x-{n}": "1" for n in range(65)}}, "tools[0].headers"),
        ({"authorization": "a\r\nb"}, "tools[0].authorization.Authorization"),
        ({"defer_loading": True}, "tools[0].defer_loading"),
        ({"server_url": None, "connector_id": "connector_gmail"}, "tools[0].connector_id"),
        ({"server_url": "http://127.0.0.1/"}, "tools[0].server_url"),
        ({"server_url": "docs.example"}, "tools[0].server_url"),
    ],
)  # fmt: skip
def test_what_is_refused_before_the_run(more: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        McpService(Guard()).check([{**MCP, **more}], "acme")
    assert caught.value.param == param


def test_a_request_without_mcp_has_no_kit() -> None:
    assert McpService(Guard()).kit([{"type": "web_search"}], "acme") is None


def test_connectors_of_ones_own_may_be_named_in_a_request() -> None:
    tool = {"type": "mcp", "server_label": "docs", "connector_id": "wiki"}
    body = {"model": "m", "input": "x", "tools": [tool]}
    assert read_request(orjson.dumps(body)).tools == (tool,)
    for wrong in (
        {**tool, "connector_id": 7},
        {**tool, "server_url": "https://a.example"},
        {**tool, "headers": {"a": 1}},
    ):
        with pytest.raises(InvalidRequest):
            read_request(orjson.dumps({**body, "tools": [wrong]}))


@pytest.mark.parametrize(
    ("value", "asks"),
    [
        (None, "abc"),
        ("always", "abc"),
        ("never", ""),
        ({"never": {"tool_names": ["a"]}}, "bc"),
        ({"always": {"tool_names": ["a"]}}, "a"),
        ({"always": {"tool_names": ["a", "b"]}, "never": {"tool_names": ["b", "c"]}}, "ab"),
        ({"always": {"tool_names": ["a"]}, "never": {"tool_names": ["b"]}}, "ac"),
        ({"never": {"read_only": True}}, "bc"),
        ({"always": {"read_only": False}}, "bc"),
        ({"never": {}}, "abc"),
        ({"always": {}}, "abc"),
        ({}, "abc"),
        ({"always": {}, "never": {"tool_names": ["a"]}}, "bc"),
        ({"never": {"tool_names": []}}, "abc"),
    ],
)
def test_which_calls_need_an_approval(value: Any, asks: str) -> None:
    approval = read_approval(value)
    tools = [{"name": name, "annotations": {"readOnlyHint": name == "a"}} for name in "abc"]
    assert "".join(tool["name"] for tool in tools if approval.needed(tool)) == asks


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        (["a", "c"], "ac"),
        ([], ""),
        ({"tool_names": ["a", "b"], "read_only": True}, "a"),
        ({"read_only": False}, "bc"),
        ({}, "abc"),
    ],
)
def test_which_tools_are_allowed(value: Any, fits: str) -> None:
    found = read_filter(value)
    assert found is not None
    tools = [{"name": name, "annotations": {"readOnlyHint": True} if name == "a" else None} for name in "abc"]
    assert "".join(tool["name"] for tool in tools if found.fits(tool)) == fits


def request(id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "mcp_approval_request", "id": id, "server_label": "docs", "name": "find", "arguments": arguments}


def answer(id: str, approve: bool = True) -> dict[str, Any]:
    return {"type": "mcp_approval_response", "id": f"mcpa_{id}", "approval_request_id": id, "approve": approve}


def test_approved_calls_are_those_that_were_asked_for_allowed_and_not_made() -> None:
    items = [
        request("r1", '{"q":1}'), request("r2"), request("r3"), request("r4"), request("r5"),
        {"type": "mcp_call", "id": "mcp_1", "approval_request_id": "r3"},
        answer("r1"), answer("r2", False), answer("r3"), answer("r5"), answer("r5", False), answer("strange"),
        answer("r1"),
    ]  # fmt: skip
    assert approved(items) == [ToolCall("r1", "docs__find", '{"q":1}')]


def test_only_what_a_tenant_sends_opens_its_list() -> None:
    server = read_server(MCP, "tools[0]", NONE, "acme")
    others = [
        read_server({**MCP, "headers": {"a": "bc"}}, "tools[0]", NONE, "acme"),
        read_server({**MCP, "headers": {"ab": "c"}}, "tools[0]", NONE, "acme"),
        read_server({**MCP, "authorization": "x"}, "tools[0]", NONE, "acme"),
        read_server({**MCP, "server_url": MCP["server_url"] + "/"}, "tools[0]", NONE, "acme"),
    ]
    keys = {server.key("acme"), server.key("other"), *(one.key("acme") for one in others)}
    assert len(keys) == 6
    assert server.key("acme") == read_server({**MCP, "server_label": "b"}, "tools[3]", NONE, "acme").key("acme")


def test_lists_are_forgotten_by_time_and_by_size() -> None:
    now = [0.0]
    cache = ListCache(10, 1000, lambda: now[0])
    for n in range(20):
        cache.put(str(n), [{"name": "x" * 100}])
    assert cache.size <= 1000 and cache.get("0") is None and cache.get("19") == [{"name": "x" * 100}]
    cache.put("19", [{"name": "x" * 900}])
    assert cache.get("19") is None, "too large to be kept"
    now[0] = 10
    assert cache.get("18") is None
    cache = ListCache(0, 1000)
    cache.put("a", [])
    assert cache.get("a") is None and cache.size == 0


@pytest.mark.parametrize(
    "schema",
    [
        None, "object", [], True, {"type": "string"}, {"type": ["object"]}, {"type": "object", "properties": []},
        {"properties": {"a": "string"}}, {"required": [1]}, {"properties": {"a": {"type": "text"}}},
        {"properties": {"a": {"anyOf": {}}}}, {"properties": {"a": {"enum": "x"}}}, {"properties": {"a": {"$ref": 7}}},
        {"description": "x" * 70_000}, {"items": 7}, {"$defs": {"a": {"items": [7]}}}, {"x": "\ud800"},
    ],
)  # fmt: skip
def test_what_is_no_schema_is_not_offered(schema: Any) -> None:
    assert parameters(schema) is None


def test_a_schema_is_offered_as_it_is() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/b"}, "c": True, "d": {"items": [{"type": "string"}, False]}},
        "$defs": {"b": {"type": ["string", "null"], "pattern": "^(a+)+$"}},
        "required": ["a"],
        "additionalProperties": False,
    }
    assert parameters(schema) == schema
    assert parameters({}) == {"type": "object", "properties": {}}


def test_a_schema_that_is_too_deep_is_not_offered() -> None:
    deep: dict[str, Any] = {"type": "object"}
    for _ in range(100):
        deep = {"type": "object", "properties": {"a": deep}}
    assert parameters(deep) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "properties", "items", "anyOf", "required", "enum", "a"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_no_schema_breaks_the_check(schema: Any) -> None:
    found = parameters(schema)
    assert found is None or found["type"] == "object"


def test_a_result_as_text() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"},
        {"type": "resource_link", "name": "r", "uri": "file:///r"},
        {"type": "resource", "resource": {"uri": "file:///b", "blob": "AAA="}},
        {"type": "news"},
    ]
    assert text_of({"content": parts}, 1000).splitlines() == [
        "a",
        "[audio, audio/wav, 3 bytes: not shown]",
        "[resource 'r': file:///r]",
        "[resource file:///b, unknown, 2 bytes: not shown]",
        "[news: not shown]",
    ]
    assert text_of({"content": [], "structuredContent": {"a": 1}}, 1000) == '{"a":1}'
    assert text_of({"content": []}, 1000) == ""


async def test_what_a_conversation_cannot_keep_is_a_failed_call() -> None:
    async def answer(request: Any, message: Any) -> Any:
        return result(message, {"content": [{"type": "text", "text": "\n" * 3000}]})

    async with running(Scripted(call=answer)) as url:
        mcp = {**MCP, "server_url": url, "require_approval": "never"}
        for kept, ok in ((0, True), (16_384, True), (8192, False)):
            told, kit = Told(), McpService(Guard(["127.0.0.1"])).kit([mcp], "acme", kept)
            outcome = await made(told, named(await opened(kit, told), "go"))
            assert kit is not None
            await kit.close()
            assert outcome.ok is ok
            assert not kept or all(len(orjson.dumps(item)) <= kept for item in told.output)


async def test_a_call_that_was_not_run_here_ends_like_any_other() -> None:
    """It was skipped, or it was under way when its process died: the outcome is then the run's own."""
    async with running(Scripted()) as url:
        told, kit = Told(), McpService(Guard(["127.0.0.1"])).kit([{**MCP, "server_url": url}], "acme")
        tool = (await opened(kit, told))[0]
        call = ToolCall("call_1", tool.offered.name, "{}")
        tool.finish(told, tool.announce(told, call), call, Outcome("nobody knows", ok=False))
        assert kit is not None
        await kit.close()
    told.end()
    item = told.output[1]
    assert item["status"] == "failed" and item["error"]["message"] == "nobody knows" and item["output"] is None


async def test_names_that_a_model_could_confuse_are_left_out() -> None:
    async with running(Scripted(one("b__c"), one("d"))) as first, running(Scripted(one("c"), one("e"))) as second:
        tools = [
            {"type": "function", "name": "a__d", "parameters": {}},
            {"type": "mcp", "server_label": "a", "server_url": first},
            {"type": "mcp", "server_label": "a__b", "server_url": second},
        ]
        kit = McpService(Guard(["127.0.0.1"])).kit(tools, "acme")
        assert [tool.offered.name for tool in await opened(kit, Told())] == ["a__b__c", "a__b__e"]
        assert kit is not None
        await kit.close()


async def test_a_list_of_the_history_serves_unless_another_tool_is_allowed_now() -> None:
    script = Scripted(one("a"), one("b"))
    kept = {
        "type": "mcp_list_tools", "id": "mcpl_1", "server_label": "docs", "error": None,
        "tools": [{"name": "a", "input_schema": {}, "description": None, "annotations": None}, {"name": "bad"}],
    }  # fmt: skip
    async with running(script) as url:
        service = McpService(Guard(["127.0.0.1"]), options=McpOptions(cache_seconds=0))
        for allowed, history, asked, told_of in (
            (None, [kept], False, False),
            (["a"], [kept], False, False),
            (["a", "b"], [kept], True, False),
            (None, [{**kept, "server_label": "other"}], True, True),
            (None, [{**kept, "error": "it was not there"}], True, True),
        ):
            script.asked.clear()
            told = Told()
            kit = service.kit([{**MCP, "server_url": url, "allowed_tools": allowed}], "acme")
            names = [tool.offered.tool for tool in await opened(kit, told, history)]
            assert kit is not None
            await kit.close()
            assert ("tools/list" in script.asked) is asked
            assert bool(told.output) is told_of
            assert names == (["a", "b"] if asked else ["a"])


FILE = """
connectors:
  - id: issues
    url: https://issues.internal/mcp
    headers: { Authorization: "Bearer ${env.ISSUES_TOKEN}", X-Team: core }
    tenants: [acme]
  - id: wiki
    url: https://wiki.internal/mcp
    authorization_file: %s
"""


def test_connectors_are_read_from_a_file(tmp_path: Path) -> None:
    secret, path = tmp_path / "wiki", tmp_path / "connectors.yaml"
    secret.write_text("of-wiki\n")
    path.write_text(FILE % secret)
    found = load(str(path), {"ISSUES_TOKEN": "of-issues"})
    issues = found.find("issues", "acme")
    assert issues is not None and issues.headers == {"authorization": "Bearer of-issues", "x-team": "core"}
    assert found.find("issues", "other") is None
    wiki = found.find("wiki", "other")
    assert wiki is not None and wiki.headers == {"authorization": "Bearer of-wiki"}
    assert "of-wiki" not in repr(wiki)
    assert load("", {}).find("wiki", "acme") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "'connectors:' and a list"),
        ("connectors: {}", "'connectors:' and a list"),
        ("connectors: [1]", r"connectors\[0\] should be an object"),
        ("connectors: [{id: a}]", r"connectors\[0\].url should be a text"),
        ("connectors: [{id: a, url: 'ftp://a'}]", "only http and https"),
        ("connectors: [{id: a, url: 'http://a', key: b}]", "'key' is not known"),
        ("connectors: [{id: a, url: 'http://a', authorization: abc}]", "refer to it with"),
        ("connectors: [{id: a, url: 'http://a', headers: {Authorization: Bearer abc}}]", "refer to it with"),
        ("connectors: [{id: a, url: 'http://a', authorization: '${env.NOPE}'}]", "NOPE is not set"),
        ("connectors: [{id: a, url: 'http://a', authorization: '${env.DATABASE_URL}'}]", "belongs to the mesh"),
        ("connectors: [{id: a, url: 'http://a', authorization_file: /nowhere}]", "cannot be read"),
        ("connectors: [{id: a, url: 'http://a', headers: {Host: b}}]", "headers"),
        ("connectors: [{id: a, url: 'http://a', tenants: b}]", "tenants should be"),
        ("connectors: [{id: a, url: 'http://a'}, {id: a, url: 'http://b'}]", "several connectors 'a'"),
        ("connectors: [", "connectors' file"),
    ],
)
def test_a_file_of_connectors_that_cannot_be_used_says_why(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "connectors.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=says):
        load(str(path), {})


def test_settings_make_the_service(tmp_path: Path) -> None:
    path = tmp_path / "connectors.yaml"
    path.write_text("connectors: [{id: here, url: 'http://127.0.0.1:9/mcp'}]")
    settings = Settings(connectors_file=str(path), mcp_seconds=1, allowed_hosts="mcp.internal")  # type: ignore[call-arg]
    service = McpService.of(settings, Guard(settings.allowed_hosts), {})
    service.check([{"type": "mcp", "server_label": "a", "connector_id": "here"}], "acme")
    with pytest.raises(ValueError, match="cannot be read"):
        McpService.of(Settings(connectors_file="/nowhere"), Guard(), {})  # type: ignore[call-arg]
    assert Connector("a", "http://a").tenants is None
