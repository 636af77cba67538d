from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from tests.admission.virtual import VirtualLoop, share_clock
from tests.bus.lines import MemoryLine
from tests.bus.party import Party


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time, but not where there are other processes."""
    return {"real": asyncio.new_event_loop} if "mesh" in item.path.name else {"virtual": VirtualLoop}


@pytest.fixture
async def party(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Party]:
    share_clock(monkeypatch)
    line = MemoryLine()
    await line.start()
    made = Party(line)
    yield made
    for close in reversed(made.closers):
        await close()
    await line.close()
