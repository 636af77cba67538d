"""Processes of the agents service that die while they tell somebody something."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from caravan_agents.webhooks import endpoints
from caravan_agents.webhooks.service import Webhooks
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.work.api import JetStream
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts.users import AGENTS
from caravan_contracts.work import WEBHOOKS

from tests.chaos.place import Place
from tests.waiting import until
from tests.webhooks.receiver import SECRET, Receiver, receiver
from tests.work_queue.places import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.long]

HOOKS = """
webhooks:
  - url: {url}
    secret: ${{env.HOOK_SECRET}}
    tenant: acme
    allow_private: true
"""
ENVIRONMENT = {
    "HOOK_SECRET": SECRET,
    "CARAVAN_LOG_LEVEL": "debug",
    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),  # of a tree that is not the one installed
}


@pytest.fixture
async def there() -> AsyncIterator[Receiver]:
    async with receiver().open() as made:
        yield made


@pytest.fixture
async def place(tmp_path: Path, there: Receiver) -> AsyncIterator[Place]:
    async with Place(tmp_path, "http://127.0.0.1:9") as made:
        stack = tmp_path / "caravan.yaml"
        stack.write_text(stack.read_text() + HOOKS.format(url=there.url))
        await made.start_nats(1)
        yield made


@asynccontextmanager
async def teller(place: Place) -> AsyncIterator[Webhooks]:
    """Whoever ends a response, with the bus user of the agents service."""
    seed = place.infra.seed_file(AGENTS).read_text().strip()
    transport = await connect(NatsOptions(place.nats_urls, AGENTS, seed, "teller"), patience=10)
    api = JetStream(transport, AGENTS, "teller")
    await api.start()
    known = endpoints.load(str(place.folder / "caravan.yaml"), ENVIRONMENT)
    try:
        yield Webhooks(JetStreamQueue(api, WEBHOOKS), known)
    finally:
        await api.close()
        await transport.close()


async def test_an_event_outlives_the_process_that_was_about_to_tell_it(place: Place, there: Receiver) -> None:
    """kill -9 in the middle of a try, and again between two: it is told in the end, and not again once it is taken."""
    there.hold.clear()
    there.status = lambda heard: 200 if len(there.heard) > 2 else 500
    first = await place.start(AGENTS, 1, **ENVIRONMENT)
    async with teller(place) as webhooks:

        async def told() -> None:
            # from an hour ahead: pauses grow with age, and this test has no time for that
            await webhooks.notify("acme", "resp_1", "completed", at=int(time.time()) + 3600)

        await eventually(told)
        await until(lambda: len(there.heard) == 1)
        first.send(signal.SIGKILL)  # in mid-try; it is started again, as by `caravan up`
        there.hold.set()
        await until(lambda: len(there.heard) == 2, 40)
        first.send(signal.SIGKILL)  # it was told 500, and the next try is to come
        await until(lambda: len(there.heard) == 3, 40)
        await place.start(AGENTS, 2, **ENVIRONMENT)
        await webhooks.notify("acme", "resp_1", "completed")
        await webhooks.notify("acme", "resp_2", "failed")
        await until(lambda: there.events()[-1] == "resp_2", 40)
    assert there.events() == ["resp_1"] * 3 + ["resp_2"]
    assert len({heard.headers["webhook-id"] for heard in there.heard[:3]}) == 1
    assert [heard.verified().type for heard in there.heard[2:]] == ["response.completed", "response.failed"]
    logs = [path.read_text() for path in place.folder.glob("agents-*.log")]
    assert len(logs) == 2 and SECRET not in "".join(logs)
