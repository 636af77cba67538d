"""One worker is on a host of its own, and for ten seconds nothing that is sent to it or by it arrives."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.load import Line, read_stream, words
from tests.chaos.namespace import Namespace, missing
from tests.chaos.place import Place, eventually, read_metric
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]
PARTITION_SECONDS = 10.0
TOKENS, DELAY_MS = 160, 50
OPS = 9321


@pytest.fixture
async def place(upstream: ScriptedUpstream, tmp_path: Path) -> AsyncIterator[tuple[Place, Namespace]]:
    if why_not := missing():
        pytest.skip(why_not)
    with Namespace() as away:
        url = f"http://{away.host}:{upstream.port}/v1"
        async with Place(tmp_path, url, host="0.0.0.0") as made:
            await made.start_nats(1)
            await made.start("registry")
            await asyncio.gather(made.start("inference", 1), made.start("gateway", 1))
            nats_url = made.nats_urls.replace("127.0.0.1", away.host)
            more = {"NATS_URL": nats_url, "CARAVAN_OPS_HOST": away.guest, "CARAVAN_OPS_PORT": str(OPS)}
            await made.start_away("inference", 2, away.enter, REDIS_URL_FILE="", **more)
            await eventually(lambda: read_metric(metrics(away), "caravan_slots") > 0, 30)
            yield made, away


def metrics(away: Namespace) -> str:
    return f"http://{away.guest}:{OPS}"


def served(away: Namespace) -> float:
    """How many requests the worker over there has answered."""
    return read_metric(metrics(away), "caravan_worker_requests_total", 'outcome="ok"')


async def asked(place: Place, number: int, stream: bool, model: str = "up/slow-50", tokens: int = TOKENS) -> str:
    """What became of a request: "whole", "broken" (and the client can tell), or what is wrong with it."""
    line = await Line.open(place.gateway_port)
    message = {"role": "user", "content": f"request {number}"}
    body = {"model": model, "messages": [message], "max_tokens": tokens, "stream": stream}
    try:
        async with asyncio.timeout(45):
            status, answer = await line.ask(body)
    except (OSError, EOFError) as error:
        return f"the gateway itself broke: {error!r}"
    finally:
        line.close()
    if not stream:
        text = json.loads(answer)["choices"][0]["message"]["content"] if status == 200 else ""
        return "whole" if text == words(tokens) else f"{status} {answer[:200]!r}"
    text, ended = read_stream(answer)
    if status == 200 and ended and text == words(tokens):
        return "whole"
    if status == 200 and not ended and words(tokens).startswith(text) and b'"code":"stream_interrupted"' in answer:
        return "broken"
    return f"{status} ended={ended} {answer[-300:]!r}"


async def test_a_partition_of_a_worker(place: tuple[Place, Namespace], upstream: ScriptedUpstream) -> None:
    mesh, away = place
    before = len(upstream.requests)
    streams = [asyncio.create_task(asked(mesh, number, stream=True)) for number in range(12)]
    plain = [asyncio.create_task(asked(mesh, number, stream=False)) for number in range(100, 112)]
    await eventually(lambda: upstream.open == 24)
    await asyncio.sleep(1)
    away.cut()
    cut_at = time.monotonic()
    meanwhile: list[tuple[float, str]] = []
    while time.monotonic() < cut_at + PARTITION_SECONDS:
        began = time.monotonic()
        what = await asked(mesh, 1000 + len(meanwhile), stream=len(meanwhile) % 2 == 0, model="up/plain", tokens=4)
        meanwhile.append((round(time.monotonic() - began, 3), what))
        await asyncio.sleep(0.2)
    away.mend()
    of_streams, of_plain = await asyncio.gather(*streams), await asyncio.gather(*plain)
    slowest = max(seconds for seconds, _ in meanwhile)
    print(f"{of_streams=} {of_plain=} {len(meanwhile)} meanwhile, slowest {slowest} s")

    assert set(of_streams) <= {"whole", "broken"}, of_streams
    assert "broken" in of_streams, "some were with the worker that was cut off"
    assert "whole" in of_streams, "and some with the other"
    assert of_plain == ["whole"] * 12, "nothing had reached these callers: the other worker answers"
    assert [what for _, what in meanwhile] == ["whole"] * len(meanwhile), "asked meanwhile, the other one serves"
    assert slowest < 3
    asked_upstream = len(upstream.requests) - before
    assert asked_upstream <= 24 + 24 + len(meanwhile), "a request is sent elsewhere once, not again and again"

    # what it went on with meanwhile, for nobody, is given up, and it is asked again
    await eventually(lambda: read_metric(metrics(away), "caravan_slots_used") == 0 and upstream.open == 0, 20)
    was = await asyncio.to_thread(served, away)
    async with asyncio.timeout(20):
        while await asyncio.to_thread(served, away) == was:
            together = [asked(mesh, 5000 + n, stream=True, model="up/slow-20", tokens=10) for n in range(6)]
            assert await asyncio.gather(*together) == ["whole"] * 6
