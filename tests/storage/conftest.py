"""Real PostgreSQL and Valkey, once per session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from caravan.runtime import Infrastructure


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Infrastructure]:
    async with Infrastructure(tmp_path_factory.mktemp("storage") / "data") as running:
        yield running
