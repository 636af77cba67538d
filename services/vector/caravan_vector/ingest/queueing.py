"""Jobs for files: put into the queue when they are attached, and again when that may have been in vain."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import orjson
from caravan_bus.work.queue import Job, WorkQueue, new_job_id
from caravan_contracts.errors import CaravanError

from caravan_vector.attached.store import FileTable
from caravan_vector.ingest.claims import Claims
from caravan_vector.stores.rows import Store

log = logging.getLogger(__name__)

LOST_SECONDS: Final = 900.0
"""After which a job that nobody has taken up is put into the queue once more."""
_AT_ONCE: Final = 100
_SWEPT: Final = 1_000


class Queueing:
    """One per process."""

    def __init__(self, queue: WorkQueue, table: FileTable, claims: Claims) -> None:
        self._queue = queue
        self._table = table
        self._claims = claims

    async def add(self, store: Store, numbers: Sequence[int]) -> None:
        """Have files read. What the queue does not take now is put there by a sweep: the rows say what is to be
        done."""
        for start in range(0, len(numbers), _AT_ONCE):
            some = numbers[start : start + _AT_ONCE]
            try:
                sent = [self._queue.send(_job(store.tenant, number)) for number in some]
                for each in sent:
                    await each
                await self._table.queued(some)
            except CaravanError as error:
                log.info("files are queued later: %s", error.message, extra={"store": store.id})
                return

    async def sweep(self) -> int:
        """Those whose job was not put there, or may be lost; how many that were. Raises DependencyDown."""
        rows = await self._claims.waiting(LOST_SECONDS, _SWEPT)
        for number, store in rows:
            await self.add(store, [number])
        return len(rows)


def _job(tenant: str, number: int) -> Job:
    return Job(new_job_id(), orjson.dumps([tenant, number]))
