"""The mirror in Redis: what a replica that starts without PostgreSQL can serve. Losing it costs nothing."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.errors import DependencyDown
from caravan_contracts.registry import Resource
from caravan_storage.redis import Redis

from caravan_registry.mirror import Mirror

log = logging.getLogger(__name__)

KEY: Final = "caravan:registry:snapshot"
_RETRY_SECONDS: Final = 2.0


class Snapshots:
    """Written in the background, the newest only; without Redis it does nothing."""

    def __init__(self, redis: Redis | None) -> None:
        self._redis = redis
        self._waiting: Mirror | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._down = False

    def start(self) -> None:
        """Begin to write."""
        if self._redis is not None:
            self._task = asyncio.create_task(self._write(self._redis), name="snapshots")

    def save(self, mirror: Mirror) -> None:
        """Write this soon."""
        self._waiting = mirror
        self._wake.set()

    async def read(self) -> tuple[int, list[Resource]] | None:
        """What was written last; None when there is nothing to be had."""
        if self._redis is None:
            return None
        try:
            data = await self._redis.get(KEY)
            return Mirror.undump(data) if data else None
        except (DependencyDown, ValueError) as error:
            log.info("no snapshot in Redis: %s", error)
            return None

    async def close(self) -> None:
        """Write what is waiting no more, and leave."""
        await cancel_and_wait(self._task)
        if self._redis is not None:
            await self._redis.close()

    async def _write(self, redis: Redis) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            mirror = self._waiting
            if mirror is None:
                continue
            try:
                await redis.put(KEY, mirror.dump())
            except DependencyDown as error:
                if not self._down:
                    log.warning("the snapshot is not in Redis: %s", error.message)
                self._down = True
                self._wake.set()
                await asyncio.sleep(_RETRY_SECONDS)
            else:
                self._down = False
