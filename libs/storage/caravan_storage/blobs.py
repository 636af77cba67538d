"""Claim checks: a body too big for the bus lies here while its request is under way; the message carries the claim.

The digest in the claim is checked at the other end, so a claim that was mixed up or a value that was cut is an
error and never a wrong prompt.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import asdict, dataclass
from typing import Final, Protocol, Self

import orjson
from caravan_contracts.errors import CaravanError, InvalidRequest, RequestTooLarge

from caravan_storage.redis import Redis

TTL_SECONDS: Final = 600.0
MAX_BYTES: Final = 64 * 1024 * 1024
_PREFIX: Final = "caravan:blob:"
_END_BYTES: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Claim:
    """What fetches a blob."""

    ref: str
    digest: str
    """SHA-256 of both ends of it, hex: what is mixed up or cut shows there. Hashing all of a large body would cost more
    than carrying it does, and TCP has sums of its own."""
    size: int
    """Bytes."""

    def encode(self) -> str:
        """One header line: ASCII JSON."""
        return orjson.dumps(asdict(self)).decode()

    @staticmethod
    def decode(line: str) -> Claim:
        """The opposite of :meth:`encode`; raises InvalidRequest."""
        try:
            data = orjson.loads(line)
            return Claim(str(data["ref"]), str(data["digest"]), int(data["size"]))
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise InvalidRequest(f"the claim of a body cannot be read: {error!r}") from error


class BlobLost(CaravanError):
    """What was claimed is gone (its time was over, or Redis restarted) or is not what was kept. Send it again."""

    status = 503
    code = "body_lost"
    retryable = True


class Blobs(Protocol):
    """Where blobs lie for at most TTL_SECONDS."""

    async def put(self, data: bytes) -> Claim:
        """Keep `data`. Raises RequestTooLarge over MAX_BYTES, DependencyDown when nothing can be kept."""
        ...

    async def get(self, claim: Claim) -> bytes:
        """What was kept. Raises BlobLost, or DependencyDown."""
        ...

    async def delete(self, claim: Claim) -> None:
        """Forget it before its time."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


class RedisBlobs:
    """Blobs in Redis."""

    def __init__(self, redis: Redis, ttl: float = TTL_SECONDS) -> None:
        self._redis = redis
        self._ttl = ttl

    async def put(self, data: bytes) -> Claim:
        claim = _claim(data)
        await self._redis.put(_PREFIX + claim.ref, data, self._ttl)
        return claim

    async def get(self, claim: Claim) -> bytes:
        return _verified(claim, await self._redis.get(_PREFIX + claim.ref))

    async def delete(self, claim: Claim) -> None:
        await self._redis.delete(_PREFIX + claim.ref)

    async def close(self) -> None:
        await self._redis.close()


class MemoryBlobs:
    """The twin within one process, for tests and one-process use."""

    def __init__(self, ttl: float = TTL_SECONDS) -> None:
        self._ttl = ttl
        self._kept: dict[str, tuple[float, bytes]] = {}

    async def put(self, data: bytes) -> Claim:
        now = time.monotonic()
        self._kept = {ref: kept for ref, kept in self._kept.items() if kept[0] > now}
        claim = _claim(data)
        self._kept[claim.ref] = (now + self._ttl, data)
        return claim

    async def get(self, claim: Claim) -> bytes:
        until, data = self._kept.get(claim.ref, (0.0, None))
        return _verified(claim, data if until > time.monotonic() else None)

    async def delete(self, claim: Claim) -> None:
        self._kept.pop(claim.ref, None)

    async def close(self) -> None:
        self._kept.clear()


class ClaimDesk:
    """Blobs as the bus uses them: a body in, a header line out, and back."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def check_in(self, data: bytes) -> str:
        """Keep `data`; the header line that claims it."""
        return (await self._blobs.put(data)).encode()

    async def claim(self, line: str) -> bytes:
        """What :meth:`check_in` kept. It stays until its time is over, for another worker may have to read it."""
        return await self._blobs.get(Claim.decode(line))

    async def release(self, line: str) -> None:
        """Forget it: the request it belonged to is over."""
        await self._blobs.delete(Claim.decode(line))

    async def close(self) -> None:
        """Let go of connections."""
        await self._blobs.close()


class RedisClaims(ClaimDesk):
    """The desk in front of Redis."""

    @classmethod
    def from_url(cls, url: str) -> Self:
        """A desk of its own connections; nothing is connected before the first use."""
        return cls(RedisBlobs(Redis(url)))


def _claim(data: bytes) -> Claim:
    if len(data) > MAX_BYTES:
        raise RequestTooLarge(f"a body of {len(data)} bytes is over the limit of {MAX_BYTES}")
    return Claim(secrets.token_urlsafe(18), _digest(data), len(data))


def _verified(claim: Claim, data: bytes | None) -> bytes:
    if data is None:
        raise BlobLost("the body of this request is no longer kept; send the request again")
    if len(data) != claim.size or _digest(data) != claim.digest:
        raise BlobLost("the body of this request was damaged on its way; send the request again")
    return data


def _digest(data: bytes) -> str:
    view = memoryview(data)
    made = hashlib.sha256(view[:_END_BYTES])
    if len(data) > _END_BYTES:
        made.update(view[-_END_BYTES:])
    return made.hexdigest()
