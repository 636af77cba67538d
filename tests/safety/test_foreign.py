"""Shields over the bus, as any NATS client asks them: in the name of its own tenant, whatever it says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.mesh.running import RunningMesh

BODY = {"input": "4111 1111 1111 1111", "model": "pii"}


@pytest.fixture
async def carol(mesh: RunningMesh) -> AsyncIterator[Client]:
    seed = Path(mesh.folder, "data", "bus", "carol.nk")
    if not seed.is_file():  # noqa: ASYNC240 - made once
        done = mesh.command("bus", "user", "add", "carol", "--tenant", "acme")
        assert done.returncode == 0, done.stdout + done.stderr
    client = await nats.connect(mesh.state["urls"]["nats"], nkeys_seed=str(seed), inbox_prefix="_INBOX.carol")
    yield client
    await client.close()


async def ask(client: Client, verb: str, body: Any, headers: dict[str, str] | None = None) -> Msg:
    return await client.request(f"caravan.v1.safety.{verb}.acme.carol", json.dumps(body).encode(), 20, headers=headers)


async def test_a_nats_client_moderates(carol: Client) -> None:
    made = json.loads((await ask(carol, "moderate", BODY)).data)
    assert made["results"][0]["categories"]["pii/credit_card"] is True


async def test_a_nats_client_runs_a_shield(carol: Client) -> None:
    asked = {"shield_id": "pii", "messages": [{"role": "user", "content": "ada@example.org"}]}
    made = json.loads((await ask(carol, "run_shield", asked)).data)
    assert made["violation"]["metadata"]["violation_type"] == "email"


async def test_it_is_who_its_credentials_say(carol: Client, mesh: RunningMesh, amy: Any, bea: Any) -> None:
    claimed = {
        "Caravan-Principal": '{"tenant":"other","subject":"bea","roles":["admin"]}',
        "Caravan-Request-Id": "bus-1",
    }
    await ask(carol, "moderate", BODY, claimed)

    def rows(http: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = http.get("/v1/safety/verdicts", params={"request_id": "bus-1"}).json()["data"]
        return found

    mesh.until(lambda: bool(rows(amy)))
    assert [row["subject"] for row in rows(amy)] == ["carol"]
    assert rows(bea) == []


async def test_what_is_wrong_is_told(carol: Client) -> None:
    answer = await ask(carol, "moderate", {"input": 7})
    assert answer.headers is not None
    assert answer.headers["Nats-Service-Error-Code"] == "400"
    assert "input" in json.loads(answer.data)["error"]["param"]
