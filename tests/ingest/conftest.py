from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from caravan_bus.work.memory import MemoryServer
from caravan_contracts.work import INGEST
from caravan_storage.objects import from_url
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.indexes import prepare
from caravan_vector.parsing.pool import ParserPool

from tests.infrastructure import choice
from tests.infrastructure.protocol import Servers
from tests.ingest.house import House, Shelf


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def postgres(servers: Servers) -> AsyncIterator[Postgres]:
    made = Postgres(PostgresOptions(servers.database_url))
    await prepare(made)
    yield made
    await made.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def pool() -> AsyncIterator[ParserPool]:
    made = ParserPool(2)
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="package")
async def house(postgres: Postgres, pool: ParserPool, tmp_path: Path) -> AsyncIterator[House]:
    made = make(postgres, pool, tmp_path)
    await made.sql("TRUNCATE vector_stores CASCADE")
    yield made
    await made.close()


@pytest.fixture
def another(house: House, pool: ParserPool) -> Callable[..., House]:
    """Another process of the same service."""

    def begin(**more: Any) -> House:
        return House(house.postgres, house.shelf, house.server, pool, **more)

    return begin


def make(postgres: Postgres, pool: ParserPool, folder: Path, **more: Any) -> House:
    objects = from_url((folder / "objects").as_uri(), {})
    return House(postgres, Shelf(objects), MemoryServer(INGEST), pool, **more)
