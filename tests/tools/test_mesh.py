"""MCP servers as tools of responses in a running mesh, asked for with the official SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import openai
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, connect
from tests.responses.machine import follow
from tests.runs.test_deaths import owner_of
from tests.runs.waiting import ended
from tests.tools.calling import CallingUpstream, calls
from tests.tools.real import CALLS


@pytest.fixture
def upstream(acting_upstream: CallingUpstream) -> CallingUpstream:
    return acting_upstream


@pytest.fixture
def mesh(acting_mesh: RunningMesh) -> RunningMesh:
    return acting_mesh


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh) as made:
        yield made


@pytest.fixture
def closed(keeping_mesh: RunningMesh) -> Iterator[OpenAI]:
    """Of a mesh that may connect to nothing inside."""
    with connect(keeping_mesh) as made:
        yield made


def shop(url: str, **more: Any) -> Any:
    return {"type": "mcp", "server_label": "shop", "server_url": url, "require_approval": "never", **more}


def test_a_tool_is_called_and_its_answer_told(mesh: RunningMesh, upstream: CallingUpstream, url: str) -> None:
    body = {
        "model": "up/calling",
        "input": calls(("shop__add", {"a": 1, "b": 2}), ("shop__fail", {}), ("shop__nothing", {})),
        "tools": [shop(url, authorization="swordfish")],
        "stream": True,
    }
    headers = {"Authorization": f"Bearer {ADA}"}
    with httpx.Client(base_url=mesh.url, timeout=30, headers=headers) as http:
        answer = http.post("/v1/responses", json=body)
        machine = follow(answer.content)
        assert machine.terminal is not None and machine.terminal["status"] == "completed"
        assert http.get(f"/v1/responses/{machine.id}").json() == machine.terminal
    kinds = [item["type"] for item in machine.terminal["output"]]
    assert kinds == ["mcp_list_tools", "mcp_call", "mcp_call", "message"]
    added, failed = machine.terminal["output"][1:3]
    assert (added["output"], added["error"], added["status"]) == ("3", None, "completed")
    assert failed["error"]["type"] == "mcp_tool_execution_error" and failed["status"] == "failed"
    assert b"swordfish" not in answer.content
    asked = upstream.asked("calling")[-1].body
    assert {tool["function"]["name"] for tool in asked["tools"]} > {"shop__add", "shop__fail"}
    results = [message["content"] for message in asked["messages"] if message["role"] == "tool"]
    assert "3" in results[0] or "3" in results[1]
    assert any("the shop is closed" in text for text in results)


def test_a_call_waits_for_its_approval(client: OpenAI, shop_url: str) -> None:
    mcp = shop(shop_url, require_approval="always")
    first = client.responses.create(model="up/calling", input=calls(("shop__add", {"a": 2, "b": 3})), tools=[mcp])
    assert [item.type for item in first.output] == ["mcp_list_tools", "mcp_approval_request"]
    asked = first.output[1]
    answer: Any = {"type": "mcp_approval_response", "approval_request_id": asked.id, "approve": True}
    second = client.responses.create(model="up/calling", input=[answer], previous_response_id=first.id, tools=[mcp])
    assert [item.type for item in second.output] == ["mcp_call", "message"]
    call: Any = second.output[0]
    assert (call.output, call.approval_request_id, call.status) == ("5", asked.id, "completed")
    assert "5" in second.output_text


def test_a_call_that_is_denied_is_not_made(client: OpenAI, shop_url: str) -> None:
    mcp = shop(shop_url, require_approval="always")
    first = client.responses.create(model="up/calling", input=calls(("shop__remember", {"text": "x"})), tools=[mcp])
    answer: Any = {
        "type": "mcp_approval_response",
        "approval_request_id": first.output[1].id,
        "approve": False,
        "reason": "not mine",
    }
    second = client.responses.create(model="up/calling", input=[answer], previous_response_id=first.id, tools=[mcp])
    assert [item.type for item in second.output] == ["message"]
    assert "did not approve this call: not mine" in second.output_text


def test_nobody_approves_what_another_was_asked(client: OpenAI, mesh: RunningMesh, shop_url: str) -> None:
    mcp = shop(shop_url, require_approval="always")
    first = client.responses.create(model="up/calling", input=calls(("shop__remember", {"text": "x"})), tools=[mcp])
    answer: Any = {"type": "mcp_approval_response", "approval_request_id": first.output[1].id, "approve": True}
    with connect(mesh, BOB) as stranger:
        made = stranger.responses.create(model="up/calling", input=[answer], tools=[mcp])
    assert made.status == "failed" and made.error is not None and "no approval request" in made.error.message
    assert [item.type for item in made.output] == ["mcp_list_tools"]


def test_a_connector_is_used_by_its_tenant(client: OpenAI, mesh: RunningMesh) -> None:
    mcp: Any = {"type": "mcp", "server_label": "shop", "connector_id": "shop", "require_approval": "never"}
    made = client.responses.create(model="up/calling", input=calls(("shop__header", {})), tools=[mcp])
    call: Any = made.output[1]
    assert call.output == "Bearer of-the-shop"
    with connect(mesh, BOB) as stranger, pytest.raises(openai.BadRequestError, match="no connector 'shop'"):
        stranger.responses.create(model="up/calling", input="x", tools=[mcp])


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/mcp", "http://169.254.169.254/mcp", "http://0x7f.1:4222/"])
def test_an_address_of_the_inside_is_refused(closed: OpenAI, url: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        closed.responses.create(model="up/calling", input="x", tools=[shop(url)])
    assert (caught.value.param, caught.value.code) == ("tools[0].server_url", "address_not_allowed")


def test_a_name_of_the_inside_fails_the_response(closed: OpenAI) -> None:
    made = closed.responses.create(model="up/plain", input="x", tools=[shop("http://localhost:4222/")])
    assert made.status == "failed" and made.error is not None and "may not be connected to" in made.error.message
    listed: Any = made.output[0]
    assert listed.type == "mcp_list_tools" and "may not be connected to" in listed.error


def test_in_the_background_and_in_a_conversation(client: OpenAI, shop_url: str) -> None:
    conversation = client.conversations.create()
    made = client.responses.create(
        model="up/calling",
        input=calls(("shop__say", {"letters": 100_000})),
        tools=[shop(shop_url)],
        conversation=conversation.id,
        background=True,
    )
    made = ended(client, made.id)
    assert made.status == "completed" and [item.type for item in made.output] == [
        "mcp_list_tools",
        "mcp_call",
        "message",
    ]
    kept = list(client.conversations.items.list(conversation.id, order="asc"))
    assert [item.type for item in kept] == ["message", "mcp_list_tools", "mcp_call", "message"]


def test_a_call_that_is_cut_off_is_made_again_only_when_that_is_safe(
    mesh: RunningMesh, client: OpenAI, shop_url: str
) -> None:
    CALLS.clear()
    wanted = calls(("shop__look_long", {"text": "safe"}), ("shop__work_long", {"text": "unsafe"}))
    queued = client.responses.create(model="up/calling", input=wanted, tools=[shop(shop_url)], background=True)
    mesh.until(lambda: len(CALLS) == 2)
    mesh.kill9(owner_of(mesh))
    made = ended(client, queued.id, 60)
    assert made.status == "completed", made.error
    looked: Any
    worked: Any
    _, looked, worked, _ = made.output
    assert (looked.status, looked.output) == ("completed", "seen safe")
    assert worked.status == "failed" and "nobody knows whether it was done" in worked.error.message
    assert sorted(CALLS) == ["safe", "safe", "unsafe"]
    assert "nobody knows" in made.output_text and "seen safe" in made.output_text
    events = httpx.get(
        f"{mesh.url}/v1/responses/{made.id}",
        params={"stream": "true"},
        headers={"Authorization": f"Bearer {ADA}"},
        timeout=30,
    )
    assert follow(events.content).terminal is not None
    mesh.until(mesh.all_ready)
