"""What the index knows of a file's attributes: those of its row, whoever changes them at the same time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from caravan_contracts.errors import Conflict

from caravan_vector.attached.store import FileTable
from caravan_vector.ids import file_name
from caravan_vector.indexes.opened import Indexes
from caravan_vector.stores.rows import Store

_TRIES: Final = 10


class Telling:
    """One per process."""

    def __init__(self, table: FileTable, indexes: Indexes) -> None:
        self._table = table
        self._indexes = indexes

    async def tell(self, store: Store, number: int, attributes: Mapping[str, Any]) -> None:
        """Tell the index, and look at the row then: whoever told it last has seen that the row says the same. Raises
        Conflict when others never cease to change it, NotFound, DependencyDown."""
        index, name = self._indexes.get(store.provider), file_name(number)
        for _ in range(_TRIES):
            await index.set_attributes(store.tenant, store.id, name, attributes)
            now = await self._table.attributes(number)
            if now is None:  # it was taken out meanwhile
                await index.remove(store.tenant, store.id, [name])
                return
            if _written(now) == _written(attributes):
                return
            attributes = now
        raise Conflict("the attributes of the file are changed by others all the time")


def _written(attributes: Mapping[str, Any]) -> bytes:
    """To compare them: in Python, true is 1."""
    return orjson.dumps(dict(attributes), option=orjson.OPT_SORT_KEYS)
