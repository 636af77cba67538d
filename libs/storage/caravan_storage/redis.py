"""Redis (or Valkey): a few commands with timeouts. Whoever uses it must do without it too.

redis-py costs 0.4 CPU-seconds and 8 MB to import, so it is imported at the first command that needs it, off the event
loop: not for values at a plain address, which pass by it (:mod:`caravan_storage.resp`).
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_storage.resp import Address, Pool, RespError

T = TypeVar("T")

CONNECT_SECONDS = 1.0
COMMAND_SECONDS = 2.0
MAX_CONNECTIONS = 16


class Redis:
    """One bounded pool of connections, made at the first command. Every command raises DependencyDown."""

    def __init__(self, url: str) -> None:
        if not _is_address(url):
            raise CaravanError("REDIS_URL is no URL of a Redis: write redis://user:password@host:6379/0")
        self._url = url
        address = Address.of(url)
        self._values = Pool(address, CONNECT_SECONDS, MAX_CONNECTIONS) if address is not None else None
        """For values, which may be large: redis-py is loaded only for what else there is."""
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def get(self, key: str) -> bytes | None:
        """The value, or None."""
        if self._values is None:
            return await self._run(lambda client: client.get(key))
        value: bytes | None = await self._ask(self._values, b"GET", key.encode())
        return value

    async def put(self, key: str, value: bytes, ttl: float | None = None) -> None:
        """Keep `value`, for `ttl` seconds or for good."""
        milliseconds = int(ttl * 1000) if ttl else None
        if self._values is None:
            await self._run(lambda client: client.set(key, value, px=milliseconds))
            return
        until = (b"PX", b"%d" % milliseconds) if milliseconds is not None else ()
        await self._ask(self._values, b"SET", key.encode(), value, *until)

    async def delete(self, key: str) -> None:
        """Forget it."""
        if self._values is None:
            await self._run(lambda client: client.delete(key))
        else:
            await self._ask(self._values, b"DEL", key.encode())

    async def script(self, source: str, keys: Sequence[str], args: Sequence[str | bytes | int]) -> Any:
        """What a Lua script returns; it runs at once or not at all."""
        return await self._run(lambda client: client.eval(source, len(keys), *keys, *args))

    async def ready(self) -> None:
        """Load what commands need, so that the first takes no longer than the others. Asks the server nothing."""
        if self._client is None:
            await self._open()

    async def ping(self) -> None:
        """Raise DependencyDown unless Redis answers."""
        await self._run(lambda client: client.ping())

    async def close(self) -> None:
        """Close every connection."""
        client, self._client = self._client, None
        if self._values is not None:
            self._values.close()
        if client is not None:
            await client.aclose()

    async def _ask(self, values: Pool, *words: bytes) -> Any:
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await values.ask(*words)
        except (OSError, TimeoutError, RespError) as error:
            raise self._down(error) from error

    async def _run(self, command: Callable[[Any], Awaitable[T]]) -> T:
        client = self._client or await self._open()
        errors = importlib.import_module("redis.exceptions")
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await command(client)
        except (OSError, TimeoutError, errors.RedisError) as error:
            raise self._down(error) from error

    def _down(self, error: Exception) -> DependencyDown:
        # whatever it is: the commands are ours and right, so what the server refuses it cannot do now (its disk is
        # full: MISCONF, it is a replica, its memory is used up)
        reason = str(error) or type(error).__name__
        return DependencyDown(f"Redis at {_place(self._url)} cannot be used now: {reason}", retry_after=2)

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                aio = await asyncio.to_thread(importlib.import_module, "redis.asyncio")
                retry = importlib.import_module("redis.asyncio.retry")
                backoff = importlib.import_module("redis.backoff")
                pool = aio.BlockingConnectionPool.from_url(
                    self._url,
                    max_connections=MAX_CONNECTIONS,
                    timeout=COMMAND_SECONDS,
                    socket_connect_timeout=CONNECT_SECONDS,
                    # our own is around each command; redis-py's is a `wait_for`, which may lose a cancellation
                    socket_timeout=None,
                    # one more try on a fresh connection: the pooled one may be from before a restart
                    retry=retry.Retry(backoff.NoBackoff(), 1),
                )
                self._client = aio.Redis.from_pool(pool)
        return self._client


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("redis", "rediss", "unix") and parts.port != 0
    except ValueError:  # a port that is no number
        return False


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname or parts.path}:{parts.port or 6379}"
