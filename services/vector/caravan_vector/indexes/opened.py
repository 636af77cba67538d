"""The indexes of one process, each opened when it is first needed."""

from __future__ import annotations

from caravan_storage.postgres import Postgres

from caravan_vector.indexes import open_index
from caravan_vector.indexes.base import Index


class Indexes:
    """One per process."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._opened: dict[str, Index] = {}

    def get(self, name: str) -> Index:
        """The index of this `provider_id`. Raises InvalidRequest when it is not known, or not installed."""
        index = self._opened.get(name)
        if index is None:
            index = self._opened[name] = open_index(name, self._postgres)
        return index

    async def close(self) -> None:
        """Give back what they hold."""
        for index in self._opened.values():
            await index.close()
        self._opened.clear()
