"""Publishing jobs without waiting: for whoever must not be slowed down by a queue, and must not lose a job to it.

:meth:`Outbox.put` publishes at once. Until the queue confirms, the job stays in this process's memory and is sent again
with growing pauses; the same id makes it the same job. What does not fit into that memory any more is lost: it is
counted, and a log line says so.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from caravan_contracts.errors import CaravanError, RequestTooLarge

from caravan_bus import metrics
from caravan_bus.pauses import pauses
from caravan_bus.work.queue import Job, WorkQueue

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OutboxOptions:
    """Bounds of what is not confirmed: in bytes and jobs; pauses in seconds."""

    max_bytes: int = 64 * 1024**2
    max_jobs: int = 4096
    first_pause: float = 0.1
    longest_pause: float = 5.0


class Outbox:
    """One per queue and process."""

    def __init__(self, queue: WorkQueue, options: OutboxOptions | None = None) -> None:
        self._queue = queue
        self._options = options or OutboxOptions()
        self._sending: dict[asyncio.Task[None], Job] = {}
        self._bytes = 0
        self.lost = 0
        """Jobs that were given up since the start."""

    def __len__(self) -> int:
        return len(self._sending)

    @property
    def room(self) -> int:
        """Bytes that still fit."""
        return self._options.max_bytes - self._bytes if len(self._sending) < self._options.max_jobs else 0

    def put(self, job: Job) -> bool:
        """Publish `job`, now; False when there was no room for it and it is lost."""
        if len(job.data) > self.room:
            self.lose(job.id, f"{self._bytes} bytes in {len(self)} jobs wait already")
            return False
        self._bytes += len(job.data)
        first = self._queue.send(job)
        task = asyncio.create_task(self._see_through(job, first), name=f"job-{job.id}")
        self._sending[task] = job
        task.add_done_callback(self._forget)
        metrics.WORK_UNCONFIRMED.labels(self._queue.spec.name).set(len(self._sending))
        return True

    def lose(self, job: str, why: str) -> None:
        """Count a job that this process had and could not keep, and say so."""
        self.lost += 1
        metrics.WORK_PUBLISHED.labels(self._queue.spec.name, "lost").inc()
        log.error("a job for the queue %s is lost: %s", self._queue.spec.name, why, extra={"job": job})

    async def settled(self, timeout: float) -> bool:
        """Wait until the queue has confirmed everything put before this call; False after `timeout` seconds."""
        tasks = list(self._sending)
        if not tasks:
            return True
        _, pending = await asyncio.wait(tasks, timeout=timeout)
        return not pending

    async def close(self, timeout: float) -> None:
        """Give the queue `timeout` seconds to confirm what is left; what it does not confirm may be lost."""
        await self.settled(timeout)
        left = dict(self._sending)
        for task, job in left.items():
            task.cancel()
            self.lose(job.id, "this process ends before the queue confirmed it")
        if left:
            await asyncio.wait(left, timeout=1.0)

    async def _see_through(self, job: Job, sent: asyncio.Future[None]) -> None:
        name = self._queue.spec.name
        for pause in pauses(self._options.first_pause, self._options.longest_pause):
            try:
                await sent
            except RequestTooLarge as error:
                self.lose(job.id, error.message)
                return
            except (CaravanError, OSError, ValueError) as error:
                metrics.WORK_PUBLISHED.labels(name, "retried").inc()
                log.info("the queue %s did not confirm a job; trying again: %s", name, error, extra={"job": job.id})
            else:
                metrics.WORK_PUBLISHED.labels(name, "kept").inc()
                return
            await asyncio.sleep(pause)
            sent = self._queue.send(job)

    def _forget(self, task: asyncio.Task[None]) -> None:
        job = self._sending.pop(task)
        self._bytes -= len(job.data)
        metrics.WORK_UNCONFIRMED.labels(self._queue.spec.name).set(len(self._sending))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a job could not be published", exc_info=error, extra={"job": job.id})
            self.lose(job.id, repr(error))
