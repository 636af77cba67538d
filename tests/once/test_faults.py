"""Gateways and Redis die while a key is in use: nobody is told a false end, and no key is stuck."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import uuid
from contextlib import AsyncExitStack

import httpx2 as httpx
import pytest
from openai import AsyncOpenAI

from tests.mesh.running import RunningMesh
from tests.once.doors import DONE, Door, Doors, chat
from tests.stored.upstream import NumberedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.long]
STUCK_SECONDS = 12.0
"""A lease, the doubt after it, and what a busy machine adds."""


@pytest.fixture
def key() -> str:
    return uuid.uuid4().hex


def calls(upstream: NumberedUpstream, text: str) -> int:
    return sum(text in json.dumps(one.body) for one in upstream.requests)


async def test_a_gateway_is_killed_in_the_middle(
    doors: Doors, mesh: RunningMesh, upstream: NumberedUpstream, key: str
) -> None:
    body = chat(key, "up/slow-50", max_tokens=80, stream=True)
    first, attached, late = await doors.open(1), await doors.open(2), await doors.open(2)
    async with first.stream(body, key) as stream, attached.stream(body, key) as other:
        await stream.until(b"w3 ")
        await other.until(b"w3 ")
        mesh.kill9("gateway-1")
        with pytest.raises(httpx.HTTPError):
            await stream.rest()
        began = time.monotonic()
        async with late.stream(body, key) as again:  # it waits until the run is lost, then runs afresh
            assert time.monotonic() - began < STUCK_SECONDS
            assert again.response.headers["x-caravan-idempotency"] == "run"
            text = await again.rest()
        cut = await other.rest()
    assert text.endswith(DONE) and text.count(b"w0 ") == 1 and b"w79 " in text
    assert DONE not in cut and b"stream_interrupted" in cut
    assert calls(upstream, key) == 2


async def test_the_official_client_whose_gateway_is_killed(
    doors: Doors, mesh: RunningMesh, upstream: NumberedUpstream, key: str
) -> None:
    async with AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="key-ada", max_retries=6, timeout=30) as client:
        asking = asyncio.create_task(
            client.chat.completions.create(
                model="up/slow-100",
                messages=[{"role": "user", "content": key}],
                max_tokens=15,
                extra_headers={"Idempotency-Key": key},
            )
        )
        async with asyncio.timeout(30):
            while not calls(upstream, key):
                await asyncio.sleep(0.01)
        for name in ("gateway-1", "gateway-2"):
            mesh.kill9(name)
        made = await asking
    assert made.choices[0].finish_reason == "stop"
    assert calls(upstream, key) == 2


async def test_a_gateway_that_leaves_lets_others_have_the_end(
    doors: Doors, mesh: RunningMesh, upstream: NumberedUpstream, key: str
) -> None:
    body = chat(key, "up/slow-50", max_tokens=60, stream=True)
    first, second = await doors.open(1), await doors.open(2)
    async with AsyncExitStack() as leaving:
        stream = await leaving.enter_async_context(first.stream(body, key))
        await stream.until(b"w1 ")
        async with second.stream(body, key) as attached:
            await attached.until(b"w1 ")
            await leaving.aclose()
            os.kill(mesh.pid("gateway-1"), signal.SIGTERM)
            text = await attached.rest()
    assert text.endswith(DONE) and b"w59 " in text
    assert calls(upstream, key) == 1


async def test_redis_is_killed_and_comes_back(
    doors: Doors, mesh: RunningMesh, upstream: NumberedUpstream, key: str
) -> None:
    body = chat(key, "up/slow-50", max_tokens=80, stream=True)
    first, same, other = await doors.open(1), await doors.open(1), await doors.open(2)
    async with first.stream(body, key) as stream, other.stream(body, key) as attached:
        await stream.until(b"w3 ")
        await attached.until(b"w3 ")
        mesh.kill9("valkey")
        refused = await _refused(await doors.open(2), key)
        here = await same.whole(body, key)
        one, two = await stream.rest(), await attached.rest()
    assert one.endswith(DONE) and here[0] == one, "on its own gateway a run needs no Redis to go on"
    assert two == one or (DONE not in two and b'"error"' in two)
    assert refused is None or refused.headers["retry-after"]
    async with asyncio.timeout(30):
        while (again := await other.post(chat(key + " again"), key + "-2")).status_code != 200:
            assert again.json()["error"]["code"] == "dependency_down"
            await asyncio.sleep(0.1)
    assert calls(upstream, key + '"') == 1


async def _refused(door: Door, key: str) -> httpx.Response | None:
    """What a new key is told while Redis is away; None when it was back before."""
    answer: httpx.Response = await door.post(chat(key + " refused"), key + "-refused")
    if answer.status_code == 200:
        return None
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "dependency_down"
    return answer


async def test_a_gateway_that_hangs_is_taken_for_lost(
    doors: Doors, mesh: RunningMesh, upstream: NumberedUpstream, key: str
) -> None:
    """Two runs then, and everybody gets a whole answer: the worst that may happen."""
    body = chat(key, "up/slow-50", max_tokens=40, stream=True)
    first, second = await doors.open(1), await doors.open(2)
    async with first.stream(body, key) as stream:
        await stream.until(b"w1 ")
        pid = mesh.pid("gateway-1")
        os.kill(pid, signal.SIGSTOP)
        try:
            async with asyncio.timeout(30):
                plain = await second.post({**body, "stream": False}, key)
                assert plain.status_code == 409
                text, headers = await second.whole(body, key)
        finally:
            os.kill(pid, signal.SIGCONT)
        assert text.endswith(DONE) and headers["x-caravan-idempotency"] == "run"
        one = await stream.rest()
    assert DONE in one or b'"error"' in one
    again, _ = await second.whole(body, key)
    assert again == text
