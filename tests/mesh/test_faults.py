"""kill -9 of every part while requests are under way; what the client sees, exactly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import httpx2 as httpx
import pytest
from openai import APIError, AsyncOpenAI

from tests.mesh.running import RESPONSES, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.chaos
HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def big(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("faults"), upstream, scale=f"inference=3,gateway=2,{RESPONSES}")
    made.start()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def whole(big: RunningMesh) -> None:
    """Each test begins with a mesh in which everything runs."""
    big.until(big.all_ready)


def sdk(mesh: RunningMesh) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30)


async def stream(client: AsyncOpenAI, tokens: int, delay: int) -> tuple[str, bool]:
    """The text that came, and whether the stream ended well."""
    text = ""
    try:
        chunks = await client.chat.completions.create(
            model=f"up/slow-{delay}",
            messages=HELLO,  # type: ignore[arg-type]
            stream=True,
            max_tokens=tokens,
        )
        finished = False
        async for chunk in chunks:
            text += chunk.choices[0].delta.content or ""
            finished = finished or chunk.choices[0].finish_reason == "stop"
    except APIError:
        return text, False
    return text, finished


def words(count: int) -> str:
    return "".join(f"w{i} " for i in range(count))


async def test_a_killed_worker_loses_no_request_that_had_not_begun(
    big: RunningMesh, upstream: ScriptedUpstream
) -> None:
    async with sdk(big) as client:
        plain = [
            asyncio.create_task(client.chat.completions.create(model="up/slow-150", messages=HELLO, max_tokens=6))  # type: ignore[arg-type]
            for _ in range(30)
        ]
        streams = [asyncio.create_task(stream(client, 40, 40)) for _ in range(20)]
        async with asyncio.timeout(30):
            while upstream.open < 50:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # streams have begun
        big.kill9(big.busiest())
        answered = await asyncio.gather(*plain)
        ended = await asyncio.gather(*streams)
    assert [got.choices[0].message.content for got in answered] == [words(6)] * 30
    assert all(words(40).startswith(text) for text, _ in ended)
    for text, well in ended:
        assert well is (text == words(40)), "a broken stream looked complete, or a complete one broken"
    broken = sum(not well for _, well in ended)
    assert 1 <= broken < 20


async def test_every_token_arrives_once_over_a_killed_nats(big: RunningMesh) -> None:
    async with sdk(big) as client:
        streams = [asyncio.create_task(stream(client, 100, 30)) for _ in range(8)]
        await asyncio.sleep(1.0)
        big.kill9("nats")
        assert await asyncio.gather(*streams) == [(words(100), True)] * 8


async def test_requests_made_while_nats_is_away_are_served_when_it_is_back(big: RunningMesh) -> None:
    big.kill9("nats")
    async with sdk(big) as client:
        got = await client.chat.completions.create(model="plain", messages=HELLO)  # type: ignore[arg-type]
    assert got.choices[0].message.content == words(4)


async def test_a_killed_gateway_costs_its_own_connections_only(big: RunningMesh) -> None:
    async with sdk(big) as client:
        streams = [asyncio.create_task(stream(client, 60, 30)) for _ in range(24)]
        await asyncio.sleep(0.8)
        big.kill9("gateway-1")
        ended = await asyncio.gather(*streams, return_exceptions=True)
    complete = [r for r in ended if r == (words(60), True)]
    cut = [r for r in ended if r != (words(60), True)]
    assert complete and cut, "with two gateways on one port some connections were on each"
    assert all(not (isinstance(r, tuple) and r[1]) for r in cut)


async def test_inference_goes_on_without_the_database_redis_and_registry(big: RunningMesh) -> None:
    for part in ("postgres", "valkey", "registry"):
        big.kill9(part)
        async with sdk(big) as client:
            got = await client.chat.completions.create(model="plain", messages=HELLO)  # type: ignore[arg-type]
            assert got.choices[0].message.content == words(4)
    async with httpx.AsyncClient(base_url=big.url) as http:
        async with asyncio.timeout(30):
            while True:
                body = {"model_id": "after", "provider_id": "up", "provider_model_id": "plain"}
                if (await http.post("/v1/models", json=body)).status_code == 200:
                    break
                await asyncio.sleep(0.1)


async def test_a_provider_that_was_down_joins_when_it_comes_up(big: RunningMesh, upstream: ScriptedUpstream) -> None:
    with upstream.down():
        async with httpx.AsyncClient(base_url=big.url) as http:
            provider = {"provider_id": "later", "provider_type": "remote::vllm", "config": {"base_url": upstream.url}}
            assert (await http.post("/v1/providers", json=provider)).status_code == 200
            response = await http.post("/v1/chat/completions", json={"model": "up/plain", "messages": HELLO})
            assert response.status_code == 502
            assert "cannot be reached" in response.json()["error"]["message"]
    big.until(lambda: "later/plain" in big.model_ids(), 20)
    async with httpx.AsyncClient(base_url=big.url) as http:
        await http.delete("/v1/providers/later")


async def test_two_gateways_agree_on_a_change_within_two_seconds(big: RunningMesh) -> None:
    ports = [big.state["ports"][f"ops-gateway-{i}"] for i in (1, 2)]

    def revisions() -> set[str]:
        made = set()
        for port in ports:
            text = httpx.get(f"http://127.0.0.1:{port}/metrics").text
            made.add(next(line for line in text.splitlines() if line.startswith("caravan_registry_revision ")))
        return made

    async with httpx.AsyncClient(base_url=big.url) as http:
        before = revisions()
        await http.post("/v1/models", json={"id": "agreed", "provider_id": "up", "provider_model_id": "plain"})
        big.until(lambda: len(revisions()) == 1 and revisions() != before, 2.0)
