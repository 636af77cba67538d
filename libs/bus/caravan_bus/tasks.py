"""What every owner of a task needs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
_AGAIN_SECONDS = 1.0


async def cancel_and_wait(task: asyncio.Task[Any] | None, timeout: float = 5.0) -> None:
    """Cancel `task` and wait until it is over; an error it ended with is raised here, its cancellation is not."""
    if task is None:
        return
    until = asyncio.get_running_loop().time() + timeout
    while not task.done():
        left = until - asyncio.get_running_loop().time()
        if left <= 0:
            raise TimeoutError(f"task {task.get_name()} did not stop within {timeout} s")
        # more than once: before Python 3.12 `wait_for` loses a cancellation that comes with its result
        task.cancel()
        await asyncio.wait({task}, timeout=min(left, _AGAIN_SECONDS))
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or RuntimeError("unreachable")


async def before(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None when `stop` comes first (then it is cancelled)."""
    task = asyncio.create_task(work)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await cancel_and_wait(stopped)
    if task.done():
        return task.result()
    await cancel_and_wait(task)
    return None
