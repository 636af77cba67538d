"""What a work queue is, whoever keeps it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from caravan_contracts.errors import CaravanError, Unavailable
from caravan_contracts.work import Queue


class QueueFull(Unavailable):
    """The queue holds as much as it may; `retry_after` in seconds."""

    status = 429
    type = "rate_limit_error"
    code = "queue_full"


class JobRefused(CaravanError):
    """Raised by a worker: this job can never be done, whoever tries. It is put aside at once."""

    code = "job_refused"


class TryLater(CaravanError):
    """Raised by a worker: not now. The job is given back, to be delivered to any worker in `retry_after` seconds."""

    code = "try_later"


def new_job_id() -> str:
    """For a job that has no id of its own: 24 hex digits."""
    return secrets.token_hex(12)


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work."""

    id: str
    """A subject token. A job published twice under one id, within the queue's duplicate window, is one job."""
    data: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Depth:
    """How much there is to do."""

    waiting: int
    """Jobs that no worker has."""
    working: int
    """Jobs that a worker has."""


class Delivery(Protocol):
    """One job in the hands of one worker. It is over with `done`, `again` or `bury`."""

    @property
    def job(self) -> Job:
        """What is to be done."""
        ...

    @property
    def number(self) -> int:
        """How often it was delivered, this time included."""
        ...

    def working(self) -> None:
        """Say that the worker is still at it; to be said more often than the queue's `ack_wait`."""
        ...

    def done(self) -> None:
        """Take it off the queue: its result is kept. When this does not arrive, the job is delivered once more."""
        ...

    def again(self, delay: float = 0.0) -> None:
        """Give it back, to be delivered in `delay` seconds."""
        ...

    async def bury(self, reason: str) -> None:
        """Put it aside among the dead, with one line that says why. Raises DependencyDown; then it is delivered
        again."""
        ...


class WorkQueue(Protocol):
    """One queue, as one process sees it."""

    @property
    def spec(self) -> Queue:
        """Its names and bounds."""
        ...

    @property
    def connected(self) -> bool:
        """Whether a job sent now would leave at once."""
        ...

    async def declare(self) -> None:
        """Make the queue, or bring its bounds up to date; for its workers. Raises DependencyDown."""
        ...

    def send(self, job: Job) -> asyncio.Future[None]:
        """Publish; a job of at most INLINE_BYTES is on the wire before this returns. The future is done when the job
        is kept; it fails with QueueFull, RequestTooLarge, Unavailable, DependencyDown or TimeoutError, and then
        nobody knows whether it is kept: send it again under the same id."""
        ...

    async def take(self, limit: int, timeout: float) -> list[Delivery]:
        """Between 1 and `limit` jobs, or none within `timeout` seconds. One caller at a time."""
        ...

    async def release(self) -> None:
        """Take no more; give back what came meanwhile."""
        ...

    async def depth(self) -> Depth:
        """What there is to do. Raises DependencyDown."""
        ...

    async def caught_up(self, timeout: float) -> bool:
        """Wait until everything that was kept before this call is done; False after `timeout` seconds. For the
        queue's workers. Raises DependencyDown."""
        ...
