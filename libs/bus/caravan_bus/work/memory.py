"""The in-memory twin of a work queue: same Protocol, same rules, one process. For tests and for trying things out."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

from caravan_contracts.errors import DependencyDown, RequestTooLarge
from caravan_contracts.work import Queue

from caravan_bus.work.queue import Delivery, Depth, Job, QueueFull


@dataclass(slots=True)
class _Entry:
    seq: int
    job: Job
    delivered: int = 0
    free_at: float = 0.0
    """When it may be delivered (again)."""
    held: bool = False


class MemoryServer:
    """What JetStream keeps of one queue. `stop` and `start` are the server's; what it keeps it has afterwards."""

    def __init__(self, spec: Queue) -> None:
        self.spec = spec
        self.up = True
        self.entries: OrderedDict[int, _Entry] = OrderedDict()
        self.dead: list[tuple[Job, str]] = []
        self.seq = 0
        self.came = asyncio.Event()
        self._seen: dict[str, float] = {}

    def stop(self) -> None:
        """The server dies."""
        self.up = False

    def start(self) -> None:
        """The server is back."""
        self.up = True
        self.came.set()

    def connect(self) -> MemoryQueue:
        """The queue as another process sees it."""
        return MemoryQueue(self)

    def keep(self, job: Job) -> None:
        """Raises QueueFull."""
        now = time.monotonic()
        if self._seen.get(job.id, 0.0) > now:
            return
        if sum(len(e.job.data) for e in self.entries.values()) + len(job.data) > self.spec.max_bytes:
            raise QueueFull(f"the queue {self.spec.name} is full", retry_after=5)
        self._seen[job.id] = now + self.spec.duplicate_window
        self.seq += 1
        self.entries[self.seq] = _Entry(self.seq, job)
        self.came.set()

    def ready(self) -> list[_Entry]:
        """What may be delivered now."""
        now = time.monotonic()
        return [entry for entry in self.entries.values() if entry.free_at <= now]


class MemoryQueue:
    """See :class:`caravan_bus.work.queue.WorkQueue`."""

    def __init__(self, server: MemoryServer) -> None:
        self._server = server

    @property
    def spec(self) -> Queue:
        return self._server.spec

    @property
    def connected(self) -> bool:
        return self._server.up

    async def declare(self) -> None:
        self._check()

    def send(self, job: Job) -> asyncio.Future[None]:
        made: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        try:
            self._check()
            if len(job.data) > self.spec.max_job:
                raise RequestTooLarge(f"a job of {len(job.data)} bytes; the queue takes {self.spec.max_job}")
            self._server.keep(job)
        except (DependencyDown, QueueFull, RequestTooLarge) as error:
            made.set_exception(error)
        else:
            made.set_result(None)
        return made

    async def take(self, limit: int, timeout: float) -> list[Delivery]:
        until = time.monotonic() + timeout
        while True:
            ready = self._server.ready() if self._server.up else []
            if ready:
                return [_Delivery(self._server, entry) for entry in ready[:limit]]
            left = until - time.monotonic()
            if left <= 0:
                return []
            self._server.came.clear()
            nearest = min((e.free_at - time.monotonic() for e in self._server.entries.values()), default=left)
            try:
                async with asyncio.timeout(max(0.001, min(left, nearest))):
                    await self._server.came.wait()
            except TimeoutError:
                continue

    async def release(self) -> None:
        """Nothing comes unasked here."""

    async def depth(self) -> Depth:
        self._check()
        working = sum(entry.held for entry in self._server.entries.values())
        return Depth(len(self._server.entries) - working, working)

    async def caught_up(self, timeout: float) -> bool:
        self._check()
        until, last = time.monotonic() + timeout, self._server.seq
        while any(seq <= last for seq in self._server.entries):
            if time.monotonic() >= until:
                return False
            await asyncio.sleep(0.005)
        return True

    def _check(self) -> None:
        if not self._server.up:
            raise DependencyDown("the in-memory server is stopped")


class _Delivery:
    def __init__(self, server: MemoryServer, entry: _Entry) -> None:
        self._server = server
        self._entry = entry
        entry.delivered += 1
        entry.held = True
        self.job = entry.job
        self.number = entry.delivered
        self.working()

    def working(self) -> None:
        if self._server.up:
            self._entry.free_at = time.monotonic() + self._server.spec.ack_wait

    def done(self) -> None:
        if self._server.up:
            self._server.entries.pop(self._entry.seq, None)

    def again(self, delay: float = 0.0) -> None:
        if self._server.up:
            self._entry.held = False
            self._entry.free_at = time.monotonic() + delay
            self._server.came.set()

    async def bury(self, reason: str) -> None:
        if not self._server.up:
            raise DependencyDown("the in-memory server is stopped")
        self._server.dead.append((self.job, reason))
        self.done()
