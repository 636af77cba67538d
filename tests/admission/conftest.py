from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bus.lines import MemoryLine
from tests.bus.party import Party


@pytest.fixture
async def party() -> AsyncIterator[Party]:
    line = MemoryLine()
    await line.start()
    made = Party(line)
    yield made
    for close in reversed(made.closers):
        await close()
    await line.close()
