"""Every process is stopped and started again, one after the other, under load: nobody notices.

``CARAVAN_CHAOS_STREAM_SECONDS=30`` has streams of half a minute in flight rather than eight seconds; that takes three
minutes.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.chaos.load import Load
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

STREAM_SECONDS = float(os.environ.get("CARAVAN_CHAOS_STREAM_SECONDS") or 8)
PARTS = ("gateway-1", "inference-1", "registry", "agents", "gateway-2", "inference-2")
DELAY_MS = 50

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(180 + 12 * STREAM_SECONDS)]


@pytest.fixture
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    environment = {"CARAVAN_DRAIN_SECONDS": str(STREAM_SECONDS + 20)}
    made = RunningMesh(tmp_path_factory.mktemp("rolling"), upstream, scale="gateway=2,inference=2")
    made.environment = environment
    made.start()
    yield made
    made.stop()


async def test_a_rolling_restart_of_everything_fails_no_request(mesh: RunningMesh) -> None:
    port = urlsplit(mesh.url).port
    assert port is not None
    tokens = int(STREAM_SECONDS * 1000 / DELAY_MS)
    async with Load(port, rate=50, streams=12, tokens=tokens, delay_ms=DELAY_MS) as load:
        await asyncio.sleep(2)
        for name in PARTS:
            await restarted(mesh, name)
            await asyncio.sleep(1)
    account = load.account
    print(account.plain, "plain,", account.streams, "streams,", account.opened, "connections, slowest", account.slowest)
    assert account.wrong == []
    assert account.plain > 50 * len(PARTS) and account.streams > 12


async def test_no_connection_that_begins_while_a_gateway_leaves_is_reset(mesh: RunningMesh) -> None:
    port = urlsplit(mesh.url).port
    assert port is not None
    async with Load(port, rate=250, streams=0, alone=1) as load:
        for name in ("gateway-1", "gateway-2") * 2:
            await asyncio.sleep(1)
            await restarted(mesh, name)
    account = load.account
    print(account.plain, "plain,", account.opened, "connections, slowest", account.slowest)
    assert account.wrong == []
    assert account.opened >= account.plain > 1000


async def restarted(mesh: RunningMesh, name: str) -> None:
    """SIGTERM, as a new version would be rolled out; back when another process does its work."""
    before = mesh.pid(name)
    os.kill(before, signal.SIGTERM)

    def back() -> bool:
        child = next(it for it in mesh.state["children"] if it["name"] == name)
        return child["pid"] not in (None, before) and child["phase"] == "ready" and mesh.all_ready()

    await asyncio.to_thread(mesh.until, back, STREAM_SECONDS + 60)
