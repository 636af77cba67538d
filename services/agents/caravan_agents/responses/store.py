"""The table of responses. Every statement names the tenant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import orjson
from caravan_contracts.responses import Recall
from caravan_storage.postgres import Connection, Postgres

from caravan_agents.conversations.items import prepare
from caravan_agents.conversations.store import Store as Conversations
from caravan_agents.errors import no_item_at_all, no_response
from caravan_agents.responses.ids import response_of
from caravan_agents.responses.items import Item
from caravan_agents.runs.journal import Claimed, end, keep_events, packed

MAX_CHAIN: Final = 1000
"""Responses that one may go back through `previous_response_id`."""
_ID: Final = re.compile(r"resp_[0-9a-f]{48}\Z")
_SECONDS: Final = 30.0
"""For statements that carry whole responses."""
_CHAIN: Final = """
WITH RECURSIVE chain AS (
    SELECT number, previous, conversation, position, 0 AS depth FROM agents_responses WHERE tenant = $1 AND id = $2
    UNION ALL
    SELECT r.number, r.previous, r.conversation, r.position, c.depth + 1
    FROM agents_responses r JOIN chain c ON r.tenant = $1 AND r.id = c.previous
    WHERE c.conversation IS NULL AND c.depth < $3
)
SELECT c.conversation, c.position, r.input, r.object FROM chain c JOIN agents_responses r ON r.number = c.number
ORDER BY c.depth DESC
"""
_KEEP: Final = """
INSERT INTO agents_responses (tenant, id, model, previous, conversation, input, object)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, id) DO NOTHING RETURNING number
"""
_OF_HEADS: Final = """
SELECT r.input, r.object FROM unnest($2::text[]) AS head JOIN agents_responses r
ON r.tenant = $1 AND r.id BETWEEN head || '00000000' AND head || 'ffffffff'
"""
_NOTE: Final = """
INSERT INTO agents_notices (tenant, response, status, ended) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
_KEEP_ALONE: Final = """
WITH kept AS (
    INSERT INTO agents_responses (tenant, id, model, previous, conversation, input, object)
    VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, id) DO NOTHING RETURNING number
), said AS (
    INSERT INTO agents_events (tenant, response, first, data)
    SELECT $1, $2, $8::integer, $9::bytea FROM kept WHERE $9::bytea IS NOT NULL
)
SELECT number FROM kept
"""
"""A response of no conversation, in one round trip."""
_OBJECT: Final = "SELECT object FROM agents_responses WHERE tenant = $1 AND id = $2"


