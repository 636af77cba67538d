from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from caravan_agents.tools.files.service import FileSearching
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.requests import Requester

from tests.file_search.stores import Stores, serving
from tests.infrastructure import choice


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def nats_url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A real NATS, without users."""
    server = choice.runtime().open_nats(tmp_path_factory.mktemp("nats"))
    await server.start()
    yield server.url
    await server.close()


@pytest.fixture
async def stores(nats_url: str) -> AsyncIterator[Stores]:
    async with serving(Stores(), nats_url) as made:
        yield made


@pytest.fixture
async def searching(nats_url: str) -> AsyncIterator[FileSearching]:
    """As an agents service has it."""
    nats = await connect(NatsOptions(nats_url, "agents"), patience=10)
    requester = Requester(nats, "agents", "a1")
    await requester.start()
    yield FileSearching(requester, seconds=2.0)
    await requester.close()
    await nats.close()
