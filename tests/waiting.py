"""To wait for a fact that nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], seconds: float = 30.0, what: object = "") -> None:
    """Look every few milliseconds until it holds; `what` is said when it never does."""
    try:
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.01)
    except TimeoutError:
        raise AssertionError(f"not true after {seconds:.1f} s: {what}") from None
