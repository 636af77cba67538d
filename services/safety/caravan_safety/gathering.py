"""Work that belongs together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def gathered(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What each returns, in order. When one of them fails the others are given up: unlike with ``asyncio.gather``
    nobody goes on asking models for an answer that nobody waits for."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
