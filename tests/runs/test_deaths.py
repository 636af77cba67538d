"""What dies under a run in the background: whoever makes it, and everything it needs."""

from __future__ import annotations

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.runs.waiting import ended

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]

WORDS = "".join(f"w{number} " for number in range(60))
SLOW = {"model": "up/slow-50", "input": "hello", "background": True, "max_output_tokens": 60}


def owner_of(mesh: RunningMesh) -> str:
    """The agents service that makes a response in the background now."""
    mesh.until(lambda: bool(busy(mesh)))
    return busy(mesh)[0]


def busy(mesh: RunningMesh) -> list[str]:
    names = [child["name"] for child in mesh.state["children"] if child["name"].startswith("agents")]
    return [name for name in names if mesh.metric(name, "caravan_runs_held") > 0]


@pytest.mark.parametrize(
    "victim",
    [
        "owner",
        "owner+valkey",
        "nats",
        "valkey",
        "postgres",
        "inference",
    ],
)
def test_a_run_outlives(mesh: RunningMesh, client: OpenAI, gateways: list[httpx.Client], victim: str) -> None:
    queued = client.responses.create(**SLOW)
    owner = owner_of(mesh)
    for name in victim.split("+"):
        mesh.kill9(owner if name == "owner" else name)
    made = ended(client, queued.id, 60)
    assert made.status == "completed", made.error
    assert len(made.output) == 1 and made.output_text == WORDS
    events = gateways[0].get(f"/v1/responses/{queued.id}", params={"stream": "true"}).content
    machine = follow(events)
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    mesh.until(mesh.all_ready)


@pytest.mark.parametrize(
    ("victim", "background"),
    [
        ("owner", True),
        ("valkey", True),
        ("postgres", False),
        pytest.param("nats", True),
        pytest.param("postgres", True),
        pytest.param("owner", False),
        pytest.param("nats", False),
        pytest.param("valkey", False),
    ],
)
def test_a_reader_reads_on_while_its_writers_die(
    mesh: RunningMesh, gateways: list[httpx.Client], victim: str, background: bool
) -> None:
    """Whatever is killed is back before the end."""
    body = {**SLOW, "stream": True, "background": background, "max_output_tokens": 100}
    with gateways[0].stream("POST", "/v1/responses", json=body, timeout=60) as answer:
        pieces = answer.iter_bytes()
        seen = next(pieces)
        while b"output_text.delta" not in seen:
            seen += next(pieces)
        if victim == "owner":
            mesh.kill9(owner_of(mesh) if background else mesh.busiest("agents"))
        else:
            mesh.kill9(victim)
        seen += b"".join(pieces)
    machine = follow(seen)
    assert machine.terminal is not None and machine.terminal["status"] == "completed", machine.terminal
    mesh.until(mesh.all_ready)
    assert gateways[1].get(f"/v1/responses/{machine.id}", params={"stream": "true"}).content == seen.replace(
        b": ping\n\n", b""
    )
