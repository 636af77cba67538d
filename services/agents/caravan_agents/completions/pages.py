"""What fits into one reply of the bus: rows with their objects, up to a bound."""

from __future__ import annotations

from typing import Any

import orjson
from caravan_contracts.completions import PAGE_BYTES, CompletionPage, CompletionRow, message_object

from caravan_agents.completions.store import Found, Store

_ROW_BYTES = 256
"""What a row costs beside its object."""


async def page(store: Store, tenant: str, rows: list[Found], limit: int, messages: bool = False) -> CompletionPage:
    """As many of `rows` as fit. A row too large for any reply ends its page, without its object."""
    taken: list[Found] = []
    room = PAGE_BYTES
    for row in rows[:limit]:
        large = row.size > PAGE_BYTES
        cost = _ROW_BYTES + len(orjson.dumps(row.metadata)) + (0 if large else row.size)
        if taken and cost > room:
            break
        taken.append(row)
        room -= cost
        if large:
            break
    objects = await store.objects(tenant, [row for row in taken if row.size <= PAGE_BYTES], messages)
    made = [_row(row, objects.get((row.number, row.position)), messages) for row in taken]
    # one that was deleted between the two statements has neither bytes nor size
    return CompletionPage(
        rows=[row for row in made if row.object is not None or row.size > PAGE_BYTES],
        has_more=len(taken) < len(rows),
    )


def _row(found: Found, data: bytes | None, message: bool) -> CompletionRow:
    read: dict[str, Any] | None = orjson.loads(data) if data is not None else None
    if not message:
        return CompletionRow(
            id=found.id, head={"metadata": found.metadata}, ref=str(found.number), size=found.size, object=read
        )
    name = f"{found.id}-{found.position}"
    shown = message_object(name, read) if read is not None else None
    return CompletionRow(id=name, head={}, ref=f"{found.number}.{found.position}", size=found.size, object=shown)
