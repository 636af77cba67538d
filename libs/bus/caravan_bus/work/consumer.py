"""Working on jobs: so many at once, each until it is done.

A job is done when its handler returns, so the handler returns only when its result is kept. What a handler raises says
what becomes of the job:

- :class:`JobRefused`: nobody can do it; it is put aside among the dead at once.
- :class:`TryLater`: it is given back, and is delivered again after the pause that the handler wishes.
- an error that is `retryable` (PostgreSQL is down): it stays here, and is tried again with growing pauses for as long
  as that takes; this costs the job none of its tries.
- anything else: it is given back and tried again later, here or elsewhere, until its tries are used up.

A worker that dies costs a job one try: a job that kills its worker each time ends among the dead, too.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from caravan_contracts import headers as h
from caravan_contracts.errors import CaravanError, DependencyDown

from caravan_bus import metrics, tracing
from caravan_bus.discovery import EndpointStats
from caravan_bus.pauses import pauses
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.work.queue import Delivery, Job, JobRefused, TryLater, WorkQueue

log = logging.getLogger(__name__)

Handler = Callable[[Job], Awaitable[None]]
"""Does one job, once or more often to the same effect. It returns when the result is kept."""

_TAKE_SECONDS = 5.0
_LOOK_SECONDS = 5.0
_BEATS = 3
"""Signs of life within one `ack_wait`."""


@dataclass(frozen=True, slots=True)
class ConsumerOptions:
    """Bounds and pauses, in jobs and seconds."""

    at_once: int = 8
    max_bytes: int = 64 * 1024**2
    """Of jobs under way: while there are so many, no further job is begun."""
    first_pause: float = 0.1
    longest_pause: float = 5.0


class Consumer:
    """One per queue and process: :meth:`start`, then :meth:`drain`."""

    def __init__(self, queue: WorkQueue, handler: Handler, options: ConsumerOptions | None = None) -> None:
        self._queue = queue
        self._handler = handler
        self._options = options or ConsumerOptions()
        self._running: dict[asyncio.Task[None], Delivery] = {}
        self._bytes = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._awaited = ""
        """What jobs wait for here; "" when nothing keeps them."""
        self._back = asyncio.Event()
        """Set when one of them went through: the others need not wait their pauses out."""
        self.stats = EndpointStats()
        self.problem = "the queue is not there yet"
        """Why nothing can be taken now; "" when all is well."""

    def __len__(self) -> int:
        return len(self._running)

    async def start(self) -> None:
        """Begin; the queue is made as soon as its server is there."""
        self._tasks = [
            asyncio.create_task(self._take(), name=f"take-{self._queue.spec.name}"),
            asyncio.create_task(self._beat(), name=f"beat-{self._queue.spec.name}"),
            asyncio.create_task(self._look(), name=f"look-{self._queue.spec.name}"),
        ]

    async def drain(self, timeout: float) -> None:
        """Take nothing new, finish what is under way within `timeout` seconds, give back the rest."""
        if not self._tasks:
            return
        taking, *others = self._tasks
        await cancel_and_wait(taking)
        await self._queue.release()
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)
        left = dict(self._running)
        for job in left:
            job.cancel()
        for job, delivery in left.items():
            try:
                await cancel_and_wait(job)
            except Exception:
                log.exception("a job is given back", extra={"job": delivery.job.id})
            delivery.again()
        for task in others:
            await cancel_and_wait(task)

    async def refresh(self) -> None:
        """Bring the numbers for discovery and metrics up to date. Raises DependencyDown."""
        depth = await self._queue.depth()
        name = self._queue.spec.name
        metrics.WORK_WAITING.labels(name).set(depth.waiting)
        metrics.WORK_UNDER_WAY.labels(name).set(depth.working)
        self.stats.data = {"waiting": depth.waiting, "working": depth.working, "here": len(self._running)}

    async def _take(self) -> None:
        declared = failed = False
        tries = pauses(self._options.first_pause, self._options.longest_pause)
        while True:
            try:
                if not declared:
                    await self._queue.declare()
                    declared = True
                    if not failed:  # else the first take has to show that it can be read
                        self.problem = ""
                free = self._options.at_once - len(self._running)
                if free <= 0 or self._bytes >= self._options.max_bytes:
                    await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                    continue
                deliveries = await self._queue.take(free, _TAKE_SECONDS)
            except CaravanError as error:
                declared, failed = False, True
                self.problem = error.message
                log.info("the queue %s cannot be read now: %s", self._queue.spec.name, error.message)
                await asyncio.sleep(next(tries))
                continue
            if failed:
                failed, self.problem = False, ""
                tries = pauses(self._options.first_pause, self._options.longest_pause)
            for delivery in deliveries:
                self._begin(delivery)

    def _begin(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._see_through(delivery), name=f"job-{delivery.job.id}")
        self._running[task] = delivery
        self._bytes += len(delivery.job.data)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._bytes -= len(self._running.pop(task).job.data)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a job was left to another worker", exc_info=error)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._queue.spec.ack_wait / _BEATS)
            for delivery in list(self._running.values()):
                delivery.working()

    async def _look(self) -> None:
        """Keep the numbers for discovery and metrics fresh."""
        while True:
            try:
                await self.refresh()
            except CaravanError as error:
                log.debug("the queue %s cannot be looked at now: %s", self._queue.spec.name, error.message)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _see_through(self, delivery: Delivery) -> None:
        spec, job = self._queue.spec, delivery.job
        began = time.perf_counter_ns()
        self.stats.requests += 1
        if delivery.number > spec.max_deliver:
            await self._bury(delivery, f"delivered {delivery.number - 1} times, and no worker lived to say why")
            return
        span = tracing.hop(
            f"process {spec.subject}",
            "CONSUMER",
            job.headers.get(h.TRACEPARENT, ""),
            {tracing.MESSAGING_SYSTEM: "nats", tracing.DESTINATION: spec.subject},
        )
        try:
            await self._do(job)
        except JobRefused as error:
            span.end(error, error.code or "")
            await self._bury(delivery, error.message)
        except TryLater as error:
            span.end()
            if delivery.number >= spec.max_deliver:
                await self._bury(delivery, error.message)
            else:
                self._count("delayed")
                delivery.again(error.retry_after or self._options.longest_pause)
        except Exception as error:
            span.end(error)
            log.exception("a job of the queue %s failed", spec.name, extra={"job": job.id, "try": delivery.number})
            if delivery.number >= spec.max_deliver:
                await self._bury(delivery, repr(error))
            else:
                self._count("retried", repr(error))
                delivery.again(min(self._options.longest_pause, self._options.first_pause * 2**delivery.number))
        else:
            span.end()
            delivery.done()
            self._count("done")
        finally:
            self.stats.processing_ns += time.perf_counter_ns() - began

    async def _do(self, job: Job) -> None:
        for pause in pauses(self._options.first_pause, self._options.longest_pause):
            try:
                await self._handler(job)
            except CaravanError as error:
                if not error.retryable or isinstance(error, JobRefused):
                    raise
                # one line for each new trouble: all jobs have the same one, again and again
                level = logging.DEBUG if error.message == self._awaited else logging.INFO
                self._awaited = error.message
                log.log(level, "jobs of the queue %s wait: %s", self._queue.spec.name, error.message)
                self._count("waited", error.message)
            else:
                if self._awaited:
                    self._awaited = ""
                    self._back.set()
                return
            self._back.clear()
            try:
                async with asyncio.timeout(pause):
                    await self._back.wait()
            except TimeoutError:
                continue

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        extra = {"job": delivery.job.id, "deliveries": delivery.number}
        try:
            await delivery.bury(reason)
        except CaravanError as error:
            log.info("a dead job could not be put aside yet: %s", error.message, extra=extra)
            if not isinstance(error, DependencyDown):
                delivery.again(self._options.longest_pause)
            return
        self._count("buried", reason)
        log.error("a job of the queue %s is dead: %s", self._queue.spec.name, reason, extra=extra)

    def _count(self, outcome: str, problem: str = "") -> None:
        metrics.WORK_JOBS.labels(self._queue.spec.name, outcome).inc()
        if problem:
            self.stats.errors += 1
            self.stats.last_error = problem[:200]
