"""Bad tools, bad models, and more of them than fit, in a mesh whose agents services have clocks that are an hour off: a
response ends, in words or as one that failed, and never runs for ever."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest
from caravan_agents.responses.assembly import ResponseObject
from caravan_agents.responses.events import EventWriter
from caravan_agents.responses.request import read_request
from caravan_agents.runs.journal import Journal
from caravan_contracts.context import Principal
from caravan_storage.postgres import Postgres, PostgresOptions
from openai import OpenAI
from openai.types.responses import Response

from tests.mesh.running import RESPONSES, RunningMesh
from tests.responses.machine import follow
from tests.runs.small import database_url, hosts, rows, small
from tests.runs.waiting import ended
from tests.tools.dropping import Dropping
from tests.tools.real import running, server
from tests.upstream.scripted import ScriptedUpstream

TURNS, MOST = 6, 1000
MB = 1024 * 1024


@pytest.fixture(scope="module")
def dropping_url() -> Iterator[str]:
    with running(Dropping(server().streamable_http_app())) as port:
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(scope="module")
def mesh(
    upstream: ScriptedUpstream, shop_url: str, dropping_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMesh]:
    folder = tmp_path_factory.mktemp("bounds")
    path = os.pathsep.join([str(Path(__file__).parent / "clocks"), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {
        "CARAVAN_AGENTS_ALLOWED_HOSTS": hosts(shop_url, dropping_url),
        "CARAVAN_AGENTS_MCP_SECONDS": "3",
        "CARAVAN_AGENTS_MAX_TURNS": str(TURNS),
        "CARAVAN_AGENTS_BACKGROUND_QUEUED": str(MOST),
        "CARAVAN_AGENTS_BACKGROUND_AT_ONCE": "2",
        "CARAVAN_DRAIN_SECONDS": "5",
        "CARAVAN_TEST_CLOCKS": str(folder),
        "PYTHONPATH": path,
    }
    with small(folder, upstream, f"agents=2,{RESPONSES}", **environment) as made:
        assert (folder / "ahead").exists(), "the clocks are wrong"
        yield made


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=30) as made:
        yield made


@pytest.fixture(params=[False, True], ids=["foreground", "background"])
def background(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


long_in_background = pytest.mark.parametrize(
    "background", [False, pytest.param(True, marks=pytest.mark.long)], ids=["foreground", "background"]
)


def shop(url: str, *allowed: str) -> dict[str, Any]:
    return {
        "type": "mcp",
        "server_label": "shop",
        "server_url": url,
        "require_approval": "never",
        "allowed_tools": list(allowed) or None,
    }


def made(client: OpenAI, background: bool, model: str, given: str, tools: list[Any], **more: Any) -> Response:
    begun = client.responses.create(model=f"up/{model}", input=given, tools=tools, background=background, **more)
    return ended(client, begun.id) if background else begun


def calls_of(response: Response) -> list[Any]:
    return [item for item in response.output if item.type == "mcp_call"]


@pytest.mark.long
async def test_a_run_without_a_job_is_queued_again(mesh: RunningMesh, client: OpenAI) -> None:
    """As its writer leaves it, who dies before its job is in the queue. His clock was wrong as well."""
    name = f"resp_{secrets.token_hex(24)}"
    body = b'{"model": "up/plain", "input": "hello", "background": true}'
    wrong = int(time.time()) + 3600
    events = EventWriter(ResponseObject(name, wrong, read_request(body))).start()
    postgres = Postgres(PostgresOptions(database_url(mesh)))
    who = Principal(tenant="default", subject="nobody", roles=("user",))
    try:
        await Journal(postgres).accept("default", name, "up/plain", who, body, True, wrong, queued=MOST, events=events)
    finally:
        await postgres.close()
    assert client.responses.retrieve(name).status == "queued"
    assert ended(client, name, 30).status == "completed"


def test_a_tool_that_is_not_there(client: OpenAI, upstream: ScriptedUpstream, shop_url: str, background: bool) -> None:
    response = made(client, background, "lost-2", "x", [shop(shop_url)])
    assert response.status == "completed" and response.output_text
    told = [message["content"] for message in upstream.requests[-1].body["messages"] if message["role"] == "tool"]
    assert len(told) == 2 and all("There is no tool" in text and "shop__add" in text for text in told)


@long_in_background
def test_a_model_that_goes_on_calling_it(client: OpenAI, shop_url: str, background: bool) -> None:
    response = made(client, background, "lost-99", "x", [shop(shop_url)])
    assert response.status == "failed" and response.error is not None
    assert "not there" in response.error.message


@pytest.mark.parametrize("model", ["endless", "stubborn"])
def test_calls_without_end(client: OpenAI, shop_url: str, background: bool, model: str) -> None:
    """One that is given no tools any more speaks; of one that calls all the same nothing more is asked."""
    response = made(client, background, model, "x", [shop(shop_url, "add")])
    assert len(calls_of(response)) == TURNS
    if model == "endless":
        assert response.status == "completed" and response.output_text
    else:
        assert response.status == "failed" and response.error is not None


def test_as_many_calls_as_are_allowed(client: OpenAI, shop_url: str, background: bool) -> None:
    given = " & ".join('shop__add {"a":1,"b":1}' for _ in range(3)) + " ; say done"
    response = made(client, background, "agent", given, [shop(shop_url)], max_tool_calls=2)
    assert response.status == "completed" and response.output_text == "done"
    calls = calls_of(response)
    assert [call.output for call in calls] == ["2", "2", None] and "max_tool_calls" in str(calls[2].error)


@long_in_background
def test_bad_tools_end_their_call_and_nothing_else(
    mesh: RunningMesh, client: OpenAI, shop_url: str, dropping_url: str, background: bool
) -> None:
    bad = {**shop(dropping_url, "add"), "server_label": "bad"}
    wanted = ["shop__wait", 'shop__say {"letters":50000000}', 'bad__add {"a":1,"b":1}']
    given = " & ".join(wanted) + ' ; shop__add {"a":1,"b":1} ; say done'
    response = made(client, background, "agent", given, [shop(shop_url), bad])
    assert response.status == "completed" and response.output_text == "done"
    hung, long, dropped, good = calls_of(response)
    assert [call.status for call in (hung, long, dropped, good)] == ["failed", "failed", "failed", "completed"]
    assert good.output == "2" and not hung.output and not long.output
    events = httpx.get(f"{mesh.url}/v1/responses/{response.id}", params={"stream": "true"}, timeout=30)
    if background:
        assert follow(events.content).terminal is not None


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"background": True, "store": False}, "background"),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "a"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": "{}"}}}, "text.format.schema"),
    ],
)
def test_what_contradicts_itself_is_named(http: httpx.Client, wrong: dict[str, Any], param: str) -> None:
    answer = http.post("/v1/responses", json={"model": "up/plain", "input": "x", **wrong})
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param


@pytest.mark.chaos
@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_thousand_that_wait_are_rows_and_nothing_more(
    mesh: RunningMesh, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    """Then no more are taken. While they wait nothing is done for any of them."""
    names = [child["name"] for child in mesh.state["children"] if child["name"].startswith("agents")]
    held = [client.responses.create(model="up/hang", input="x", background=True).id for _ in range(4)]
    mesh.until(lambda: len([one for one in upstream.asked("hang") if one.open]) == 4)
    processes = [psutil.Process(mesh.pid(name)) for name in (*names, "gateway", "registry")]
    before = [process.memory_info().rss for process in processes]

    def ask(_: int) -> httpx.Response:
        body = {"model": "up/plain", "input": "wait", "background": True}
        return http.post("/v1/responses", json=body)

    with httpx.Client(base_url=mesh.url, timeout=60) as http, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(MOST)))
        assert {answer.status_code for answer in answers} == {200}
        refused = ask(0)
    assert refused.status_code == 429 and int(refused.headers["retry-after"]) > 0, refused.text
    (counted,) = await rows(mesh, "SELECT count(*) AS n FROM agents_runs WHERE status = 'queued'")
    assert counted["n"] == MOST, "what was refused left no row"
    grown = [(process.memory_info().rss - rss) / MB for process, rss in zip(processes, before, strict=True)]
    assert max(grown) < 24, grown
    spent = await spent_while_waiting(mesh, processes, 2.0)
    assert spent["transactions"] < 300, spent
    assert spent["cpu"] < 1.0, spent
    for name in held:
        client.responses.cancel(name)
    mesh.until(lambda: not any(one.open for one in upstream.asked("hang")), 5)
    assert ended(client, answers[0].json()["id"]).status == "completed"


async def spent_while_waiting(mesh: RunningMesh, processes: list[psutil.Process], seconds: float) -> dict[str, float]:
    """CPU seconds of the processes, and transactions of PostgreSQL, in so many seconds."""

    async def count() -> tuple[float, float]:
        (found,) = await rows(
            mesh, "SELECT pg_stat_get_db_xact_commit(oid) AS n FROM pg_database WHERE datname = current_database()"
        )
        return sum(sum(process.cpu_times()[:2]) for process in processes), float(found["n"])

    cpu, transactions = await count()
    end = time.monotonic() + seconds
    mesh.until(lambda: time.monotonic() > end)
    cpu_after, transactions_after = await count()
    return {"cpu": cpu_after - cpu, "transactions": transactions_after - transactions}
