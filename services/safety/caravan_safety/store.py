"""The table of verdicts. Rows come many at a time; every statement that reads names the tenant."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from caravan_contracts.errors import NotFound
from caravan_contracts.safety import ListVerdicts, VerdictFact, VerdictPage
from caravan_storage.postgres import Postgres

_INSERT: Final = """
INSERT INTO safety_verdicts (tenant, id, at, request_id, shield, flagged, fact)
SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::text[], $6::boolean[], $7::jsonb[])
ON CONFLICT (tenant, id) DO NOTHING
"""
_FORGET: Final = """
DELETE FROM safety_verdicts WHERE number IN (
    SELECT number FROM safety_verdicts WHERE at < now() - make_interval(secs => $1) ORDER BY at LIMIT $2
)
"""
_AT_ONCE: Final = 5_000
"""Rows that one statement forgets."""


class Store:
    """Every method raises DependencyDown when PostgreSQL cannot be reached."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def add(self, facts: Sequence[VerdictFact]) -> None:
        """All of them with one statement; those that are there already stay as they are."""
        columns = [
            [fact.tenant for fact in facts],
            [fact.id for fact in facts],
            [datetime.fromtimestamp(fact.at, UTC) for fact in facts],
            [fact.request_id for fact in facts],
            [fact.shield for fact in facts],
            [fact.flagged for fact in facts],
            [fact.model_dump_json() for fact in facts],
        ]
        async with self._postgres.acquire() as connection:
            await connection.execute(_INSERT, *columns)

    async def page(self, tenant: str, asked: ListVerdicts) -> VerdictPage:
        """Newest first. Raises NotFound for an `after` that is not there."""
        values: list[Any] = [tenant]
        where = ["tenant = $1"]
        for column, value in (("flagged", asked.flagged), ("shield", asked.shield), ("request_id", asked.request_id)):
            if value not in (None, ""):
                values.append(value)
                where.append(f"{column} = ${len(values)}")
        async with self._postgres.acquire() as connection:
            if asked.after:
                row = await connection.fetchrow(
                    "SELECT at, number FROM safety_verdicts WHERE tenant = $1 AND id = $2", tenant, asked.after
                )
                if row is None:
                    raise NotFound(f"there is no verdict {asked.after[:80]!r} to go on behind", param="after")
                values += [row["at"], row["number"]]
                where.append(f"(at, number) < (${len(values) - 1}, ${len(values)})")
            values.append(asked.limit + 1)
            rows = await connection.fetch(
                f"SELECT fact FROM safety_verdicts WHERE {' AND '.join(where)} "  # noqa: S608 - columns of ours
                f"ORDER BY at DESC, number DESC LIMIT ${len(values)}",
                *values,
            )
        facts = [VerdictFact.model_validate_json(row["fact"]) for row in rows[: asked.limit]]
        return VerdictPage(data=facts, has_more=len(rows) > asked.limit)

    async def forget(self, seconds: float) -> bool:
        """Rows that are older; whether there may be more of them."""
        async with self._postgres.acquire() as connection:
            done = await connection.execute(_FORGET, seconds, _AT_ONCE)
        return int(str(done).rpartition(" ")[2]) == _AT_ONCE
