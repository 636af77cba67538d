"""Memory for files that models are told."""

from __future__ import annotations

import asyncio

import pytest
from caravan_agents.room import Room
from caravan_contracts.errors import Overloaded


async def test_no_more_is_taken_than_there_is() -> None:
    room, held, most = Room(10), 0, 0

    async def take(size: int) -> None:
        nonlocal held, most
        async with room.taken(size, 30.0):
            held += size
            most = max(most, held)
            await asyncio.sleep(0)
            held -= size

    await asyncio.gather(*(take(size) for size in (4, 7, 10, 3, 1, 9, 6) * 5))
    assert held == 0
    assert 7 <= most <= 10


async def test_who_waits_too_long_is_told() -> None:
    room = Room(10)
    async with room.taken(99, 1.0):  # more than there is: all of it
        with pytest.raises(Overloaded):
            async with room.taken(1, 0.01):
                pass
    async with room.taken(10, 0.01):
        pass


async def test_who_gives_up_waiting_takes_nothing() -> None:
    room = Room(10)

    async def wait() -> None:
        async with room.taken(10, 30.0):
            pass

    async with room.taken(10, 1.0):
        waiting = asyncio.create_task(wait())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait({waiting})
    async with room.taken(10, 0.01):
        pass
