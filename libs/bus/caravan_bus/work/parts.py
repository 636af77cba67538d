"""Jobs too large for one message: their bytes lie in a stream beside the queue until the job is done.

JetStream keeps them, as it keeps the job: nothing else (Redis, say) has to survive for it.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Final

from caravan_contracts.errors import CaravanError
from caravan_contracts.work import INLINE_BYTES, Queue

from caravan_bus.work.api import JetStream
from caravan_bus.work.queue import Job

_AT_ONCE: Final = 4
"""Parts under way: 2 MiB, so that nothing else on this connection waits long."""


class PartsLost(CaravanError):
    """Not all parts of a job are there, or they are not what was sent."""

    code = "job_parts_lost"


async def send(api: JetStream, queue: Queue, job: Job) -> str:
    """Publish the parts of `job`; the header line that stands for them. Raises like :meth:`JetStream.publish`."""
    view = memoryview(job.data)
    count = -(-len(view) // INLINE_BYTES)
    turn = asyncio.Semaphore(_AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            data = bytes(view[number * INLINE_BYTES : (number + 1) * INLINE_BYTES])
            await api.publish(queue.part(job.id, number), data, {})

    await asyncio.gather(*(one(number) for number in range(count)))
    return f"{count} {hashlib.sha256(view).hexdigest()}"


async def fetch(api: JetStream, queue: Queue, job: str, told: str) -> bytes:
    """The bytes of a job; `told` is what :func:`send` returned. Raises PartsLost, DependencyDown."""
    number, _, digest = told.partition(" ")
    if not number.isdecimal() or int(number) * INLINE_BYTES > queue.max_job + INLINE_BYTES:
        raise PartsLost(f"the job {job} says of its parts {told[:80]!r}")
    got: list[bytes] = []
    for n in range(int(number)):
        part = await api.get(queue.parts_stream, queue.part(job, n))
        if part is None:
            raise PartsLost(f"part {n} of {number} of the job {job} is not there")
        got.append(part)
    data = b"".join(got)
    if hashlib.sha256(data).hexdigest() != digest:
        raise PartsLost(f"the parts of the job {job} are not what was sent")
    return data
