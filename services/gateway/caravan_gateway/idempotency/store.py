"""Claims and answers in Redis.

| Key (``caravan:once:{tenant}:<scope>``…) | What | How long |
| --- | --- | --- |
| the claim | state, run, fingerprint | LEASE_SECONDS while it runs, renewed; then the window, or FAILED_SECONDS |
| ``:data`` | its answer so far | a minute more than the lease; then as the claim |
| ``:wanted`` | somebody follows it from another gateway | WANTED_SECONDS, renewed |

Each step is one script, so nobody ever sees half of one. Answers of a tenant are bounded by bytes (:mod:`shelf`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from caravan_storage.redis import Redis

from caravan_gateway import shelf
from caravan_gateway.idempotency.claim import Claim, Scope

FAILED_SECONDS: Final = 10.0
LEASE_SECONDS: Final = 6.0
"""A gateway that dies keeps its keys no longer than this."""
WANTED_SECONDS: Final = 2.0
_PIECE: Final = 256 * 1024
"""Bytes fetched at once."""

_CLAIM: Final = """
local now = redis.call('GET', KEYS[1])
if now and string.sub(now, 1, 1) ~= 'f' and now ~= ARGV[2] then return now end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
redis.call('DEL', KEYS[2], KEYS[3])
return false
"""
_WRITE: Final = """
local now = redis.call('GET', KEYS[1])
if now and now ~= ARGV[1] then return -2 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[4])
if redis.call('STRLEN', KEYS[2]) ~= tonumber(ARGV[2]) then return -1 end
if #ARGV[3] > 0 then redis.call('APPEND', KEYS[2], ARGV[3]) end
redis.call('PEXPIRE', KEYS[2], ARGV[4] + 60000)
return redis.call('EXISTS', KEYS[3])
"""
_END: Final = (
    shelf.KEEP
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
redis.call('DEL', KEYS[3])
if tonumber(ARGV[4]) >= 0 then
  keep(KEYS[4], KEYS[5], ARGV[5], ARGV[6], redis.call('STRLEN', KEYS[2]), tonumber(ARGV[3]), tonumber(ARGV[4]))
end
return 1
"""
)
_POLL: Final = """
local now = redis.call('GET', KEYS[1])
if now and string.sub(now, 1, 1) == 'r' then redis.call('SET', KEYS[3], '1', 'PX', ARGV[3]) end
return {now, redis.call('GETRANGE', KEYS[2], ARGV[1], ARGV[1] + ARGV[2] - 1),
        redis.call('PTTL', KEYS[1]), redis.call('STRLEN', KEYS[2])}
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1], KEYS[2], KEYS[3]) end
"""


class ClaimLost(Exception):
    """Somebody else runs the request now."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as it is now."""

    claim: Claim | None
    piece: bytes
    """What of its answer follows on the offset asked for."""
    left: int
    """Milliseconds until the claim ends; it grows when who runs it gives a sign of life."""
    size: int
    """Bytes that are kept of its answer."""


class RunStore:
    """Every method raises DependencyDown when Redis cannot be used."""

    def __init__(self, redis: Redis, seconds: float, max_tenant_bytes: int) -> None:
        """Finished answers are kept for `seconds`, all of a tenant within `max_tenant_bytes`."""
        self._redis = redis
        self._seconds = seconds
        self._max = max_tenant_bytes

    async def claim(self, scope: Scope, mine: Claim, instead_of: Claim | None = None) -> Claim | None:
        """Take a scope that nobody has, whose run failed, or that `instead_of` has; None when it is ours now, the
        claim of who has it otherwise."""
        args: list[str | bytes | int] = [mine.encode(), instead_of.encode() if instead_of else b"", _ms(LEASE_SECONDS)]
        found = await self._redis.script(_CLAIM, _keys(scope), args)
        made = Claim.decode(found) if found else None
        return None if made is not None and made.run == mine.run else made  # ours: the command was sent twice

    async def write(self, scope: Scope, mine: Claim, offset: int, piece: bytes) -> bool | None:
        """Add to the answer, and say that we live. True when somebody follows from elsewhere; None when Redis has not
        what was written before (:meth:`forget`, then write it again). Raises ClaimLost."""
        said = await self._redis.script(_WRITE, _keys(scope), [mine.encode(), offset, piece, _ms(LEASE_SECONDS)])
        if said == -2:
            raise ClaimLost
        return None if said == -1 else bool(said)

    async def forget(self, scope: Scope) -> None:
        """Drop what is kept of an answer that we write."""
        await self._redis.delete(_keys(scope)[1])

    async def done(self, scope: Scope, mine: Claim, size: int) -> None:
        """The run ended well, and its whole answer is written."""
        prefix = _prefix(scope.tenant)
        keys = [*_keys(scope), f"{prefix}:index", f"{prefix}:sizes"]
        args: list[str | bytes | int] = [mine.encode(), mine.done(size).encode(), _ms(self._seconds), self._max]
        args += [prefix, scope.name]
        await self._redis.script(_END, keys, args)

    async def failed(self, scope: Scope, mine: Claim, ended: Claim) -> None:
        """It did not: told to those who follow it, and to nobody else."""
        await self._redis.script(_END, _keys(scope), [mine.encode(), ended.encode(), _ms(FAILED_SECONDS), -1])

    async def release(self, scope: Scope, mine: Claim) -> None:
        """A claim of which nothing came."""
        await self._redis.script(_RELEASE, _keys(scope), [mine.encode()])

    async def poll(self, scope: Scope, offset: int) -> Seen:
        """Look at a run, and say that it is wanted."""
        said = await self._redis.script(_POLL, _keys(scope), [offset, _PIECE, _ms(WANTED_SECONDS)])
        claim, piece, left, size = said
        return Seen(Claim.decode(claim) if claim else None, piece or b"", left, size)

    async def unwanted(self, scope: Scope) -> None:
        """Who followed it from elsewhere went away; others say so again with their next :meth:`poll`."""
        await self._redis.delete(_keys(scope)[2])


def _prefix(tenant: str) -> str:
    return f"caravan:once:{{{tenant}}}:"


def _keys(scope: Scope) -> list[str]:
    base = _prefix(scope.tenant) + scope.name
    return [base, f"{base}:data", f"{base}:wanted"]


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
