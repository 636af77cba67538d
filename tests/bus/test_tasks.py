"""Ending tasks, also those that overhear the first word."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.tasks import before, cancel_and_wait


async def test_a_task_that_overhears_its_cancellation_is_told_again() -> None:
    started = asyncio.Event()

    async def deaf() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.Event().wait()  # what wait_for of Python 3.11 comes to, at a bad moment

    task = asyncio.create_task(deaf())
    await started.wait()
    await cancel_and_wait(task)
    assert task.cancelled()


async def test_what_ended_a_task_is_raised_and_its_cancellation_is_not() -> None:
    async def broken() -> None:
        raise ValueError("why")

    task = asyncio.create_task(broken())
    await asyncio.wait({task})
    with pytest.raises(ValueError, match="why"):
        await cancel_and_wait(task)
    await cancel_and_wait(None)
    await cancel_and_wait(asyncio.create_task(asyncio.sleep(60)))


async def test_work_before_a_stop() -> None:
    stop = asyncio.Event()
    assert await before(stop, asyncio.sleep(0, "done")) == "done"
    stop.set()
    assert await before(stop, asyncio.sleep(60, "late")) is None
