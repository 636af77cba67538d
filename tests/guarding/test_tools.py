"""Results of tools that a response runs, judged on their way to its model: of a real MCP server, of a real store."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx2 as httpx
import pytest
from mcp.server.mcpserver import MCPServer

from tests.mesh.running import RunningMesh
from tests.tools.real import running
from tests.upstream.scripted import ScriptedUpstream

MAIL = "ada@example.org"
TOLD = f"Write to {MAIL}, she knows."


@pytest.fixture(scope="module")
def upstream(open_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return open_upstream


@pytest.fixture(scope="module")
def mesh(open_mesh: RunningMesh) -> Iterator[RunningMesh]:
    """With one guardrail for each of two models."""
    with httpx.Client(base_url=open_mesh.url, timeout=30) as http:
        shield = {"shield_id": "private", "provider_type": "inline::pii"}
        assert http.post("/v1/shields", json=shield).status_code == 200
        for action in ("block", "mask"):
            check = {"stages": ["tool_results"], "shields": ["private"], "action": action, "timeout": 30}
            rule = {"id": f"results-{action}", "models": [f"*/agent-{action}"], "checks": [check]}
            assert http.post("/v1/guardrails", json=rule).status_code == 200
        open_mesh.until(lambda: MAIL not in told_by_the_client(http))  # until who makes responses knows of the last
        yield open_mesh
        for action in ("block", "mask"):
            http.delete(f"/v1/guardrails/results-{action}")
        http.delete("/v1/shields/private")


def told_by_the_client(http: httpx.Client) -> str:
    """A response to a result which its client brings."""
    call = {"type": "function_call", "call_id": "call_1", "name": "look_up", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_1", "output": TOLD}
    given = [{"role": "user", "content": "look_up"}, call, result]
    return http.post("/v1/responses", json={"model": "up/agent-mask", "input": given, "store": False}).text


@pytest.fixture(scope="module")
def shop(mcp_port: int) -> Iterator[dict[str, Any]]:
    """A tool of an MCP server, which says what it is told to say."""
    made: MCPServer[Any] = MCPServer("shop", log_level="CRITICAL")

    @made.tool(structured_output=False)
    def say(text: str) -> str:
        return text

    with running(made.streamable_http_app(streamable_http_path="/guarded"), mcp_port) as port:
        at = f"http://127.0.0.1:{port}/guarded"  # what another server offered at its address is remembered
        yield {"type": "mcp", "server_label": "shop", "server_url": at, "require_approval": "never"}


@pytest.fixture(scope="module")
def library(mesh: RunningMesh) -> Iterator[dict[str, Any]]:
    """A vector store that holds the address."""
    with httpx.Client(base_url=mesh.url, timeout=60) as http:
        new = {"name": "guarded", "embedding_model": "up/text-embed", "embedding_dimension": 3}
        store = http.post("/v1/vector_stores", json=new).json()["id"]
        chunk = {"content": TOLD, "metadata": {"document_id": "letters"}, "embedding": [0.5, -0.25, 0.0]}
        put = http.post("/v1/vector-io/insert", json={"vector_store_id": store, "chunks": [chunk]})
        assert put.status_code == 204, put.text
        yield {"type": "file_search", "vector_store_ids": [store]}
        http.delete(f"/v1/vector_stores/{store}")


def by_mcp(text: str) -> str:
    """What the model of the scripted upstream is to do."""
    return f"shop__say {json.dumps({'text': text})}"


SEARCH = f"file_search {json.dumps({'queries': ['whom?']})}"


def respond(http: httpx.Client, model: str, tool: dict[str, Any], plan: str) -> httpx.Response:
    return http.post("/v1/responses", json={"model": f"up/{model}", "input": plan, "tools": [tool], "store": False})


def results(upstream: ScriptedUpstream, model: str) -> list[str]:
    """What the model was told of its tools."""
    asked = [message for one in upstream.asked(model) for message in one.body["messages"]]
    return [str(message["content"]) for message in asked if message["role"] == "tool"]


@pytest.mark.parametrize(("tool", "plan"), [("shop", by_mcp(TOLD)), ("library", SEARCH)])
def test_what_is_masked_in_a_result_is_not_told_to_the_model(
    http: httpx.Client, upstream: ScriptedUpstream, request: pytest.FixtureRequest, tool: str, plan: str
) -> None:
    before = len(results(upstream, "agent-mask"))
    made = respond(http, "agent-mask", request.getfixturevalue(tool), plan)
    assert made.json()["status"] == "completed", made.text
    (told,) = results(upstream, "agent-mask")[before:]
    assert "Write to [EMAIL], she knows." in told and MAIL not in told
    assert MAIL not in made.json()["output"][-1]["content"][0]["text"]


@pytest.mark.parametrize(("tool", "plan"), [("shop", by_mcp(TOLD)), ("library", SEARCH)])
def test_a_response_ends_with_a_result_that_is_blocked(
    http: httpx.Client, request: pytest.FixtureRequest, tool: str, plan: str
) -> None:
    made = respond(http, "agent-block", request.getfixturevalue(tool), plan).json()
    assert (made["status"], made["error"]["code"]) == ("failed", "invalid_prompt"), made
    assert not [item for item in made["output"] if item["type"] == "message"]


def test_a_result_that_is_good_passes(http: httpx.Client, shop: dict[str, Any]) -> None:
    made = respond(http, "agent-block", shop, by_mcp("Nobody knows.")).json()
    assert made["output"][-1]["content"][0]["text"] == "told: Nobody knows."
