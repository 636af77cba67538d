"""From the queue of verdicts to rows: many jobs with one statement."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from caravan_bus.work.queue import Job, JobRefused
from caravan_contracts.errors import CaravanError
from caravan_contracts.safety import VerdictFact, VerdictRows
from pydantic import ValidationError

from caravan_safety.store import Store

log = logging.getLogger(__name__)

AT_ONCE: Final = 256
"""Jobs that wait for one statement."""


class Recorder:
    """One per process. While a statement runs, what comes meanwhile is gathered for the next."""

    def __init__(self, store: Store, keep_seconds: float, sweep_seconds: float) -> None:
        self._store = store
        self._keep = keep_seconds
        self._every = sweep_seconds
        self._waiting: list[tuple[list[VerdictFact], asyncio.Future[None]]] = []
        self._writing = asyncio.Lock()

    async def keep(self, job: Job) -> None:
        """Returns when its rows are committed. Raises JobRefused for what is no job of this queue, DependencyDown."""
        try:
            facts = VerdictRows.model_validate_json(job.data).data
        except ValidationError as error:
            raise JobRefused(f"no verdicts: {error.error_count()} errors") from error
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((facts, done))
        async with self._writing:
            if not done.done():
                await self._write()
        await done

    async def _write(self) -> None:
        batch, self._waiting = self._waiting, []
        try:
            await self._store.add([fact for facts, _ in batch for fact in facts])
        except BaseException as error:
            for _, done in batch:
                if not done.done():
                    done.set_exception(error if isinstance(error, Exception) else ConnectionError("interrupted"))
                    done.exception()  # whoever waits may have gone
            if not isinstance(error, Exception):
                raise
        else:
            for _, done in batch:
                if not done.done():
                    done.set_result(None)

    async def sweep(self) -> None:
        """Forget what is old, for ever."""
        while True:
            try:
                while await self._store.forget(self._keep):
                    pass
            except CaravanError as error:
                log.info("old verdicts are forgotten later: %s", error.message)
            await asyncio.sleep(self._every * random.uniform(0.8, 1.2))
