"""Real servers in temporary data folders."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from caravan.runtime import Infrastructure


@pytest.fixture
async def infra(tmp_path: Path) -> AsyncIterator[Infrastructure]:
    async with Infrastructure(tmp_path / "data") as running:
        yield running
