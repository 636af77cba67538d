"""Discovery of the mesh the NATS way, and its doors for foreign clients."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest
from caravan_contracts.users import SERVICES
from nats.aio.client import Client

from tests.mesh.running import RunningMesh


async def connect(mesh: RunningMesh, user: str, seed: Path) -> Client:
    return await nats.connect(
        mesh.state["urls"]["nats"], nkeys_seed=str(seed), inbox_prefix=f"_INBOX.{user}".encode(), allow_reconnect=False
    )


@pytest.fixture(scope="package")
def foreign(mesh: RunningMesh) -> Path:
    done = mesh.command("bus", "user", "add", "analytics")
    assert done.returncode == 0, done.stdout + done.stderr
    seeds = list((mesh.folder / "data").rglob("*analytics*"))
    assert seeds, done.stdout
    return seeds[0]


def operator_seed(mesh: RunningMesh) -> Path:
    return next(p for p in (mesh.folder / "data").rglob("*operator*") if p.is_file())


async def test_every_service_answers_ping_info_and_stats(mesh: RunningMesh) -> None:
    client = await connect(mesh, "operator", operator_seed(mesh))
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    found: dict[str, dict[str, object]] = {}
    for verb in ("PING", "INFO", "STATS"):
        await client.publish(f"$SRV.{verb}", b"", reply=inbox)
        for _ in SERVICES:
            answer = json.loads((await answers.next_msg(timeout=15)).data)
            assert answer["type"] == f"io.nats.micro.v1.{verb.lower()}_response"
            found.setdefault(answer["name"], {})[verb] = answer
    assert found.keys() == {f"caravan-{service}" for service in SERVICES}
    stats = found["caravan-inference"]["STATS"]
    endpoints = {e["name"]: e for e in stats["endpoints"]}  # type: ignore[index, attr-defined]
    assert endpoints["at-chat"]["num_requests"] >= 0 and "chat" in endpoints
    await client.close()


async def test_a_foreign_client_reads_a_stream_in_plain_messages(mesh: RunningMesh, foreign: Path) -> None:
    client = await connect(mesh, "analytics", foreign)
    inbox = client.new_inbox()
    answers = await client.subscribe(inbox)
    body = {"model": "plain", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    await client.publish("caravan.v1.inference.chat.default.analytics", json.dumps(body).encode(), reply=inbox)
    text = b""
    while (message := await answers.next_msg(timeout=15)).data:
        text += message.data
    assert not message.headers
    assert b'"w0 "' in text and text.endswith(b"data: [DONE]\n\n")
    await client.close()


async def test_a_foreign_client_gets_errors_by_the_service_headers(mesh: RunningMesh, foreign: Path) -> None:
    client = await connect(mesh, "analytics", foreign)
    answer = await client.request(
        "caravan.v1.inference.chat.default.analytics", b'{"model":"nope","messages":[{"role":"user"}]}'
    )
    assert answer.headers is not None and answer.headers["Nats-Service-Error-Code"] == "404"
    assert json.loads(answer.data)["error"]["code"] == "model_not_found"
    await client.close()


@pytest.mark.parametrize(
    "subject",
    [
        "caravan.v1.inference.chat.default.somebody-else",
        "caravan.v1.inference.chat.other-tenant.analytics",
        "caravan.v1.registry.put",
        "caravan.v1.inference.at.inf-1.chat",
        "caravan.v1.ctl.inf-1.gw-1",
        "$SRV.PING",
    ],
)
async def test_a_foreign_client_may_publish_under_its_own_name_only(
    mesh: RunningMesh, foreign: Path, subject: str
) -> None:
    refused: asyncio.Future[Exception] = asyncio.get_running_loop().create_future()

    async def on_error(error: Exception) -> None:
        if not refused.done():
            refused.set_result(error)

    client = await nats.connect(
        mesh.state["urls"]["nats"], nkeys_seed=str(foreign), inbox_prefix=b"_INBOX.analytics", error_cb=on_error
    )
    await client.publish(subject, b"{}")
    await client.flush()
    assert "permissions violation" in str(await asyncio.wait_for(refused, 30)).lower()
    await client.close()


async def test_a_foreign_client_cannot_read_another_inbox_or_have_it_written(mesh: RunningMesh, foreign: Path) -> None:
    refused = asyncio.Event()

    async def on_error(error: Exception) -> None:
        refused.set()

    client = await nats.connect(
        mesh.state["urls"]["nats"], nkeys_seed=str(foreign), inbox_prefix=b"_INBOX.analytics", error_cb=on_error
    )
    await client.subscribe("_INBOX.gateway.>")
    await client.flush()
    await asyncio.wait_for(refused.wait(), 30)
    subject = "caravan.v1.inference.chat.default.analytics"
    body = b'{"model":"plain","messages":[{"role":"user"}]}'
    await client.publish(subject, body, reply="_INBOX.gateway.gw-1.1")
    await client.flush()
    mesh.until(lambda: "named an inbox that is not its own" in mesh.log("inference"), 15)
    await client.close()


def test_nobody_connects_without_a_key(mesh: RunningMesh) -> None:
    where = urlsplit(mesh.state["urls"]["nats"])
    with socket.create_connection((where.hostname, where.port), timeout=30) as raw, raw.makefile("rb") as lines:
        assert lines.readline().startswith(b"INFO ")
        raw.sendall(b'CONNECT {"verbose":false}\r\nPING\r\n')
        assert b"Authorization Violation" in lines.readline()
