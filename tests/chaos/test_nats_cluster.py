"""NATS as a cluster of three: each of its servers is killed in turn, and nobody notices."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import nats
import pytest

from tests.chaos.load import Line, Load
from tests.chaos.place import Place, eventually
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(180)]
STREAMS = ("CARAVAN_COMPLETIONS", "CARAVAN_COMPLETIONS_PARTS", "CARAVAN_COMPLETIONS_DEAD")


@pytest.fixture
async def place(upstream: ScriptedUpstream, tmp_path: Path) -> AsyncIterator[Place]:
    async with Place(tmp_path, upstream.url) as made:
        await made.start_nats(3)
        await made.start("registry")
        await asyncio.gather(
            made.start("inference", 1), made.start("inference", 2), made.start("gateway", 1), made.start("agents", 1)
        )
        await eventually(lambda: "up/plain" in model_ids(made))
        yield made


def model_ids(place: Place) -> list[str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{place.gateway_port}/v1/models", timeout=5) as answer:
        return [row["id"] for row in json.load(answer)["data"]]


def clients(place: Place, node: str) -> list[str]:
    """Names of the connections that a server has."""
    monitor = place.infra.ports.given[f"{node}-monitor"]
    with urllib.request.urlopen(f"http://127.0.0.1:{monitor}/connz", timeout=5) as answer:
        return [row.get("name", "") for row in json.load(answer)["connections"]]


async def replicate(place: Place) -> None:
    """What whoever runs a cluster does once: the queue is kept by all three servers."""
    seed = place.infra.seed_file("agents").read_text().strip()
    line = await nats.connect(
        place.nats_urls.split(","), nkeys_seed_str=seed, inbox_prefix=b"_INBOX.agents", allow_reconnect=False
    )

    async def ask(verb: str, body: bytes) -> dict[str, Any]:
        made: dict[str, Any] = json.loads((await line.request(f"$JS.API.STREAM.{verb}", body, timeout=5)).data)
        return made

    for stream in STREAMS:
        config = (await ask(f"INFO.{stream}", b""))["config"]
        answer = await ask(f"UPDATE.{stream}", json.dumps({**config, "num_replicas": 3}).encode())
        assert "error" not in answer, answer
    async with asyncio.timeout(20):
        for stream in STREAMS:
            while not await _all_current(ask, stream):
                await asyncio.sleep(0.1)
    await line.close()


async def _all_current(ask: Any, stream: str) -> bool:
    cluster = (await ask(f"INFO.{stream}", b"")).get("cluster", {})
    replicas = cluster.get("replicas", [])
    return bool(cluster.get("leader")) and len(replicas) == 2 and all(it.get("current") for it in replicas)


async def test_a_killed_node_costs_no_token_and_no_request(place: Place) -> None:
    async with Load(place.gateway_port, rate=20, streams=8, tokens=120, delay_ms=50) as load:
        for node in place.nodes:
            had = await asyncio.to_thread(clients, place, node)
            print(node, had)
            await asyncio.sleep(1.5)
            await place.nodes[node].hold()
            await asyncio.sleep(4)
            await place.nodes[node].start()
            await asyncio.sleep(2)
    account = load.account
    print(account.plain, "plain,", account.streams, "streams, slowest", account.slowest)
    assert account.wrong == []
    assert account.plain > 200 and account.streams > 8


async def test_what_is_to_be_stored_survives_each_node(place: Place) -> None:
    await replicate(place)
    ids: list[str] = []
    for number, node in enumerate(place.nodes):
        killed = asyncio.create_task(place.nodes[node].hold())
        for turn in range(10):
            ids.append(await stored(place, f"{number}.{turn}"))
            await asyncio.sleep(0.05)
        await killed
        await place.nodes[node].start()
        await asyncio.sleep(2)
    assert len(set(ids)) == 30
    for name in ids:
        await eventually(lambda name=name: found(place, name), 20)  # type: ignore[misc]
    assert listed(place) == 30, "each of them once"


async def stored(place: Place, text: str) -> str:
    line = await Line.open(place.gateway_port)
    try:
        message = {"role": "user", "content": text}
        status, answer = await line.ask({"model": "up/plain", "messages": [message], "store": True})
    finally:
        line.close()
    assert status == 200, answer
    return str(json.loads(answer)["id"])


def found(place: Place, name: str) -> bool:
    url = f"http://127.0.0.1:{place.gateway_port}/v1/chat/completions/{name}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bool(json.load(answer)["id"] == name)


def listed(place: Place) -> int:
    url = f"http://127.0.0.1:{place.gateway_port}/v1/chat/completions?limit=100"
    with urllib.request.urlopen(url, timeout=10) as answer:
        return len(json.load(answer)["data"])
