from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.work_queue.places import MemoryPlace, NatsPlace, Place


@pytest.fixture(params=["memory", "jetstream"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    made: Place = MemoryPlace() if request.param == "memory" else NatsPlace(tmp_path)
    await made.start()
    yield made
    await made.close()
