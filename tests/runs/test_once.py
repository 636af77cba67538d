"""A response that is asked for twice with one Idempotency-Key is made once."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.upstream.scripted import ScriptedUpstream

BODY: dict[str, Any] = {"model": "up/slow-20", "input": "once", "max_output_tokens": 40}


@pytest.mark.parametrize("stream", [True, False])
def test_it_is_made_once(gateways: list[httpx.Client], upstream: ScriptedUpstream, stream: bool) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    before = len(upstream.requests)

    def ask(client: httpx.Client) -> httpx.Response:
        return client.post("/v1/responses", json={**BODY, "stream": stream}, headers=headers)

    with ThreadPoolExecutor() as pool:
        answers = list(pool.map(ask, gateways))
    answers.append(ask(gateways[0]))
    assert len({answer.content for answer in answers}) == 1 and len(upstream.requests) == before + 1
    told = [answer.headers["x-caravan-idempotency"] for answer in answers]
    assert sorted(told) == ["attached"] * (len(answers) - 1) + ["run"]
    other = gateways[0].post("/v1/responses", json={**BODY, "input": "other"}, headers=headers)
    assert other.status_code == 409 and other.headers["x-should-retry"] == "false"


def read_and_kill(answer: httpx.Response, pieces: list[bytes], mesh: RunningMesh) -> None:
    """Read, and kill every gateway once words come."""
    left = ["gateway-1", "gateway-2"]
    for piece in answer.iter_bytes():
        pieces.append(piece)
        while left and b"output_text.delta" in piece:
            mesh.kill9(left.pop())


@pytest.mark.chaos
@pytest.mark.long
def test_it_goes_on_when_its_gateway_dies(mesh: RunningMesh, gateways: list[httpx.Client]) -> None:
    headers = {"Idempotency-Key": secrets.token_hex(8)}
    body = {**BODY, "model": "up/slow-50", "stream": True}
    pieces: list[bytes] = []
    asked = gateways[0].stream("POST", "/v1/responses", json=body, headers=headers)
    with asked as answer, pytest.raises(httpx.TransportError):
        read_and_kill(answer, pieces, mesh)
    seen = b"".join(pieces)
    mesh.until(mesh.all_ready)
    again = gateways[1].post("/v1/responses", json=body, headers=headers).content
    machine = follow(again)
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    cut = seen[: seen.rfind(b"\n\n") + 2]
    assert cut and again.startswith(cut), "the same response goes on"
