"""Fifty responses in the background, with tools, while something dies every few seconds: all of them end well, no call
is made twice that may not be, and every stream can be read afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from mcp.server.mcpserver import MCPServer
from mcp.types import ToolAnnotations
from openai import OpenAI
from openai.types.responses import Response

from tests.chaos.killing import killing
from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.runs.waiting import ended
from tests.tools.real import running
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(480)]
RUNS, TURNS, EVERY, PATIENCE = 50, 3, 5.0, 300.0
CALLS = TURNS * 2
VICTIMS = ("agents-1", "agents-2", "inference-1", "inference-2", "gateway-1", "gateway-2", "nats", "valkey")


class Shop:
    """An MCP server that counts."""

    def __init__(self) -> None:
        self.made: Counter[tuple[str, str, int]] = Counter()
        self._lock = threading.Lock()
        self.server: MCPServer[Any] = MCPServer("shop", log_level="CRITICAL")

        @self.server.tool(annotations=ToolAnnotations(read_only_hint=True), structured_output=False)
        def look(task: str, step: int) -> str:
            return self._make("look", task, step)

        @self.server.tool(structured_output=False)
        def charge(task: str, step: int) -> str:
            return self._make("charge", task, step)

    def _make(self, tool: str, task: str, step: int) -> str:
        with self._lock:
            self.made[tool, task, step] += 1
        time.sleep(0.2)
        return f"{tool} {task} {step}"


@pytest.fixture
def shop() -> Iterator[tuple[Shop, str]]:
    made = Shop()
    with running(made.server.streamable_http_app(stateless_http=True)) as port:
        yield made, f"http://127.0.0.1:{port}/mcp"


@pytest.fixture
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    environment = {"CARAVAN_AGENTS_ALLOWED_HOSTS": "127.0.0.1", "CARAVAN_AGENTS_BACKGROUND_AT_ONCE": "4"}
    scale = "gateway=2,inference=2,agents=2"
    made = RunningMesh(tmp_path_factory.mktemp("runs"), upstream, scale=scale, environment=environment)
    made.start()
    made.until(made.all_ready)
    yield made
    made.stop()


def asked(url: str, number: int) -> dict[str, Any]:
    tool = {
        "type": "mcp",
        "server_label": "shop",
        "server_url": url,
        "allowed_tools": ["look" if number % 2 else "charge"],
        "require_approval": "never",
    }
    return {"model": f"up/work-{TURNS}", "input": f"task {number}", "tools": [tool]}


def begin(client: OpenAI, url: str, number: int) -> Response:
    return client.responses.create(**asked(url, number), background=True)


def test_every_run_ends_well_whatever_dies(mesh: RunningMesh, shop: tuple[Shop, str]) -> None:
    counted, url = shop
    client = OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30)
    with ThreadPoolExecutor(10) as pool:
        begun = list(pool.map(lambda number: begin(client, url, number), range(RUNS)))
    with killing(mesh, VICTIMS, EVERY) as killed:
        made = [ended(client, response.id, PATIENCE) for response in begun]
    assert len(killed) >= 3, "something has to die while they run"
    mesh.until(mesh.all_ready, 30)
    for number, response in enumerate(made):
        assert response.status == "completed", (number, response.error, killed)
        check_calls(response, number, counted)
    streams(mesh, made)


@pytest.mark.parametrize("victim", ["postgres", "valkey", "nats", "inference", "agents"])
def test_streams_with_tools_outlive_a_death_between_two_calls(
    mesh: RunningMesh, shop: tuple[Shop, str], victim: str
) -> None:
    """In the foreground, all of them at once; it dies when each has made a call."""
    counted, url = shop
    called, dead = threading.Barrier(4, timeout=60), threading.Event()

    def read(number: int) -> Response:
        seen = b""
        with httpx.stream(
            "POST", f"{mesh.url}/v1/responses", json={**asked(url, number), "stream": True}, timeout=60
        ) as answer:
            for piece in answer.iter_bytes():
                seen += piece
                if b"mcp_call.completed" in seen and not dead.is_set():
                    called.wait()
                    assert dead.wait(60)
        machine = follow(seen)
        assert machine.terminal is not None
        return Response.model_validate(machine.terminal)

    with ThreadPoolExecutor(3) as pool:
        reading = [pool.submit(read, number) for number in range(3)]
        called.wait()
        mesh.kill9(mesh.busiest(victim) if victim in ("agents", "inference") else victim)
        dead.set()
        made = [one.result(90) for one in reading]
    mesh.until(mesh.all_ready, 30)
    for number, response in enumerate(made):
        assert response.status == "completed", (number, response.error)
        check_calls(response, number, counted)


def check_calls(response: Response, number: int, counted: Shop) -> None:
    """Every call is there once; one that may not be made twice was not, whatever died."""
    tool = "look" if number % 2 else "charge"
    calls = [item for item in response.output if item.type == "mcp_call"]
    assert len(calls) == CALLS and response.output_text
    for step, call in enumerate(calls):
        times = counted.made[tool, f"task {number}", step]
        if tool == "look":
            assert call.output == f"look task {number} {step}" and times >= 1, call
        else:
            assert times <= 1, f"a call was made {times} times"
            assert call.output == f"charge task {number} {step}" or call.error, call


def streams(mesh: RunningMesh, made: list[Response]) -> None:
    with httpx.Client(base_url=mesh.url, timeout=30) as http:
        for response in made:
            machine = follow(http.get(f"/v1/responses/{response.id}", params={"stream": "true"}).content)
            assert machine.terminal is not None
            assert Response.model_validate(machine.terminal) == response
