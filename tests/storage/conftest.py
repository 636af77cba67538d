"""Real PostgreSQL and Valkey, once per session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.infrastructure import choice
from tests.infrastructure.protocol import Servers


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("storage")) as running:
        yield running
