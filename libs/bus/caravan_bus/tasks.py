"""Two things every owner of a task needs."""

from __future__ import annotations

import asyncio
from typing import Any


async def cancel_and_wait(task: asyncio.Task[Any] | None, timeout: float = 5.0) -> None:
    """Cancel `task` and wait until it is over; an error it ended with is raised here, its cancellation is not."""
    if task is None:
        return
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=timeout)
    if not done:
        raise TimeoutError(f"task {task.get_name()} did not stop within {timeout} s")
    if not task.cancelled() and task.exception() is not None:
        raise task.exception() or RuntimeError("unreachable")
