"""Chunks that have to go: of files that were taken out, failed or cancelled, and of stores."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import groupby
from typing import Final

from caravan_contracts.errors import CaravanError, NotFound

from caravan_vector.ids import file_name
from caravan_vector.indexes.opened import Indexes
from caravan_vector.ingest.claims import Claims
from caravan_vector.stores.rows import Store

log = logging.getLogger(__name__)

PATIENCE: Final = 10.0
"""Seconds for which a client waits for chunks to be gone that nobody sees any more."""
_AT_ONCE: Final = 200


class Cleaner:
    """One per process. What fails here is done again by whoever sweeps. Every method raises DependencyDown."""

    def __init__(self, claims: Claims, indexes: Indexes) -> None:
        self._claims = claims
        self._indexes = indexes

    async def clean(self, store: Store, numbers: Sequence[int]) -> None:
        """Remove the chunks of files of one store whose status says that they have to go."""
        for start in range(0, len(numbers), _AT_ONCE):
            some = numbers[start : start + _AT_ONCE]
            try:
                await self._indexes.get(store.provider).remove(store.tenant, store.id, [file_name(n) for n in some])
            except NotFound:
                log.debug("the store is gone with its chunks", extra={"store": store.id})
            await self._claims.cleaned(some)

    async def try_clean(self, store: Store, numbers: Sequence[int]) -> None:
        """The same, for a caller who was promised already that they are gone, and cannot wait for long. Raises nothing
        of all that."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self.clean(store, numbers)
        except (CaravanError, TimeoutError) as error:
            log.info("chunks are removed later: %r", error, extra={"store": store.id})

    async def clean_if_over(self, number: int, store: Store) -> None:
        """The same for one file, if its status says so."""
        if await self._claims.must_go(number):
            await self.clean(store, [number])

    async def sweep(self) -> int:
        """Those that are still there; how many that were."""
        rows = await self._claims.over(_AT_ONCE)
        for _, group in groupby(rows, key=lambda row: row[1].number):
            files = list(group)
            try:
                await self.clean(files[0][1], [number for number, _ in files])
            except CaravanError as error:  # of one store, which must not keep the others
                log.info("chunks are removed later: %s", error.message, extra={"store": files[0][1].id})
        return len(rows)
