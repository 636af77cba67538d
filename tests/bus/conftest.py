from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bus.lines import Line, MemoryLine, NatsLine
from tests.bus.party import Party


@pytest.fixture(params=["memory", "nats"])
async def line(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Line]:
    made: Line = MemoryLine() if request.param == "memory" else NatsLine(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[NatsLine]:
    made = NatsLine(tmp_path)
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def party(line: Line) -> AsyncIterator[Party]:
    made = Party(line)
    yield made
    for close in reversed(made.closers):
        await close()
