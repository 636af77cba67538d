"""The tables of conversations. Every statement names the tenant, or a conversation that was found by it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import orjson
from caravan_contracts.conversations import PAGE_BYTES, Conversation, ListConversationItems
from caravan_contracts.errors import InvalidRequest
from caravan_storage.postgres import Connection, Postgres

from caravan_agents.conversations.items import ID, Item
from caravan_agents.errors import no_conversation, no_item

_ID: Final = re.compile(r"conv_[0-9a-f]{48}\Z")
_LARGE_SECONDS: Final = 60.0
"""For statements that carry, or take away, everything in a conversation."""
_ITEM_BYTES: Final = 16
"""What an item costs in a reply beside its own bytes."""
_HEAD: Final = "id, extract(epoch FROM created)::bigint AS created_at, metadata"
_CREATE = (
    "INSERT INTO agents_conversations (tenant, id, metadata, next_position, items, bytes) "  # noqa: S608 - a literal of ours
    f"VALUES ($1, $2, $3, 0, 0, 0) RETURNING {_HEAD}"
)
_GROW = """
UPDATE agents_conversations SET next_position = next_position + $3, items = items + $3, bytes = bytes + $4
WHERE tenant = $1 AND id = $2 RETURNING number, next_position - $3 AS first, items, bytes
"""
_TAKEN = """
WITH old AS (
    DELETE FROM agents_conversation_items WHERE conversation = $1 AND id = ANY($2) AND object IS NULL
)
SELECT id FROM agents_conversation_items WHERE conversation = $1 AND id = ANY($2) AND object IS NOT NULL LIMIT 1
"""
_APPEND = """
INSERT INTO agents_conversation_items (conversation, position, id, object, size)
SELECT $1, $2 + place - 1, id, object, octet_length(object)
FROM unnest($3::text[], $4::bytea[]) WITH ORDINALITY AS given (id, object, place)
"""
_READ = """
SELECT i.object FROM agents_conversations c LEFT JOIN agents_conversation_items i
ON i.conversation = c.number AND i.object IS NOT NULL AND ($3::integer IS NULL OR i.position < $3)
WHERE c.tenant = $1 AND c.id = $2 ORDER BY i.position
"""
_PLACE = """
SELECT number, (SELECT position FROM agents_conversation_items WHERE conversation = number AND id = $3) AS place
FROM agents_conversations c WHERE tenant = $1 AND c.id = $2
"""
_ONE = """
SELECT (SELECT object FROM agents_conversation_items i WHERE i.conversation = c.number AND i.id = $3) AS object
FROM agents_conversations c WHERE tenant = $1 AND c.id = $2
"""
_TAKE_OUT = """
UPDATE agents_conversation_items SET object = NULL, deleted = now()
WHERE conversation = $1 AND id = $2 AND object IS NOT NULL RETURNING size
"""
_SHRINK = f"UPDATE agents_conversations SET items = items - 1, bytes = bytes - $2 WHERE number = $1 RETURNING {_HEAD}"  # noqa: S608 - a literal of ours
_TIDY = """
DELETE FROM agents_conversation_items WHERE conversation = $1 AND deleted < now() - interval '1 hour'
"""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of one conversation."""

    items: int = 10_000
    bytes: int = 64 * 1024 * 1024
    """Of all its items."""


