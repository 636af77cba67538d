"""Where big bodies lie while their request is under way (see caravan_storage.blobs)."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol

from caravan_contracts import headers as h
from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_bus.transport import Message

log = logging.getLogger(__name__)

INLINE_LIMIT: Final = 256 * 1024
"""Larger bodies travel as a claim check."""
_RELEASE_SECONDS: Final = 2.0


class Claims(Protocol):
    """A place for bodies that are too big for the bus."""

    async def check_in(self, data: bytes) -> str:
        """Keep `data`; return the header line that claims it."""
        ...

    async def claim(self, line: str) -> bytes:
        """Fetch what :meth:`check_in` kept."""
        ...

    async def release(self, line: str) -> None:
        """Forget it before its time."""
        ...


async def body_of(message: Message, claims: Claims | None) -> bytes:
    """What a message says, be it inline or claimed. Raises DependencyDown, and what :meth:`Claims.claim` raises."""
    line = message.headers.get(h.CLAIM)
    if not line:
        return message.data
    if claims is None:
        raise DependencyDown("this worker has no Redis to fetch a large body from; set REDIS_URL")
    return await claims.claim(line)


async def give_up(claims: Claims, line: str) -> None:
    """Forget a body, if that can be done soon; otherwise its time ends it."""
    try:
        async with asyncio.timeout(_RELEASE_SECONDS):
            await claims.release(line)
    except (CaravanError, TimeoutError) as error:
        log.info("a body stays in Redis until its time is over: %r", error)
