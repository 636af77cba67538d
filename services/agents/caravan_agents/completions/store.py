"""The tables of stored completions. Every statement names the tenant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.completions import PIECE_BYTES, ListCompletions
from caravan_storage.postgres import Postgres

from caravan_agents.completions.keeping import Kept

_LARGE_SECONDS: Final = 60.0
"""For statements that carry whole bodies."""
_KEEP = """
INSERT INTO agents_completions (tenant, job, id, answered, model, metadata, object, size)
VALUES ($1, $2, $3, $4, $5, $6, $7::bytea, octet_length($7::bytea))
ON CONFLICT (tenant, job) DO NOTHING
RETURNING number
"""
_KEEP_MESSAGES = """
INSERT INTO agents_completion_messages (completion, position, object, size)
SELECT $1, place - 1, object, octet_length(object) FROM unnest($2::bytea[]) WITH ORDINALITY AS given (object, place)
"""
_NEWEST = """
SELECT number FROM agents_completions WHERE tenant = $1 AND id = $2 AND object IS NOT NULL
ORDER BY number DESC LIMIT 1
"""
_FORGET = """
WITH gone AS (
    UPDATE agents_completions SET object = NULL, size = 0, metadata = '{}'
    WHERE tenant = $1 AND id = $2 AND object IS NOT NULL RETURNING number
), cleared AS (
    DELETE FROM agents_completion_messages USING gone WHERE completion = gone.number
)
SELECT count(*) FROM gone
"""


@dataclass(frozen=True, slots=True)
class Found:
    """One row without its bytes."""

    number: int
    """Of the completion."""
    id: str
    size: int
    metadata: dict[str, str]
    position: int = 0
    """Of a message."""


class Store:
    """Every method raises DependencyDown when PostgreSQL cannot be reached."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def keep(self, kept: Kept) -> bool:
        """Write a completion and its messages, in one transaction; False when its job was done before."""
        async with self._postgres.transaction() as connection:
            number = await connection.fetchval(
                _KEEP,
                kept.tenant,
                kept.job,
                kept.id,
                kept.answered,
                kept.model,
                kept.metadata,
                kept.object,
                timeout=_LARGE_SECONDS,
            )
            if number is None:
                return False
            if kept.messages:
                await connection.execute(_KEEP_MESSAGES, number, kept.messages, timeout=_LARGE_SECONDS)
        return True

    async def find(self, tenant: str, id: str) -> Found | None:
        """The newest completion of that id."""
        async with self._postgres.acquire() as connection:
            row = await connection.fetchrow(
                f"SELECT number, id, size, metadata FROM agents_completions WHERE number = ({_NEWEST})",  # noqa: S608 - a literal of ours
                tenant,
                id,
            )
        return _found(row) if row is not None else None

    async def place(self, tenant: str, id: str) -> tuple[int, int] | None:
        """``(answered, number)`` of a completion, also of one that was deleted: lists go on behind it."""
        async with self._postgres.acquire() as connection:
            row = await connection.fetchrow(
                "SELECT answered, number FROM agents_completions WHERE tenant = $1 AND id = $2 "
                "ORDER BY number DESC LIMIT 1",
                tenant,
                id,
            )
        return (row["answered"], row["number"]) if row is not None else None

    async def select(self, tenant: str, asked: ListCompletions, after: tuple[int, int] | None) -> list[Found]:
        """Up to one row more than `asked.limit`, in order."""
        values: list[Any] = [tenant]
        where = ["tenant = $1", "object IS NOT NULL"]
        upward = asked.order == "asc"
        if asked.model:
            values.append(asked.model)
            where.append(f"model = ${len(values)}")
        if asked.metadata:
            values.append(asked.metadata)
            where.append(f"metadata @> ${len(values)}")
        if after is not None:
            values += after
            sign = ">" if upward else "<"
            where.append(f"(answered, number) {sign} (${len(values) - 1}, ${len(values)})")
        values.append(asked.limit + 1)
        way = "ASC" if upward else "DESC"
        query = (
            f"SELECT number, id, size, metadata FROM agents_completions WHERE {' AND '.join(where)} "  # noqa: S608 - literals of ours, values as parameters
            f"ORDER BY answered {way}, number {way} LIMIT ${len(values)}"
        )
        async with self._postgres.acquire() as connection:
            return [_found(row) for row in await connection.fetch(query, *values)]

    async def messages(self, tenant: str, number: int, after: int | None, limit: int, upward: bool) -> list[Found]:
        """Up to one message more than `limit`, in order; `after` is a position."""
        sign, way = (">", "ASC") if upward else ("<", "DESC")
        query = (
            f"SELECT number, id, m.size, metadata, position FROM agents_completion_messages m "  # noqa: S608 - literals of ours
            f"JOIN agents_completions ON number = completion WHERE tenant = $1 AND number = $2 "
            f"AND ($3::integer IS NULL OR position {sign} $3) ORDER BY position {way} LIMIT $4"
        )
        async with self._postgres.acquire() as connection:
            return [_found(row) for row in await connection.fetch(query, tenant, number, after, limit + 1)]

    async def objects(self, tenant: str, rows: list[Found], messages: bool) -> dict[tuple[int, int], bytes]:
        """JSON of these rows by ``(number, position)``."""
        async with self._postgres.acquire() as connection:
            if messages:
                got = await connection.fetch(
                    "SELECT number, position, m.object FROM agents_completion_messages m "
                    "JOIN agents_completions ON number = completion "
                    "WHERE tenant = $1 AND number = $2 AND position = ANY($3)",
                    tenant,
                    rows[0].number if rows else 0,
                    [row.position for row in rows],
                )
            else:
                got = await connection.fetch(
                    "SELECT number, 0 AS position, object FROM agents_completions "
                    "WHERE tenant = $1 AND number = ANY($2) AND object IS NOT NULL",
                    tenant,
                    [row.number for row in rows],
                )
        return {(row["number"], row["position"]): row["object"] for row in got}

    async def piece(self, tenant: str, number: int, position: int | None, offset: int) -> bytes | None:
        """At most PIECE_BYTES of a large object, behind `offset`; None when it is gone."""
        table, also = "agents_completions c", "c.number = $2 AND $3::integer IS NULL"
        if position is not None:
            table = "agents_completions c JOIN agents_completion_messages o ON o.completion = c.number"
            also = "c.number = $2 AND o.position = $3"
        column = "c.object" if position is None else "o.object"
        async with self._postgres.acquire() as connection:
            made = await connection.fetchval(
                f"SELECT substring({column} FROM $4 FOR {PIECE_BYTES}) FROM {table} WHERE c.tenant = $1 AND {also}",  # noqa: S608 - literals of ours
                tenant,
                number,
                position,
                offset + 1,
            )
        return bytes(made) if made is not None else None

    async def describe(self, tenant: str, id: str, metadata: dict[str, str]) -> Found | None:
        """Replace the metadata of the newest completion of that id."""
        async with self._postgres.acquire() as connection:
            row = await connection.fetchrow(
                f"UPDATE agents_completions SET metadata = $3 WHERE number = ({_NEWEST}) "  # noqa: S608 - a literal of ours
                "RETURNING number, id, size, metadata",
                tenant,
                id,
                metadata,
            )
        return _found(row) if row is not None else None

    async def forget(self, tenant: str, id: str) -> bool:
        """Delete every completion of that id. An empty row stays until it is swept: its job, should it come once
        more, makes no other."""
        async with self._postgres.acquire() as connection:
            return bool(await connection.fetchval(_FORGET, tenant, id))


def _found(row: Any) -> Found:
    return Found(row["number"], row["id"], row["size"], row["metadata"], row.get("position", 0))
