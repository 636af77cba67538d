from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.bus.lines import MemoryLine
from tests.routing.house import House


@pytest.fixture
async def house() -> AsyncIterator[House]:
    line = MemoryLine()
    await line.start()
    made = House(line)
    yield made
    await made.close()
    await line.close()
