"""Vector stores by their names: Llama Stack's clients know them by the names they gave."""

from __future__ import annotations

import re
from typing import Final

from caravan_contracts import vectors as v

from caravan_gateway.vectors.asking import Asking

_ID: Final = re.compile(r"vs_[0-9a-f]{32}")


async def named(asking: Asking, name: str) -> v.VectorStore | None:
    """The newest of that name which the tenant has."""
    if not 0 < len(name) <= v.LONGEST_NAME or "\0" in name:
        return None
    page = await asking.ask("list_stores", v.ListStores(name=name, limit=1), v.StorePage)
    return page.data[0] if page.data else None


async def store_id(asking: Asking, given: str) -> str:
    """The id of a store by its id or its name; of one that is not there, what was given."""
    store = None if _ID.fullmatch(given) else await named(asking, given)
    return given if store is None else store.id
