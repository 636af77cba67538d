"""Real MCP servers over both transports: what the client hears, what the model is told."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from caravan_agents.responses.turn import ToolCall
from caravan_agents.tools.mcp import Connector, McpOptions, McpService, approved
from caravan_agents.tools.mcp.connectors import Connectors
from caravan_bus.outbound import Guard
from caravan_contracts.errors import FailedDependency, InvalidRequest

from tests.tools.emitting import Told, made, named, opened
from tests.tools.real import Counted

ALL = ["add", "remember", "fail", "show", "wait", "say", "header", "look_long", "work_long"]


def service(**options: Any) -> McpService:
    return McpService(Guard(["127.0.0.1"]), options=McpOptions(**options))


def tool(url: str, **more: Any) -> dict[str, Any]:
    return {"type": "mcp", "server_label": "shop", "server_url": url, "require_approval": "never", **more}


async def test_a_list_and_a_call_as_openai_tells_them(url: str) -> None:
    told, kit = Told(), service().kit([tool(url)], "acme")
    tools = await opened(kit, told)
    assert [one.offered.tool for one in tools] == ALL
    add = named(tools, "add")
    assert add.offered.name == "shop__add" and add.offered.type == "mcp" and add.offered.server_label == "shop"
    assert add.offered.function["description"] == "Adds two numbers."
    assert set(add.offered.function["parameters"]["properties"]) == {"a", "b"}
    outcome = await made(told, add, '{"a": 2, "b": 40}')
    assert (outcome.text, outcome.ok) == ("42", True)
    await kit.close()  # type: ignore[union-attr]
    machine = told.end()
    assert [event["type"].removeprefix("response.") for event in machine.events[2:-1]] == [
        "output_item.added",
        "mcp_list_tools.in_progress",
        "mcp_list_tools.completed",
        "output_item.done",
        "output_item.added",
        "mcp_call.in_progress",
        "mcp_call_arguments.delta",
        "mcp_call_arguments.done",
        "mcp_call.completed",
        "output_item.done",
    ]
    listed, call = told.output
    assert listed["id"].startswith("mcpl_") and listed["server_label"] == "shop" and listed["error"] is None
    assert listed["tools"][0]["annotations"]["readOnlyHint"] is True
    assert set(listed["tools"][0]) == {"name", "description", "input_schema", "annotations"}
    assert {name: value for name, value in call.items() if name != "id"} == {
        "type": "mcp_call",
        "status": "completed",
        "approval_request_id": None,
        "arguments": '{"a": 2, "b": 40}',
        "error": None,
        "name": "add",
        "output": "42",
        "server_label": "shop",
    }


async def test_what_goes_wrong_in_a_tool_is_told_to_both(url: str) -> None:
    told, kit = Told(), service().kit([tool(url)], "acme")
    tools = await opened(kit, told)
    failed = await made(told, named(tools, "fail"))
    assert not failed.ok and "the shop is closed" in failed.text and failed.text.startswith("The call failed: ")
    wrong = await made(told, named(tools, "add"), '{"a": "many"}')
    assert not wrong.ok
    for arguments in ("[1]", "{", "nothing"):
        assert "no JSON object" in (await made(told, named(tools, "add"), arguments)).text
    again = await made(told, named(tools, "add"), '{"a": 1, "b": 1}')
    assert again.text == "2"
    await kit.close()  # type: ignore[union-attr]
    told.end()
    error = told.output[1]["error"]
    assert error["type"] == "mcp_tool_execution_error" and "closed" in error["content"][0]["text"]


async def test_what_is_no_text_is_named(url: str) -> None:
    told, kit = Told(), service().kit([tool(url)], "acme")
    tools = await opened(kit, told)
    shown = await made(told, named(tools, "show"))
    await kit.close()  # type: ignore[union-attr]
    assert shown.text == "look:\n[image, image/png, 8 bytes: not shown]\ninside"


async def test_a_tool_that_hangs_is_left_and_the_run_goes_on(url: str) -> None:
    told, kit = Told(), service(call_seconds=1.5).kit([tool(url)], "acme")
    tools = await opened(kit, told)
    late, other = await asyncio.gather(
        made(told, named(tools, "wait"), id="call_1"), made(told, named(tools, "add"), '{"a":1,"b":1}', id="call_2")
    )
    assert not late.ok and late.fields["error"] == {
        "type": "http_error",
        "code": 504,
        "message": "no answer within 1.5 s",
    }
    assert other.text == "2"
    assert (await made(told, named(tools, "add"), '{"a":1,"b":2}')).text == "3"
    await kit.close()  # type: ignore[union-attr]
    told.end()


async def test_calls_of_one_turn_at_once(url: str) -> None:
    told, kit = Told(), service().kit([tool(url)], "acme")
    tools = await opened(kit, told)
    outcomes = await asyncio.gather(
        *(made(told, named(tools, "add"), orjson.dumps({"a": n, "b": n}).decode(), f"call_{n}") for n in range(8))
    )
    await kit.close()  # type: ignore[union-attr]
    assert [outcome.text for outcome in outcomes] == [str(2 * n) for n in range(8)]
    told.end()


async def test_a_long_answer_is_a_failed_call(url: str) -> None:
    told, kit = Told(), service(answer_bytes=1000).kit([tool(url)], "acme")
    tools = await opened(kit, told)
    assert (await made(told, named(tools, "say"), '{"letters": 1000}')).ok
    outcome = await made(told, named(tools, "say"), '{"letters": 1001}')
    await kit.close()  # type: ignore[union-attr]
    assert not outcome.ok and outcome.text == "The call failed: the answer is longer than 1000 bytes"


async def test_authorization_becomes_a_bearer_token(url: str) -> None:
    for more in ({"authorization": "abc"}, {"headers": {"Authorization": "Bearer abc"}}):
        told, kit = Told(), service().kit([tool(url, **more)], "acme")
        tools = await opened(kit, told)
        assert (await made(told, named(tools, "header"))).text == "Bearer abc"
        await kit.close()  # type: ignore[union-attr]


async def test_whether_a_call_may_be_repeated_is_what_the_server_says(url: str) -> None:
    kit = service().kit([tool(url)], "acme")
    tools = await opened(kit, Told())
    assert [one.offered.tool for one in tools if one.idempotent] == ["add", "remember", "look_long"]
    await kit.close()  # type: ignore[union-attr]


async def test_allowed_tools_and_approval(url: str) -> None:
    asked = tool(url, allowed_tools=["add", "fail", "nowhere"], require_approval={"never": {"tool_names": ["add"]}})
    told, kit = Told(), service().kit([asked], "acme")
    tools = await opened(kit, told)
    assert [one.offered.tool for one in tools] == ["add", "fail"]
    assert [one["name"] for one in told.output[0]["tools"]] == ["add", "fail"]
    assert named(tools, "add").approval(ToolCall("c", "shop__add", "{}")) is None
    request = named(tools, "fail").approval(ToolCall("c", "shop__fail", '{"x":1}'))
    assert request == {
        "type": "mcp_approval_request", "server_label": "shop", "name": "fail", "arguments": '{"x":1}',
    }  # fmt: skip
    await kit.close()  # type: ignore[union-attr]


async def test_an_approved_call_is_made_in_the_next_response(url: str, shop: Counted) -> None:
    mcp = tool(url, require_approval="always")
    first, kit = Told(), service().kit([mcp], "acme")
    tools = await opened(kit, first)
    request = named(tools, "add").approval(ToolCall("call_9", "shop__add", '{"a":1,"b":2}'))
    assert request is not None
    index = first.add(request)
    first.done(index, request)
    await kit.close()  # type: ignore[union-attr]
    first.end()
    asked = first.output[1]["id"]
    history = [
        *first.output,
        {"type": "mcp_approval_response", "id": "mcpa_1", "approval_request_id": asked, "approve": True},
    ]
    second, kit = Told(), service().kit([mcp], "acme")
    before = len(shop.asked)
    tools = await opened(kit, second, history)
    assert second.output == [], "the list of the history serves"
    assert len(shop.asked) == before, "and nobody was asked"
    (call,) = approved(history)
    assert call.id == asked
    assert kit is not None and kit.allowed(history) == [(call, asked)]
    outcome = await made(second, named(tools, "add"), call.arguments, call.id)
    await kit.close()
    second.end()
    assert outcome.text == "3" and second.output[0]["approval_request_id"] == asked
    assert approved([*history, *second.output]) == [], "it is made once"


async def test_a_list_is_remembered_for_its_tenant_alone(shop_url: str, shop: Counted) -> None:
    process = service()

    async def listing(tenant: str, **more: Any) -> int:
        before, told = len(shop.asked), Told()
        kit = process.kit([tool(shop_url, **more)], tenant)
        tools = await opened(kit, told)
        assert len(tools) == len(ALL) and told.output[0]["type"] == "mcp_list_tools"
        await kit.close()  # type: ignore[union-attr]
        return len(shop.asked) - before

    assert await listing("acme") > 0
    assert await listing("acme") == 0
    assert await listing("other") > 0
    assert await listing("acme", authorization="abc") > 0


async def test_a_connector_is_reached_where_nobody_else_may_go(url: str) -> None:
    connector = Connector("connector_shop", url, {"authorization": "Bearer of-ours"}, frozenset({"acme"}))
    process = McpService(Guard(), Connectors([connector]))
    mcp = {"type": "mcp", "server_label": "shop", "connector_id": "connector_shop", "require_approval": "never"}
    told, kit = Told(), process.kit([mcp], "acme")
    tools = await opened(kit, told)
    assert (await made(told, named(tools, "header"))).text == "Bearer of-ours"
    await kit.close()  # type: ignore[union-attr]
    for tenant, wrong in (
        ("stranger", mcp),
        ("acme", {**mcp, "connector_id": "connector_x"}),
        ("acme", {**mcp, "authorization": "mine"}),
        ("acme", tool(url)),
    ):
        with pytest.raises(InvalidRequest):
            process.check([wrong], tenant)


async def test_a_server_that_is_not_there_fails_the_response() -> None:
    told, kit = Told(), service().kit([tool("http://127.0.0.1:9/mcp")], "acme")
    with pytest.raises(
        FailedDependency, match="the MCP server 'shop' cannot be listed: it cannot be reached"
    ) as caught:
        await opened(kit, told)
    assert (caught.value.status, caught.value.type) == (424, "external_connector_error")
    await kit.close()  # type: ignore[union-attr]
    machine = told.end(failed=True)
    assert [event["type"] for event in machine.events[2:-1]] == [
        "response.output_item.added",
        "response.mcp_list_tools.in_progress",
        "response.mcp_list_tools.failed",
        "response.output_item.done",
    ]
    assert told.output[0]["error"] == caught.value.message and told.output[0]["tools"] == []
