"""What is too old, or too much, is forgotten: by one replica at a time, a little at once."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any, Final

from caravan_contracts.errors import DependencyDown
from caravan_storage.postgres import Postgres

log = logging.getLogger(__name__)

EVERY_SECONDS: Final = 600.0
_AT_ONCE: Final = 500
_LOCK: Final = 7_204_118_322
"""Key of the advisory lock: whoever has it sweeps."""
_OLD = """
DELETE FROM agents_completions WHERE number IN (
    SELECT number FROM agents_completions WHERE stored < now() - make_interval(secs => $1) LIMIT $2)
"""
_MUCH = """
DELETE FROM agents_completions WHERE number IN (
    SELECT number FROM (
        SELECT number, row_number() OVER (PARTITION BY tenant ORDER BY number DESC) AS place FROM agents_completions
    ) AS ranked WHERE place > $1 LIMIT $2)
"""


class Sweeper:
    """One per process."""

    def __init__(self, postgres: Postgres, days: float, most: int) -> None:
        """Completions older than `days`, and those of a tenant beyond its newest `most`, are forgotten."""
        self._postgres = postgres
        self._seconds = days * 86_400.0
        self._most = most

    async def run(self) -> None:
        """Sweep every ten minutes, for ever."""
        while True:
            await asyncio.sleep(EVERY_SECONDS * random.uniform(0.8, 1.2))
            try:
                if gone := await self.sweep():
                    log.info("forgot %d stored completions", gone)
            except DependencyDown as error:
                log.info("nothing was swept: %s", error.message)

    async def sweep(self) -> int:
        """Forget everything that is too old or too much; how many that were. Raises DependencyDown."""
        gone = 0
        while last := await self._some():
            gone += last
        return gone

    async def _some(self) -> int:
        async with self._postgres.transaction() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _LOCK):
                return 0
            old = _count(await connection.execute(_OLD, self._seconds, _AT_ONCE, timeout=60))
            return old or _count(await connection.execute(_MUCH, self._most, _AT_ONCE, timeout=60))


def _count(tag: Any) -> int:
    return int(str(tag).rpartition(" ")[2])
