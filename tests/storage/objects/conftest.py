"""A real server with S3's API, once per session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.storage.objects.seaweed import Seaweed


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def seaweed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Seaweed]:
    async with Seaweed(tmp_path_factory.mktemp("s3") / "data") as running:
        yield running
