"""What is left over is brought to its end: jobs that were lost, chunks and stores that have to go, files that are gone,
and indexes that files came into.

Every step may be done twice, and by several processes at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError
from caravan_contracts.files import FilesRemoved, LocatedFiles, LocateFiles
from caravan_contracts.users import FILES
from caravan_storage.postgres import Postgres

from caravan_vector.cleaning import Cleaner
from caravan_vector.indexes.opened import Indexes
from caravan_vector.ingest.queueing import Queueing
from caravan_vector.stores.removing import Remover
from caravan_vector.stores.store import StoreTable

log = logging.getLogger(__name__)

SEEN_SECONDS: Final = 3600.0
"""After which it is asked whether a file is still there: the fact that it went may have been missed."""
_AT_ONCE: Final = 400
_ASK_SECONDS: Final = 10.0
_NAME: Final = "sweep"
_OLD: Final = """
SELECT s.tenant, array_agg(DISTINCT f.id) AS files FROM (
    SELECT store, id FROM vector_files WHERE status <> 'removing' AND seen < now() - make_interval(secs => $1)
    ORDER BY seen LIMIT $2
) f JOIN vector_stores s ON s.number = f.store GROUP BY s.tenant
"""
_OF_TENANT: Final = """
FROM vector_stores s WHERE s.number = f.store AND s.tenant = $1 AND f.id = ANY($2) AND f.status <> 'removing'
"""


class Sweeper:
    """One per process."""

    def __init__(
        self,
        postgres: Postgres,
        stores: StoreTable,
        queueing: Queueing,
        cleaner: Cleaner,
        remover: Remover,
        indexes: Indexes,
        requester: Requester,
        every: float,
    ) -> None:
        self._postgres = postgres
        self._stores = stores
        self._queueing = queueing
        self._cleaner = cleaner
        self._remover = remover
        self._indexes = indexes
        self._requester = requester
        self._every = every

    async def run(self) -> None:
        """Sweep now and then, for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._again(self.sweep))
            group.create_task(self._again(self.settle))  # which may take minutes, and must not keep the rest

    async def _again(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except CaravanError as error:
                log.info("not everything was swept: %s", error.message)
            except Exception:
                log.exception("not everything was swept")
            await asyncio.sleep(self._every * random.uniform(0.8, 1.2))

    async def sweep(self) -> None:
        """Once. Raises DependencyDown."""
        await self._queueing.sweep()
        await self._cleaner.sweep()
        await self._remover.sweep()
        await self._look_for_files()

    async def settle(self) -> None:
        """Make ready for searches what files came into. Raises DependencyDown."""
        for store, version in await self._stores.unsettled():
            try:
                await self._indexes.get(store.provider).settle(store.tenant, store.id)
            except CaravanError as error:  # its own trouble, which must not keep the others
                log.info("a vector store is made ready later: %s", error.message, extra={"store": store.id})
            else:
                await self._stores.settled(store.number, version)

    async def forget(self, gone: FilesRemoved) -> None:
        """Files that are there no more are in no store any more. Raises DependencyDown."""
        async with self._postgres.acquire() as connection:
            await connection.execute(
                f"UPDATE vector_files f SET status = 'removing', epoch = f.epoch + 1 {_OF_TENANT}",  # noqa: S608 - literals of ours
                gone.tenant,
                gone.ids,
            )
        await self._cleaner.sweep()

    async def _look_for_files(self) -> None:
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(_OLD, SEEN_SECONDS, _AT_ONCE)
        for row in rows:
            await self._look(row["tenant"], row["files"])

    async def _look(self, tenant: str, files: Sequence[str]) -> None:
        context = RequestContext(_NAME, Principal(tenant, _NAME))
        asked = LocateFiles(ids=list(files))
        found = await self._requester.ask(FILES, "locate_files", asked, LocatedFiles, context, _ASK_SECONDS)
        there = {each.file.id for each in found.data}
        async with self._postgres.acquire() as connection:
            await connection.execute(
                f"UPDATE vector_files f SET seen = now() {_OF_TENANT}",  # noqa: S608 - literals of ours
                tenant,
                sorted(there),
            )
        if gone := [file for file in files if file not in there]:
            await self.forget(FilesRemoved(tenant=tenant, ids=gone))
