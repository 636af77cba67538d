"""Ten times more than the slots can do, over HTTP: three gateways, two workers, two tenants.

What can be done is given by slots and the time of an answer, not by the CPU: eight slots, one second. What becomes of
that is measured first, with as many clients as there are slots, and what comes of the overload is compared with it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import pytest

from tests.mesh.running import CHATS, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(180)]

SLOTS = 8
ANSWER = 1.0
BODY = {"model": "up/slow-250", "messages": [{"role": "user", "content": "hello"}]}
TOKENS = {False: 4, True: 1}
"""By whether it streams: a stream has three events more, with 250 ms before each."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    folder = tmp_path_factory.mktemp("overload")
    keys = folder / "keys.txt"
    keys.write_text("key-root root root admin\nkey-flood flood\nkey-modest modest\n")
    environment = {
        "CARAVAN_GATEWAY_API_KEYS_FILE": str(keys),
        "CARAVAN_GATEWAY_QUEUE_LIMIT": "12",
        "CARAVAN_GATEWAY_QUEUE_TENANT_LIMIT": "8",
        "CARAVAN_API_KEY": "key-root",
    }
    scale = f"gateway=3,inference=2,{CHATS}"
    made = RunningMesh(folder, upstream, scale, SLOTS // 2, key="key-root", environment=environment)
    made.start()
    made.until(made.all_ready, 30)
    yield made
    made.stop()


@dataclass
class Crowd:
    """Clients, each request on a connection of its own, so that all gateways have some."""

    begin: float
    end: float
    """Between these seconds is counted what the slots do."""
    url: str
    session: aiohttp.ClientSession
    sent: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What is neither an answer nor a clean refusal."""
    limits: int = 0
    """Refusals that name a limit."""
    work: float = 0.0
    """Slot-seconds from `begin` to `end` that were spent on whole answers."""
    broken: int = 0
    """Streams that ended with an event that says so."""
    began: float = field(default_factory=time.monotonic)

    @property
    def goodput(self) -> float:
        """The part of what the slots could do."""
        return self.work / (SLOTS * (self.end - self.begin))

    async def ask(self, tenant: str) -> None:
        self.sent[tenant] += 1
        stream = random.random() < 0.5
        headers = {"Authorization": f"Bearer key-{tenant}", "X-Caravan-Timeout": "20"}
        try:
            body = {**BODY, "stream": stream, "max_tokens": TOKENS[stream]}
            async with self.session.post(self.url, json=body, headers=headers) as answer:
                text = await answer.text()
                if answer.status == 200:
                    whole = text.endswith("data: [DONE]\n\n") if stream else "w3" in text
                    if whole:
                        self._served(tenant)
                    elif '"code":"stream_interrupted"' in text:
                        self.broken += 1
                    else:
                        self.wrong.append(text[-200:])
                else:
                    self.refused[answer.status] += 1
                    self._refusal(answer, text)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.wrong.append(repr(error))

    def _served(self, tenant: str) -> None:
        self.served[tenant] += 1
        end = time.monotonic() - self.began
        self.work += max(0.0, min(end, self.end) - max(end - ANSWER, self.begin))

    def _refusal(self, answer: aiohttp.ClientResponse, text: str) -> None:
        error, headers = json.loads(text)["error"], answer.headers
        codes = {429: "rate_limit_exceeded", 503: "overloaded"}
        clean = (
            error.keys() == {"message", "type", "param", "code"}
            and error["code"] == codes.get(answer.status)
            and int(headers["retry-after"]) >= 1
            and int(headers["retry-after-ms"]) >= 1000
        )
        if limit := headers.get("x-ratelimit-limit-requests"):
            self.limits += 1
            reset = re.fullmatch(r"(\d+m)?\d+s", headers["x-ratelimit-reset-requests"])
            clean = clean and int(limit) > 0 and headers["x-ratelimit-remaining-requests"] == "0" and bool(reset)
        if not clean:
            self.wrong.append(f"{answer.status} {dict(headers)} {text}")

    async def closed(self, tenant: str, clients: int) -> None:
        """So many, each with one request after the other."""

        async def one() -> None:
            while time.monotonic() < self.began + self.end:
                await self.ask(tenant)

        await asyncio.gather(*(one() for _ in range(clients)))

    async def open(self, tenant: str, rate: float) -> None:
        """So many a second, whatever comes of them."""
        tasks: list[asyncio.Task[None]] = []
        while (now := time.monotonic()) < self.began + self.end:
            while len(tasks) < (now - self.began) * rate:
                tasks.append(asyncio.create_task(self.ask(tenant)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*tasks)


@asynccontextmanager
async def sessions() -> AsyncIterator[aiohttp.ClientSession]:
    connector, timeout = aiohttp.TCPConnector(force_close=True, limit=0), aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.timeout(120):
        yield session


def crowd(mesh: RunningMesh, session: aiohttp.ClientSession, begin: float = 2.0, end: float = 14.0) -> Crowd:
    return Crowd(begin, end, f"{mesh.url}/v1/chat/completions", session)


async def test_goodput_holds_and_a_modest_tenant_gets_its_share(mesh: RunningMesh, upstream: ScriptedUpstream) -> None:
    async with sessions() as session:
        calm = crowd(mesh, session)
        await calm.closed("flood", SLOTS)
        assert not calm.wrong and not calm.refused and not calm.broken

        flooded = crowd(mesh, session)
        await asyncio.gather(flooded.open("flood", 10 * SLOTS), flooded.open("modest", 0.3 * SLOTS))
    print(f"goodput {flooded.goodput:.3f} (calm {calm.goodput:.3f}) {flooded}")
    assert not flooded.wrong and not flooded.broken, flooded.wrong[:3]
    assert flooded.goodput >= 0.9 * calm.goodput
    assert flooded.refused.total() + flooded.served.total() == flooded.sent.total(), "nobody is left without a word"
    assert flooded.refused.keys() <= {429, 503} and flooded.refused[429] and flooded.limits
    assert flooded.served["modest"] >= 0.9 * flooded.sent["modest"]
    assert told(mesh, "caravan_queue_position_count") >= flooded.served["modest"]
    assert told(mesh, "caravan_queue_refused_total") == flooded.refused.total()
    await settled(mesh, upstream)


async def test_a_worker_that_dies_in_an_overload_costs_what_it_had_begun(
    mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    """And while it is away, its slots."""
    async with sessions() as session:
        calm = crowd(mesh, session, 1.0, 5.0)
        await calm.closed("flood", SLOTS)
        flooded = crowd(mesh, session, 12.0, 20.0)
        load = asyncio.gather(flooded.open("flood", 10 * SLOTS), flooded.open("modest", 0.3 * SLOTS))
        await asyncio.sleep(4)
        mesh.kill9("inference-1")
        await load
    print(f"goodput {flooded.goodput:.3f} (calm {calm.goodput:.3f}) {flooded}")
    assert not flooded.wrong, flooded.wrong[:3]
    assert flooded.broken <= SLOTS // 2, "streams that had begun"
    assert flooded.goodput >= 0.9 * calm.goodput, "eight seconds later all is as before"
    assert flooded.refused.total() + flooded.served.total() + flooded.broken == flooded.sent.total()
    await settled(mesh, upstream)


async def settled(mesh: RunningMesh, upstream: ScriptedUpstream) -> None:
    """Nothing stays behind."""
    await asyncio.to_thread(mesh.until, lambda: upstream.open == 0)
    await asyncio.to_thread(mesh.until, lambda: not told(mesh, "caravan_queue_depth"))
    await asyncio.to_thread(mesh.until, lambda: not told(mesh, "caravan_slots_used"))


def told(mesh: RunningMesh, metric: str) -> float:
    """What all processes say of it together."""
    total = 0.0
    for name, port in mesh.state["ports"].items():
        if name.startswith("ops-"):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
                lines = page.read().decode().splitlines()
            total += sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(metric + "{"))
    return total
