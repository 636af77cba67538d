"""Memory that is shared out: whoever needs much of it waits until there is so much."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from caravan_contracts.errors import Overloaded


class Room:
    """So many bytes, for all in this process together."""

    def __init__(self, most: int) -> None:
        self._free = self._most = most
        self._changed = asyncio.Condition()

    @asynccontextmanager
    async def taken(self, size: int, seconds: float) -> AsyncIterator[None]:
        """`size` bytes for the time of the block, or all that there are. Raises Overloaded when `seconds` were not
        enough to get them."""
        size = min(size, self._most)
        async with self._changed:
            try:
                async with asyncio.timeout(seconds):
                    await self._changed.wait_for(lambda: self._free >= size)
            except TimeoutError as error:
                raise Overloaded(
                    "other requests have files in all the memory that is for them", retry_after=5
                ) from error
            self._free -= size
        try:
            yield
        finally:
            async with self._changed:
                self._free += size
                self._changed.notify_all()
