"""Kept answers in Redis: each for its time, all of a tenant within a bound."""

from __future__ import annotations

from typing import Final

from caravan_storage.redis import Redis

from caravan_gateway import shelf

_PUT: Final = (
    shelf.KEEP
    + """
redis.call('SET', KEYS[3], ARGV[3], 'PX', ARGV[4])
keep(KEYS[1], KEYS[2], ARGV[1], ARGV[2], #ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
"""
)


class AnswerStore:
    """Every method raises DependencyDown when Redis cannot be used."""

    def __init__(self, redis: Redis, max_tenant_bytes: int) -> None:
        self._redis = redis
        self._max = max_tenant_bytes

    async def ready(self) -> None:
        """See :meth:`Redis.ready`."""
        await self._redis.ready()

    async def get(self, tenant: str, key: str) -> bytes | None:
        """What is kept."""
        return await self._redis.get(_prefix(tenant) + key)

    async def put(self, tenant: str, key: str, answer: bytes, seconds: float) -> None:
        """Keep an answer for so long, or until others need its room."""
        prefix = _prefix(tenant)
        keys = [f"{prefix}:index", f"{prefix}:sizes", prefix + key]
        await self._redis.script(_PUT, keys, [prefix, key, answer, max(1, int(seconds * 1000)), self._max])


def _prefix(tenant: str) -> str:
    return f"caravan:cache:{{{tenant}}}:"
