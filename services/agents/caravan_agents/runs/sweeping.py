"""What nobody cares for any more: runs without a job are queued again, and events are forgotten after their time."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from typing import Final

from caravan_contracts.errors import CaravanError
from caravan_storage.postgres import Postgres

from caravan_agents.runs.background import Background
from caravan_agents.runs.journal import Journal
from caravan_agents.runs.notices import Notices

log = logging.getLogger(__name__)

_EVERY: Final = 5.0
_SILENT: Final = 15.0
"""Seconds behind the end of its lease after which a run is queued again."""
_QUEUED: Final = 600.0
"""Seconds after which a run that waits is queued again, in case the queue lost it."""
_AT_ONCE: Final = 500
_FORGET: Final = """
DELETE FROM agents_events WHERE ctid IN (
    SELECT o.ctid FROM agents_events o WHERE o.created < now() - make_interval(secs => $1)
    AND NOT EXISTS (SELECT 1 FROM agents_runs r WHERE r.tenant = o.tenant AND r.id = o.response)
    LIMIT $2 FOR UPDATE SKIP LOCKED)
"""


class RunSweeper:
    """One per process; several at once do no harm."""

    def __init__(
        self, postgres: Postgres, journal: Journal, background: Background, notices: Notices, seconds: float
    ) -> None:
        """Events of responses that ended are kept for so many `seconds`."""
        self._postgres = postgres
        self._journal = journal
        self._background = background
        self._notices = notices
        self._seconds = seconds

    async def run(self) -> None:
        """Look every few seconds, for ever."""
        while True:
            await asyncio.sleep(_EVERY * random.uniform(0.6, 1.4))
            for part in (self.take_care, self._notices.sweep, self.forget):
                try:
                    await part()
                except (CaravanError, TimeoutError) as error:
                    log.info("runs are not looked after now: %s", error)
                except Exception:
                    log.exception("runs could not be looked after")

    async def take_care(self) -> None:
        """Queue runs in the background again, and end those that somebody waited for: nobody does any more. Raises
        DependencyDown, Unavailable, QueueFull."""
        for tenant, response, background in await self._journal.left(_SILENT, _QUEUED):
            if background:
                log.info("a run is queued again", extra={"response": response})
                await self._background.publish(tenant, response, f"-{int(time.time() / _QUEUED)}")
            else:
                await self._background.give_up(tenant, response)

    async def forget(self) -> None:
        """Events of responses that ended long ago. Raises DependencyDown."""
        gone = _AT_ONCE
        while gone == _AT_ONCE:
            async with self._postgres.acquire() as connection:
                tag = await connection.execute(_FORGET, self._seconds, _AT_ONCE, timeout=60)
            gone = int(str(tag).rpartition(" ")[2])
