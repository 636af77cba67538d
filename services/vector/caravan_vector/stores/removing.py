"""Stores that go: their chunks first, then what was said of them."""

from __future__ import annotations

import logging
from typing import Final

from caravan_contracts.errors import CaravanError

from caravan_vector.indexes.opened import Indexes
from caravan_vector.stores.rows import Store
from caravan_vector.stores.store import StoreTable

log = logging.getLogger(__name__)

_AT_ONCE: Final = 50


class Remover:
    """One per process. Every step may be done twice, and by several processes at once."""

    def __init__(self, table: StoreTable, indexes: Indexes) -> None:
        self._table = table
        self._indexes = indexes

    async def remove(self, store: Store) -> None:
        """All of one that nobody sees any more. What fails is done by a sweep."""
        try:
            await self._indexes.get(store.provider).drop(store.tenant, store.id)
            await self._table.forget(store.number)
        except CaravanError as error:
            log.info("a vector store is removed later: %s", error.message, extra={"store": store.id})

    async def sweep(self) -> int:
        """Those that are left over, and those that expired; how many that were. Raises DependencyDown."""
        rows = await self._table.over(_AT_ONCE)
        for store, whole in rows:
            await (self.remove(store) if whole else self._empty(store))
        return len(rows)

    async def _empty(self, store: Store) -> None:
        try:
            await self._indexes.get(store.provider).drop(store.tenant, store.id)
            await self._table.emptied(store.number)
        except CaravanError as error:
            log.info("an expired vector store is emptied later: %s", error.message, extra={"store": store.id})
