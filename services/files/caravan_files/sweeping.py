"""What is over is removed: files whose time has come, what was never finished, and bytes that no row tells of.

First the row says that it is being removed, from when on nobody sees the file; then the bytes go, then the row. Every
step may be done twice and by several processes at once, and one that dies in between leaves what the next one finds.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from caravan_contracts.errors import DependencyDown
from caravan_storage.objects import Objects
from caravan_storage.postgres import Postgres

from caravan_files.keys import PREFIX

log = logging.getLogger(__name__)

_AT_ONCE: Final = 200
_GRACE: Final = 60.0
"""Seconds behind the end of a lease: whoever had it may be about to remove what it wrote."""
_MARK: Final = (
    """UPDATE files_files SET state = 'removing', lease = now() WHERE number IN (
        SELECT number FROM files_files WHERE state = 'ready' AND expires <= now() LIMIT $1 FOR UPDATE SKIP LOCKED)""",
    """UPDATE files_files SET state = 'removing', lease = now() WHERE number IN (
        SELECT number FROM files_files WHERE state = 'uploading' AND lease < now() - make_interval(secs => $2)
        LIMIT $1 FOR UPDATE SKIP LOCKED)""",
    """UPDATE files_parts SET state = 'removing', lease = now() WHERE number IN (
        SELECT number FROM files_parts WHERE state = 'uploading' AND lease < now() - make_interval(secs => $2)
        LIMIT $1 FOR UPDATE SKIP LOCKED)""",
    """UPDATE files_parts SET state = 'removing', lease = now() WHERE number IN (
        SELECT p.number FROM files_parts p JOIN files_uploads u ON u.id = p.upload
        WHERE p.state = 'ready' AND (u.status <> 'pending' OR u.expires <= now())
        LIMIT $1 FOR UPDATE OF p SKIP LOCKED)""",
)
_OVER: Final = """
DELETE FROM files_uploads u WHERE expires < now() - interval '1 day'
    AND NOT EXISTS (SELECT 1 FROM files_parts p WHERE p.upload = u.id)
"""
_TABLES: Final = ("files_files", "files_parts")
_KNOWN: Final = """
SELECT key FROM files_files WHERE key = ANY($1) UNION ALL SELECT key FROM files_parts WHERE key = ANY($1)
"""


class Sweeper:
    """One per process."""

    def __init__(self, postgres: Postgres, objects: Objects, every: float, orphan_seconds: float) -> None:
        """`every`: seconds between two looks; `orphan_seconds`: how old bytes without a row have to be."""
        self._postgres = postgres
        self._objects = objects
        self._every = every
        self._orphan_seconds = orphan_seconds

    async def run(self) -> None:
        """Sweep now and then, for ever."""
        while True:
            await asyncio.sleep(self._every * random.uniform(0.8, 1.2))
            try:
                gone, orphans = await self.sweep(), await self.sweep_orphans()
            except DependencyDown as error:
                log.info("not everything was swept: %s", error.message)
                continue
            if gone or orphans:
                log.info("removed %d files and parts, and %d that no row told of", gone, orphans)

    async def sweep(self) -> int:
        """Remove what is over; how many that were. Raises DependencyDown."""
        for mark in _MARK:
            while await self._mark(mark) >= _AT_ONCE:
                pass
        gone = 0
        for table in _TABLES:
            while last := await self._remove(table):
                gone += last
        async with self._postgres.acquire() as connection:
            await connection.execute(_OVER)
        return gone

    async def sweep_orphans(self) -> int:
        """Remove bytes that no row tells of; how many objects that were. Raises DependencyDown."""
        gone = 0
        old: list[str] = []
        async for key, age in self._objects.keys(PREFIX):
            if age >= self._orphan_seconds:
                old.append(key)
            if len(old) >= _AT_ONCE:
                gone += await self._orphans(old)
                old = []
        return gone + await self._orphans(old)

    async def _mark(self, statement: str) -> int:
        values = (_AT_ONCE, _GRACE) if "$2" in statement else (_AT_ONCE,)
        async with self._postgres.acquire() as connection:
            return int(str(await connection.execute(statement, *values)).rpartition(" ")[2])

    async def _remove(self, table: str) -> int:
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT number, key FROM {table} WHERE state = 'removing' LIMIT $1",  # noqa: S608 - a name of ours
                _AT_ONCE,
            )
        for row in rows:
            await self._objects.delete(row["key"])
            async with self._postgres.acquire() as connection:
                await connection.execute(f"DELETE FROM {table} WHERE number = $1", row["number"])  # noqa: S608 - a name of ours
        return len(rows)

    async def _orphans(self, keys: list[str]) -> int:
        if not keys:
            return 0
        async with self._postgres.acquire() as connection:
            known = {row["key"] for row in await connection.fetch(_KNOWN, keys)}
        orphans = [key for key in keys if key not in known]
        for key in orphans:
            await self._objects.delete(key)
        return len(orphans)
