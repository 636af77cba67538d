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
from caravan_agents.errors import no_response
from caravan_agents.responses.items import Item

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


class ResponseStore:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for a response that is not
    the tenant's."""

    def __init__(self, postgres: Postgres, conversations: Conversations, item_bytes: int) -> None:
        self._postgres = postgres
        self._conversations = conversations
        self._item_bytes = item_bytes

    async def keep(self, tenant: str, given: Sequence[Item], made: dict[str, Any], store: bool) -> None:
        """Keep the response `made` from `given` (unless `store` is false), and add both to its conversation, all or
        nothing. Raises InvalidRequest when that has no room for them."""
        conversation = (made["conversation"] or {}).get("id")
        if not store and not conversation:
            return
        async with self._postgres.transaction() as connection:
            position = None
            if conversation:
                items = prepare([*given, *made["output"]], self._item_bytes)
                added = await self._conversations.append(tenant, conversation, items, connection)
                position = added.start
            if store:
                await connection.execute(
                    "INSERT INTO agents_responses (tenant, id, model, previous, conversation, position, input, object) "
                    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    tenant,
                    made["id"],
                    made["model"],
                    made["previous_response_id"],
                    conversation,
                    position,
                    orjson.dumps(list(given)),
                    orjson.dumps(made),
                    timeout=_SECONDS,
                )

    async def history(self, tenant: str, id: str) -> list[Item]:
        """What was said up to the end of the response `id`, in order."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                _CHAIN, tenant, _known(id, "previous_response_id"), MAX_CHAIN, timeout=_SECONDS
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

    async def get(self, tenant: str, id: str) -> bytes:
        """The response, as JSON."""
        async with self._postgres.acquire() as connection:
            found: bytes | None = await connection.fetchval(
                "SELECT object FROM agents_responses WHERE tenant = $1 AND id = $2",
                tenant,
                _known(id),
                timeout=_SECONDS,
            )
        if found is None:
            raise no_response(id)
        return found

    async def given(self, tenant: str, id: str) -> list[Item]:
        """What went into it."""
        async with self._postgres.acquire() as connection:
            found = await connection.fetchval(
                "SELECT input FROM agents_responses WHERE tenant = $1 AND id = $2", tenant, _known(id), timeout=_SECONDS
            )
        if found is None:
            raise no_response(id)
        made: list[Item] = orjson.loads(found)
        return made

    async def forget(self, tenant: str, id: str) -> None:
        """Delete it."""
        async with self._postgres.acquire() as connection:
            gone = await connection.fetchval(
                "DELETE FROM agents_responses WHERE tenant = $1 AND id = $2 RETURNING number", tenant, _known(id)
            )
        if gone is None:
            raise no_response(id)

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
            "SELECT number FROM agents_responses WHERE tenant = $1 AND id = $2", tenant, _known(id, "after")
        )
        if place is None:
            raise no_response(id, "after")
        return place


def _known(id: str, param: str = "response_id") -> str:
    """`id`, if any response can have it."""
    if not _ID.match(id):
        raise no_response(id, param)
    return id
