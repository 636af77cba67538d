"""Memory that was freed is used again, and in the end given back."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from caravan_bus import allocator

from tests.waiting import until

MB = 1024 * 1024

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much memory is in use")


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_what_lies_free_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_TRIM_SECONDS", 0.01)
    pieces = [bytearray(b"x" * 64 * 1024) for _ in range(1600)]
    full = resident()
    last = pieces[-1]  # what is still in use at the end keeps all before it from going by itself
    pieces.clear()
    giving = asyncio.create_task(allocator.give_back())
    try:
        await until(lambda: resident() < full - 50 * MB)
    finally:
        giving.cancel()
    assert len(last) == 64 * 1024