class ResponseStore:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for a response that is not
    the tenant's."""

    def __init__(self, postgres: Postgres, conversations: Conversations, item_bytes: int) -> None:
        self._postgres = postgres
        self._conversations = conversations
        self._item_bytes = item_bytes

    async def keep(
        self,
        tenant: str,
        given: Sequence[Item],
        made: dict[str, Any],
        events: Sequence[tuple[int, bytes]] = (),
        run: Claimed | None = None,
        alone: bool = False,
        notice: int | None = None,
    ) -> bytes | None:
        """Keep the response `made` from `given` (unless its `store` is false) with its `events`, and add both to its
        conversation, all or nothing; with that its `run` is over. Raises InvalidRequest when the conversation has no
        room for them, RunTaken when the run is another process's.

        A response that is kept already stays as it is: it is returned then. With `alone` nothing is added to its
        conversation. `notice` is when it ended, in Unix seconds, if somebody is to be told.
        """
        conversation = None if alone else (made["conversation"] or {}).get("id")
        store = made["store"]
        if not store and not conversation:
            return None
        if run is None and conversation is None:
            return await self._keep_alone(tenant, given, made, events)
        async with self._postgres.transaction() as connection:
            if run is not None:
                await end(connection, run)
            number = None
            if store:
                number = await connection.fetchval(_KEEP, *_row(tenant, given, made, conversation), timeout=_SECONDS)
                if number is None:
                    found: bytes = await connection.fetchval(_OBJECT, tenant, made["id"], timeout=_SECONDS)
                    return found
                await keep_events(connection, tenant, made["id"], events)
            if notice is not None:
                await connection.execute(_NOTE, tenant, made["id"], made["status"], notice)
            if conversation:
                items = prepare([*given, *made["output"]], self._item_bytes)
                added = await self._conversations.append(tenant, conversation, items, connection)
                if number is not None:
                    await connection.execute(
                        "UPDATE agents_responses SET position = $2 WHERE number = $1", number, added.start
                    )
        return None

    async def _keep_alone(
        self, tenant: str, given: Sequence[Item], made: dict[str, Any], events: Sequence[tuple[int, bytes]]
    ) -> bytes | None:
        first, data = packed(events) if events else (0, None)
        row = _row(tenant, given, made, None)
        async with self._postgres.acquire() as connection:
            if await connection.fetchval(_KEEP_ALONE, *row, first, data, timeout=_SECONDS) is not None:
                return None
            found: bytes = await connection.fetchval(_OBJECT, tenant, made["id"], timeout=_SECONDS)
            return found

    async def items(self, tenant: str, ids: Sequence[str]) -> dict[str, Item]:
        """Items of any stored response, by their ids. Raises NotFound for one that is in none."""
        async with self._postgres.acquire() as connection:
            heads = list({head for wanted in ids if (head := response_of(wanted)) is not None})
            rows = await connection.fetch(_OF_HEADS, tenant, heads, timeout=_SECONDS)
        known: dict[str, Item] = {}
        for row in rows:
            for item in [*orjson.loads(row["input"]), *orjson.loads(row["object"])["output"]]:
                known[item["id"]] = item
        for wanted in ids:
            if wanted not in known:
                raise no_item_at_all(wanted)
        return known

    async def history(self, tenant: str, id: str) -> list[Item]:
        """What was said up to the end of the response `id`, in order."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                _CHAIN, tenant, known_id(id, "previous_response_id"), MAX_CHAIN, timeout=_SECONDS
            )
            if not rows:
                raise no_response(id, "previous_response_id")
            made: list[Item] = []
            if rows[0]["conversation"]:
                first = rows[0]
                made += await self._conversations.read(tenant, first["conversation"], connection, first["position"])
        for row in rows:
            made += orjson.loads(row["input"])
            made += orjson.loads(row["object"])["output"]
        return made

    async def said(self, tenant: str, conversation: str) -> list[Item]:
        """Every item of a conversation, in order."""
        return await self._conversations.read(tenant, conversation)

    async def find(self, tenant: str, id: str) -> bytes | None:
        """The response, as JSON; None when it is not there, or not yet."""
        async with self._postgres.acquire() as connection:
            found: bytes | None = await connection.fetchval(_OBJECT, tenant, known_id(id), timeout=_SECONDS)
        return found

    async def get(self, tenant: str, id: str) -> bytes:
        """The response, as JSON."""
        found = await self.find(tenant, id)
        if found is None:
            raise no_response(id)
        return found

    async def given(self, tenant: str, id: str) -> list[Item]:
        """What went into it."""
        async with self._postgres.acquire() as connection:
            found = await connection.fetchval(
                "SELECT input FROM agents_responses WHERE tenant = $1 AND id = $2",
                tenant,
                known_id(id),
                timeout=_SECONDS,
            )
        if found is None:
            raise no_response(id)
        made: list[Item] = orjson.loads(found)
        return made

    async def forget(self, tenant: str, id: str) -> None:
        """Delete it."""
        async with self._postgres.transaction() as connection:
            gone = await connection.fetchval(
                "DELETE FROM agents_responses WHERE tenant = $1 AND id = $2 RETURNING number", tenant, known_id(id)
            )
            if gone is None:
                raise no_response(id)
            await connection.execute("DELETE FROM agents_events WHERE tenant = $1 AND response = $2", tenant, id)

    async def page(self, tenant: str, asked: Recall) -> tuple[list[bytes], bool]:
        """Responses as JSON, and whether there are more. Raises NotFound for an `after` that is none of them."""
        sign, way = (">", "ASC") if asked.order == "asc" else ("<", "DESC")
        async with self._postgres.acquire() as connection:
            place = await self._place(connection, tenant, asked.after) if asked.after else None
            rows = await connection.fetch(
                f"SELECT object FROM agents_responses WHERE tenant = $1 AND ($2::bigint IS NULL OR number {sign} $2) "  # noqa: S608 - literals of ours
                f"AND ($3 = '' OR model = $3) ORDER BY number {way} LIMIT $4",
                tenant,
                place,
                asked.model,
                asked.limit + 1,
                timeout=_SECONDS,
            )
        return [row["object"] for row in rows[: asked.limit]], len(rows) > asked.limit

    async def _place(self, connection: Connection, tenant: str, id: str) -> int:
        place: int | None = await connection.fetchval(
            "SELECT number FROM agents_responses WHERE tenant = $1 AND id = $2", tenant, known_id(id, "after")
        )
        if place is None:
            raise no_response(id, "after")
        return place


def _row(tenant: str, given: Sequence[Item], made: dict[str, Any], conversation: str | None) -> tuple[Any, ...]:
    previous = made["previous_response_id"]
    return (
        tenant,
        made["id"],
        made["model"],
        previous,
        conversation,
        orjson.dumps(list(given)),
        orjson.dumps(made),
    )


def known_id(id: str, param: str = "response_id") -> str:
    """`id`, if any response can have it."""
    if not _ID.match(id):
        raise no_response(id, param)
    return id
