from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.indexes import prepare

from tests.infrastructure import choice
from tests.infrastructure.protocol import Servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def postgres(servers: Servers) -> AsyncIterator[Postgres]:
    made = Postgres(PostgresOptions(servers.database_url))
    await prepare(made)
    yield made
    await made.close()
