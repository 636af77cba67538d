"""The newest events of runs, in Redis: there before anybody reads them, so that whoever goes on knows what was said.

One Redis stream per run. The id of an entry is ``<epoch>-<number of its first event + 1>``: Redis takes ids in order
alone, so once another process has begun a new epoch, the one before can write no more. Everything that all runs of
this process have to say at a time goes out as one command; while it is under way, the next gathers.

Without Redis, or while it is gone, events go out all the same; runs with a journal write them there then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.errors import DependencyDown
from caravan_storage.redis import Redis

log = logging.getLogger(__name__)

DOWN_SECONDS: Final = 1.0
"""How long Redis is left alone after it failed."""
ENDED_SECONDS: Final = 120.0
"""What ended is kept so long for those who are reading it; then PostgreSQL has it."""
_MAX_BATCH: Final = 4 * 1024 * 1024
_PREFIX: Final = "caravan:run:"

_APPEND: Final = """
local wrong = {}
local function last(key)
  local found = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
  if #found == 0 then return '0-0' end
  local epoch = string.match(found[1][1], '^(%d+)-')
  local head = '.*\\ndata: {"type":"[%w_.]+","sequence_number":(%d+)'
  return epoch .. '-' .. (string.match(found[1][2][2], head) or '')
end
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 4
  local made
  if ARGV[at + 1] == 'a' then
    made = redis.pcall('XADD', key, 'NOMKSTREAM', ARGV[at + 2], 'd', ARGV[at + 3])
  else
    made = redis.pcall('XADD', key, ARGV[at + 2], 'd', ARGV[at + 3])
  end
  if not made then
    wrong[#wrong + 1] = i .. ' gone'
  elseif type(made) == 'table' and made.err then
    if not string.find(made.err, 'equal or smaller', 1, true) then return redis.error_reply(made.err) end
    wrong[#wrong + 1] = i .. ' ' .. last(key)
  elseif ARGV[at + 4] ~= '0' then
    redis.call('PEXPIRE', key, ARGV[at + 4])
  end
end
return wrong
"""
_FENCE: Final = """
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local epoch = tonumber(ARGV[1])
if #last > 0 then epoch = math.max(tonumber(string.match(last[1][1], '^(%d+)-')) + 1, epoch) end
redis.call('XADD', KEYS[1], string.format('%d-0', epoch), 'o', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {string.format('%d', epoch), redis.call('XRANGE', KEYS[1], '-', '+')}
"""
_RESTART: Final = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 0 end
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #last > 0 and tonumber(string.match(last[1][1], '^(%d+)-')) > tonumber(ARGV[1]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], string.format('%d-0', tonumber(ARGV[1])), 'o', '')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
_READ: Final = """
if ARGV[2] ~= '0' then redis.call('SET', KEYS[2], '1', 'PX', ARGV[2]) end
return redis.call('XRANGE', KEYS[1], '(' .. ARGV[1], '+', 'COUNT', 256)
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """Some events, whole."""

    id: str
    data: bytes
    """Empty for one that only says that somebody else goes on."""


@dataclass(frozen=True, slots=True)
class Fenced:
    """What a run has said before; nobody adds to it but who fenced it."""

    epoch: int
    entries: list[Entry]

    @property
    def said(self) -> bool:
        """Whether there is anything in it."""
        return any(entry.data for entry in self.entries)


class Tail:
    """One per process."""

    def __init__(self, redis: Redis | None, seconds: float) -> None:
        """Events are kept for so many `seconds` while nobody writes them into PostgreSQL."""
        self._redis = redis
        self._ttl = int(seconds * 1000)
        self._dirty: dict[TailWriter, None] = {}
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._down_until = 0.0

    @property
    def there(self) -> bool:
        """Whether Redis can be used, as far as is known."""
        return self._redis is not None and asyncio.get_running_loop().time() >= self._down_until

    async def start(self) -> None:
        """Write from here on."""
        self._task = asyncio.create_task(self._write(), name="run-tail")

    async def close(self) -> None:
        """Stop writing."""
        if self._task is not None:
            await cancel_and_wait(self._task)
        if self._redis is not None:
            await self._redis.close()

    async def fence(self, tenant: str, id: str, epoch: int, owner: str) -> Fenced | None:
        """Take a run's tail over, with `epoch` or a later one; None without Redis. Raises DependencyDown."""
        found = await self._script(_FENCE, [_key(tenant, id)], [epoch, owner, self._ttl])
        if not found:
            return None
        return Fenced(int(found[0]), _entries(found[1]))

    async def restart(self, tenant: str, id: str, epoch: int) -> bool:
        """Forget the tail and begin it anew, unless somebody has read in it, or goes on with it. Raises
        DependencyDown."""
        keys = [_key(tenant, id), _seen(tenant, id)]
        return bool(await self._script(_RESTART, keys, [epoch, self._ttl]))

    async def read(self, tenant: str, id: str, after: str, first: bool) -> list[Entry]:
        """Entries behind the id `after` (``0-0`` for all); `first` of this reader. Raises DependencyDown."""
        keys = [_key(tenant, id), _seen(tenant, id)]
        return _entries(await self._script(_READ, keys, [after, self._ttl if first else 0]))

    async def forget(self, tenant: str, id: str) -> None:
        """It is not kept any more. Raises DependencyDown."""
        if self._redis is not None and self.there:
            await self._redis.delete(_key(tenant, id))

    def put(self, writer: TailWriter) -> None:
        """`writer` has something to say."""
        self._dirty[writer] = None
        self._wake.set()

    async def _script(self, source: str, keys: list[str], args: list[str | bytes | int]) -> Any:
        if self._redis is None:
            return None
        return await self._redis.script(source, keys, args)

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                try:
                    await self._batch()
                except Exception:
                    log.exception("events could not be written to Redis")
                    await asyncio.sleep(DOWN_SECONDS)

    async def _batch(self) -> None:
        """One command with all there is."""
        keys: list[str] = []
        args: list[str | bytes | int] = []
        writers: list[TailWriter] = []
        asked: list[TailWriter] = []
        size = 0
        there = self.there
        for writer in list(self._dirty):
            if size >= _MAX_BATCH:
                break
            del self._dirty[writer]
            writers.append(writer)
            first, data = writer.gather(there)
            if there and data:
                size += len(data)
                asked.append(writer)
                keys.append(writer.key)
                ttl = int(ENDED_SECONDS * 1000) if writer.ended else 0 if writer.made else self._ttl
                args += ["a" if writer.made else "c", f"{writer.epoch}-{first + 1}", data, ttl]
        if keys:
            try:
                told = dict(line.decode().split(" ", 1) for line in await self._script(_APPEND, keys, args))
            except DependencyDown as error:
                self._down_until = asyncio.get_running_loop().time() + DOWN_SECONDS
                log.warning("events are not kept in Redis now: %s", error.message)
                for writer in asked:
                    writer.broken = True
            else:
                for place, writer in enumerate(asked):
                    writer.answered(told.get(str(place + 1), ""))
        for writer in writers:
            writer.pass_on()


class TailWriter:
    """One run's."""

    __slots__ = (
        "_again",
        "_gathered",
        "_kept",
        "_out",
        "_pieces",
        "_tail",
        "_tried",
        "broken",
        "ended",
        "epoch",
        "fenced",
        "key",
        "made",
    )

    def __init__(
        self,
        tail: Tail,
        tenant: str,
        id: str,
        epoch: int,
        out: Callable[[int], None],
        again: Callable[[int], tuple[int, int, bytes]],
    ) -> None:
        """`out` is told of how many pieces may go out now. `again` gives all that PostgreSQL does not have from the
        event of a number on: the number of its first event, the one behind its last, and the events."""
        self._tail = tail
        self.key = _key(tenant, id)
        self.epoch = epoch
        self._out = out
        self._again = again
        self._pieces: list[tuple[int, int, bytes]] = []
        self._gathered = 0
        self._kept = 0
        """The number behind the last event that Redis has."""
        self._tried = 0
        """The number behind the last event that was sent."""
        self.made = False
        """Whether the stream is there."""
        self.broken = False
        """Whether Redis lacks some of it."""
        self.fenced = False
        """Whether somebody else goes on with the run."""
        self.ended = False
        """Whether what is put now is the last."""

    def go_on(self, first: int) -> None:
        """The stream is there already, up to before the event `first`: it was fenced for this writer."""
        self.made, self._kept = True, first

    def put(self, first: int, behind: int, data: bytes) -> None:
        """Events from the number `first` to that before `behind`."""
        self._pieces.append((first, behind, data))
        self._tail.put(self)

    def gather(self, there: bool) -> tuple[int, bytes]:
        """What is to be written: the number of its first event, and the events."""
        self._gathered = len(self._pieces)
        if self.fenced:
            return 0, b""
        if not there:
            self.broken = self.broken or bool(self._pieces)
            return 0, b""
        if self.broken:
            # Redis was gone: whatever it may lack goes with this
            first, behind, data = self._again(self._kept if self.made else 0)
        elif self._pieces:
            first, behind = self._pieces[0][0], self._pieces[-1][1]
            data = b"".join([piece[2] for piece in self._pieces])
        else:
            return 0, b""
        self._tried = behind
        return first, data

    def answered(self, wrong: str) -> None:
        """What Redis said."""
        if not wrong:
            self.made, self.broken = True, False
            self._kept = self._tried
            return
        if wrong == "gone":
            self.made, self.broken = False, True
            self._tail.put(self)
            return
        epoch, _, number = wrong.partition("-")
        if int(epoch) != self.epoch or not number or not (self.made or self.broken):
            self.fenced = True
            return
        # it was written although Redis could not say so
        self._kept = int(number) + 1
        self.made, self.broken = True, self._kept < self._tried
        if self.broken:
            self._tail.put(self)

    def pass_on(self) -> None:
        """What was gathered may go out."""
        count, self._gathered = self._gathered, 0
        del self._pieces[:count]
        if count:
            self._out(count)


def _key(tenant: str, id: str) -> str:
    return f"{_PREFIX}{tenant}:{id}"


def _seen(tenant: str, id: str) -> str:
    return f"{_PREFIX}{tenant}:{id}:seen"


def _entries(found: Any) -> list[Entry]:
    made = []
    for key, fields in found or ():
        name = key.decode() if isinstance(key, bytes) else str(key)
        made.append(Entry(name, fields[1] if fields[0] == b"d" else b""))
    return made