class Store:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for a conversation that is
    not the tenant's.

    :meth:`append` and :meth:`read` are for whoever answers in a conversation, too: with a `connection` that is in a
    transaction they are part of it. From :meth:`append` on, nobody else can add to that conversation until it ends.
    """

    def __init__(self, postgres: Postgres, bounds: Bounds) -> None:
        self._postgres = postgres
        self._bounds = bounds

    async def create(self, tenant: str, id: str, metadata: dict[str, str], items: Sequence[Item]) -> Conversation:
        """A new conversation that begins with `items`. Raises InvalidRequest when they are too much."""
        async with self._postgres.transaction() as connection:
            head = await connection.fetchrow(_CREATE, tenant, id, metadata)
            if items:
                await self._append(connection, tenant, id, items)
        return _conversation(head)

    async def get(self, tenant: str, id: str) -> Conversation:
        """What is known of it beside its items."""
        async with self._postgres.acquire() as connection:
            head = await connection.fetchrow(
                f"SELECT {_HEAD} FROM agents_conversations WHERE tenant = $1 AND id = $2",  # noqa: S608 - a literal of ours
                tenant,
                _known(id),
            )
        return _found(head, id)

    async def describe(self, tenant: str, id: str, metadata: dict[str, str]) -> Conversation:
        """Replace its metadata."""
        async with self._postgres.acquire() as connection:
            head = await connection.fetchrow(
                f"UPDATE agents_conversations SET metadata = $3 WHERE tenant = $1 AND id = $2 RETURNING {_HEAD}",  # noqa: S608 - a literal of ours
                tenant,
                _known(id),
                metadata,
            )
        return _found(head, id)

    async def forget(self, tenant: str, id: str) -> None:
        """Delete it with all its items."""
        async with self._postgres.acquire() as connection:
            gone = await connection.fetchval(
                "DELETE FROM agents_conversations WHERE tenant = $1 AND id = $2 RETURNING number",
                tenant,
                _known(id),
                timeout=_LARGE_SECONDS,
            )
        if gone is None:
            raise no_conversation(id)

    async def append(self, tenant: str, id: str, items: Sequence[Item], connection: Connection | None = None) -> range:
        """Add `items` at the end, all or none; their positions, which are the same wherever one asks. Raises
        InvalidRequest when one is there already, or when they are too much."""
        if not items:
            return range(0)
        async with self._joined(connection) as joined:
            return await self._append(joined, tenant, id, items)

    async def read(
        self, tenant: str, id: str, connection: Connection | None = None, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Every item, in order; only those in front of the position `before` when it is given."""
        if connection is not None:
            rows = await connection.fetch(_READ, tenant, _known(id), before, timeout=_LARGE_SECONDS)
        else:
            async with self._postgres.acquire() as own:
                rows = await own.fetch(_READ, tenant, _known(id), before, timeout=_LARGE_SECONDS)
        if not rows:
            raise no_conversation(id)
        return [orjson.loads(row["object"]) for row in rows if row["object"] is not None]

    async def page(self, tenant: str, asked: ListConversationItems) -> tuple[list[dict[str, Any]], bool]:
        """As many items as were asked for and fit into a reply, and whether there are more. Raises NotFound for an
        `after` that never was; one that was deleted within the hour still has its place."""
        upward = asked.order == "asc"
        sign, way = (">", "ASC") if upward else ("<", "DESC")
        async with self._postgres.acquire() as connection:
            place = await connection.fetchrow(_PLACE, tenant, _known(asked.conversation), _possible(asked.after))
            if place is None:
                raise no_conversation(asked.conversation)
            if asked.after and place["place"] is None:
                raise no_item(asked.after, asked.conversation, "after")
            rows = await connection.fetch(
                "SELECT position, size FROM agents_conversation_items WHERE conversation = $1 AND object IS NOT NULL "  # noqa: S608 - literals of ours
                f"AND ($2::integer IS NULL OR position {sign} $2) ORDER BY position {way} LIMIT $3",
                place["number"],
                place["place"],
                asked.limit + 1,
            )
            taken = _fitting(rows[: asked.limit])
            objects = await connection.fetch(
                "SELECT object FROM agents_conversation_items WHERE conversation = $1 AND position = ANY($2) "  # noqa: S608 - a literal of ours
                f"AND object IS NOT NULL ORDER BY position {way}",
                place["number"],
                taken,
            )
        return [orjson.loads(row["object"]) for row in objects], len(taken) < len(rows)

    async def item(self, tenant: str, id: str, item: str) -> dict[str, Any]:
        """One item. Raises NotFound when it is none of this conversation's."""
        async with self._postgres.acquire() as connection:
            row = await connection.fetchrow(_ONE, tenant, _known(id), _possible(item))
        if row is None:
            raise no_conversation(id)
        if row["object"] is None:
            raise no_item(item, id)
        made: dict[str, Any] = orjson.loads(row["object"])
        return made

    async def remove(self, tenant: str, id: str, item: str) -> Conversation:
        """Take one item out; its conversation. Raises NotFound when it is none of this conversation's."""
        async with self._postgres.transaction() as connection:
            number = await connection.fetchval(
                "SELECT number FROM agents_conversations WHERE tenant = $1 AND id = $2 FOR NO KEY UPDATE",
                tenant,
                _known(id),
            )
            if number is None:
                raise no_conversation(id)
            size = await connection.fetchval(_TAKE_OUT, number, _possible(item))
            if size is None:
                raise no_item(item, id)
            await connection.execute(_TIDY, number)
            head = await connection.fetchrow(_SHRINK, number, size)
        return _conversation(head)

    @asynccontextmanager
    async def _joined(self, connection: Connection | None) -> AsyncIterator[Connection]:
        """A transaction of its own, or a part of the caller's that is undone alone when it fails."""
        if connection is None:
            async with self._postgres.transaction() as own:
                yield own
        else:
            async with connection.transaction():
                yield connection

    async def _append(self, connection: Connection, tenant: str, id: str, items: Sequence[Item]) -> range:
        size = sum(len(item.data) for item in items)
        # the row is locked from here on: whoever adds as well waits, and comes behind
        grown = await connection.fetchrow(_GROW, tenant, _known(id), len(items), size)
        if grown is None:
            raise no_conversation(id)
        if grown["items"] > self._bounds.items or grown["bytes"] > self._bounds.bytes:
            raise self._full(id, grown["items"], grown["bytes"])
        if chosen := [item.id for item in items if item.chosen]:
            taken = await connection.fetchval(_TAKEN, grown["number"], chosen)
            if taken is not None:
                raise InvalidRequest(
                    f"the conversation {id!r} has an item {taken!r} already", param="items", code="item_exists"
                )
        ids, data = [item.id for item in items], [item.data for item in items]
        await connection.execute(_APPEND, grown["number"], grown["first"], ids, data, timeout=_LARGE_SECONDS)
        first: int = grown["first"]
        return range(first, first + len(items))

    def _full(self, id: str, items: int, size: int) -> InvalidRequest:
        return InvalidRequest(
            f"the conversation {id!r} would have {items} items of {size} bytes; it may have {self._bounds.items} items "
            f"of {self._bounds.bytes} bytes together",
            param="items",
            code="conversation_full",
        )


def _fitting(rows: list[Any]) -> list[int]:
    """Positions of the first rows, as many as fit into a reply; always one."""
    taken: list[int] = []
    room = PAGE_BYTES
    for row in rows:
        room -= row["size"] + _ITEM_BYTES
        if taken and room < 0:
            break
        taken.append(row["position"])
    return taken


def _known(id: str) -> str:
    """`id`, if any conversation can have it."""
    if not _ID.match(id):
        raise no_conversation(id)
    return id


def _possible(item: str) -> str:
    """`item`, or "", which none is called, when no item can be called so."""
    return item if ID.match(item) else ""


def _found(head: Any, id: str) -> Conversation:
    if head is None:
        raise no_conversation(id)
    return _conversation(head)


def _conversation(head: Any) -> Conversation:
    return Conversation(id=head["id"], created_at=head["created_at"], metadata=head["metadata"])
