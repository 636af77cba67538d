"""What other servers of this API get wrong, one by one, and the test that shows that it does not happen here.

Events
    no `event:` line, numbers that jump
        runs/test_state_machine.py::test_text
    `output_text.done` is never sent
        runs/test_state_machine.py::test_text
    no `response.queued`
        runs/test_state_machine.py::test_text
    parallel calls share one `output_index`
        runs/test_state_machine.py::test_functions_side_by_side
    `mcp_call_arguments` has another name
        runs/test_state_machine.py::test_tools_of_a_server
    ends of MCP calls without item and index
        runs/test_state_machine.py::test_tools_of_a_server
    no `mcp_list_tools.failed`
        runs/test_state_machine.py::test_tools_that_cannot_be_listed
    no events of annotations
        runs/test_state_machine.py::test_a_search
    no events of reasoning and of its summary
        runs/test_state_machine.py::test_reasoning
    no custom tools
        runs/test_state_machine.py::test_a_custom_tool

Requests
    `stream` and `background` refused together
        runs/test_background.py::test_its_events_can_be_read_while_it_is_made_and_after
    GET without `stream` and `starting_after`
        runs/test_resume.py::test_a_stream_is_the_same_however_often_it_is_cut
    GET without `include`: here
    a conversation is an id and no object: here
    the queued object lacks what was asked for: here
    ids with dashes: here
    `truncation` is only echoed, and `disabled` loses turns
        responses/test_mesh.py::test_what_a_model_has_no_room_for_is_left_out_only_if_that_is_wished
    `reasoning.encrypted_content` is dropped
        responses/test_operations.py::test_reasoning_is_sealed_where_that_is_asked_for_and_opened_when_it_comes_back
    `encrypted_content` is plain text
        responses/test_sealing.py::test_the_text_is_not_to_be_seen_and_the_same_text_is_sealed_alike
    ... that any tenant can use
        responses/test_operations.py::test_another_tenant_cannot_open_a_summary
    tools that are not served have no clear error
        responses/test_request.py::test_tools_that_are_not_served_are_named
    a failed response is a 500 without an id
        responses/test_mesh.py::test_a_failed_response_is_an_object_that_says_so

Tools
    those of one turn run one after the other: here
    a tool that is not there
        runs/test_bounds.py::test_a_tool_that_is_not_there
    results of MCP servers look like instructions
        responses/test_messages.py::test_results_of_servers_are_always_framed
    any address may be an MCP server's
        tools/test_mesh.py::test_an_address_of_the_inside_is_refused
    ... also behind a name
        tools/test_mesh.py::test_a_name_of_the_inside_fails_the_response
    `Authorization` is refused among headers: here

Conversations
    parallel turns lose items
        responses/test_mesh.py::test_parallel_turns_of_one_conversation_lose_nothing
    writers at once lose items
        conversations/test_store.py::test_writers_at_once_lose_nothing_and_stay_together

Reliability
    a full queue is a 400 and leaves rows
        runs/test_bounds.py::test_a_thousand_that_wait_are_rows_and_nothing_more
    a row without a job waits for ever
        runs/test_bounds.py::test_a_run_without_a_job_is_queued_again
    kill -9 leaves what waits and what runs: here
    ... one of several workers
        runs/test_deaths.py::test_a_run_outlives
    SIGTERM cancels
        runs/test_rolling.py::test_a_rolling_restart_fails_no_response
    a cancel is looked for at every token: here
    a cancel takes effect at one process alone
        runs/test_background.py::test_it_is_ended_before_its_time
    stored after the answer, and lost in a crash
        runs/test_state_machine.py::test_text
    a dead worker is the end of its streams
        runs/test_deaths.py::test_a_reader_reads_on_while_its_writers_die
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from mcp.server.mcpserver import MCPServer
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.runs.small import rows
from tests.runs.waiting import ended
from tests.tools.real import running
from tests.upstream.scripted import ScriptedUpstream

_NAMED = re.compile(r"(\S+\.py)::(test_\w+)")


def test_every_test_that_is_named_above_is_there() -> None:
    named = _NAMED.findall(__doc__ or "")
    assert len(named) > 25
    for file, test in named:
        text = (Path(__file__).parent.parent / file).read_text()
        assert f"def {test}(" in text, f"{file}::{test}"


def test_what_is_included(gateways: list[httpx.Client]) -> None:
    asked = {"model": "up/thinking", "input": "hello", "include": ["reasoning.encrypted_content"]}
    made = gateways[0].post("/v1/responses", json=asked).json()
    assert made["output"][0]["encrypted_content"]
    path = f"/v1/responses/{made['id']}"
    for form in ("include", "include[]"):
        assert gateways[1].get(path, params={form: "reasoning.encrypted_content"}).json() == made
    assert "encrypted_content" not in gateways[1].get(path).json()["output"][0]
    for place, more in ((path, {}), (path, {"stream": "true"}), (f"{path}/input_items", {})):
        answer = gateways[0].get(place, params={"include": "message.smell", **more})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "include", answer.text


def test_what_is_included_of_the_input(client: OpenAI) -> None:
    image: Any = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    made = client.responses.create(model="up/plain", input=[{"role": "user", "content": [image]}])
    (less,) = client.responses.input_items.list(made.id)
    (whole,) = client.responses.input_items.list(made.id, include=["message.input_image.image_url"])
    assert whole.to_dict()["content"] == [image]
    assert less.to_dict()["content"] == [{"type": "input_image", "detail": "auto"}]


def test_a_conversation_may_be_an_object(client: OpenAI) -> None:
    conversation = client.conversations.create().id
    for given in (conversation, {"id": conversation}):
        made = client.responses.create(model="up/plain", input="hello", conversation=given)  # type: ignore[arg-type]
        assert made.conversation is not None and made.conversation.id == conversation
    assert len(list(client.conversations.items.list(conversation))) == 4


def test_what_is_queued_says_what_was_asked_for(gateways: list[httpx.Client]) -> None:
    asked = {"max_output_tokens": 50, "truncation": "auto", "temperature": 0.5, "metadata": {"a": "b"}}
    body = {"model": "up/plain", "input": "hello", "background": True, **asked}
    queued = gateways[0].post("/v1/responses", json=body).json()
    assert queued["status"] == "queued" and asked.items() <= queued.items()
    assert re.fullmatch(r"resp_[0-9a-f]{48}", queued["id"])


class Meeting:
    """An MCP server whose tool answers when a second call of it is under way."""

    def __init__(self) -> None:
        self.server: MCPServer[Any] = MCPServer("meeting", log_level="CRITICAL")
        there = 0
        both = asyncio.Event()

        @self.server.tool(structured_output=False)
        async def meet() -> str:
            nonlocal there
            there += 1
            if there == 2:
                both.set()
            async with asyncio.timeout(30):
                await both.wait()
            return "met"


@pytest.fixture
def meeting_url() -> Iterator[str]:
    with running(Meeting().server.streamable_http_app()) as port:
        yield f"http://127.0.0.1:{port}/mcp"


def test_tools_of_one_turn_run_side_by_side(client: OpenAI, meeting_url: str) -> None:
    tool: Any = {"type": "mcp", "server_label": "m", "server_url": meeting_url, "require_approval": "never"}
    made = client.responses.create(model="up/agent", input="m__meet & m__meet ; say done", tools=[tool])
    assert [item.output for item in made.output if item.type == "mcp_call"] == ["met", "met"]


def test_authorization_may_be_a_header(client: OpenAI, shop_url: str) -> None:
    tool: Any = {
        "type": "mcp",
        "server_label": "shop",
        "server_url": shop_url,
        "require_approval": "never",
        "headers": {"Authorization": "Bearer mine"},
    }
    made = client.responses.create(model="up/agent", input="shop__header ; say done", tools=[tool])
    assert [item.output for item in made.output if item.type == "mcp_call"] == ["Bearer mine"]


async def test_nobody_looks_for_a_cancel_at_every_token(mesh: RunningMesh, gateways: list[httpx.Client]) -> None:
    """So many tokens cost PostgreSQL next to nothing."""

    async def transactions() -> int:
        (found,) = await rows(
            mesh, "SELECT pg_stat_get_db_xact_commit(oid) AS n FROM pg_database WHERE datname = current_database()"
        )
        return int(found["n"])

    before = await transactions()
    body = {"model": "up/slow-5", "input": "x", "stream": True, "background": True, "max_output_tokens": 400}
    machine = follow(gateways[0].post("/v1/responses", json=body).content)
    assert len(machine.events) > 400
    assert await transactions() - before < 150


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.timeout(120)
def test_killed_workers_leave_nothing_behind(mesh: RunningMesh, client: OpenAI, upstream: ScriptedUpstream) -> None:
    """All of them at once, while some responses are made and others wait."""
    asked: Any = {"model": "up/slow-100", "input": "x", "background": True, "max_output_tokens": 20}
    made = [client.responses.create(**asked).id for _ in range(70)]  # more than are made at once
    mesh.until(lambda: any(one.open for one in upstream.asked("slow-100")))
    for name in ("agents-1", "agents-2"):
        mesh.kill9(name)
    until = time.monotonic() + 90
    for name in made:
        assert ended(client, name, until - time.monotonic()).status == "completed"
    mesh.until(mesh.all_ready)
