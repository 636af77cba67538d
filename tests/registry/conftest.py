"""Registries beside real servers: NATS, PostgreSQL and Valkey once per session, a database of its own for each test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.infrastructure import choice
from tests.infrastructure.protocol import Servers
from tests.registry.bench import Bench


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def bench(servers: Servers, tmp_path: Path) -> AsyncIterator[Bench]:
    name = f"test_{tmp_path.name}".lower().replace("-", "_")[-60:]
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute(f'DROP DATABASE IF EXISTS "{name}"')
    await admin.execute(f'CREATE DATABASE "{name}"')
    await admin.close()
    made = Bench(servers, servers.database_url.rpartition("/")[0] + f"/{name}", tmp_path)
    await made.start()
    try:
        yield made
    finally:
        async with asyncio.timeout(30):
            await made.close()
