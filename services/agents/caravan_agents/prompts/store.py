"""The tables of prompts. Every statement names the tenant, or a prompt that was found by it."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from caravan_contracts.errors import Conflict, InvalidRequest
from caravan_contracts.prompts import PAGE_BYTES, ListPrompts, ListPromptVersions, Prompt, PromptPage, UpdatePrompt
from caravan_storage.postgres import Connection, Postgres

from caravan_agents.errors import no_prompt

_ID: Final = re.compile(r"pmpt_[0-9a-f]{48}\Z")
_PROMPT_BYTES: Final = 512
"""What a prompt costs in a reply beside its template and the names of its variables."""
_ROW: Final = """
SELECT p.id, v.version, v.template, v.variables, v.version = p.default_version AS is_default
FROM agents_prompts p JOIN agents_prompt_versions v ON v.prompt = p.number
"""
_ADD = "INSERT INTO agents_prompt_versions (prompt, version, template, variables, size) VALUES ($1, $2, $3, $4, $5)"
_NEXT = """
UPDATE agents_prompts
SET latest = latest + 1, default_version = CASE WHEN $4 THEN latest + 1 ELSE default_version END
WHERE tenant = $1 AND id = $2 AND latest = $3 RETURNING number, latest, default_version
"""
_DEFAULTS = """
SELECT p.number, v.version, v.size FROM agents_prompts p
JOIN agents_prompt_versions v ON v.prompt = p.number AND v.version = p.default_version
WHERE p.tenant = $1 AND p.number > $2 ORDER BY p.number LIMIT $3
"""
_VERSIONS = """
SELECT p.number, v.version, v.size FROM agents_prompts p JOIN agents_prompt_versions v ON v.prompt = p.number
WHERE p.tenant = $1 AND p.id = $2 AND v.version > $3 ORDER BY v.version LIMIT $4
"""
_THESE = f"""
{_ROW} JOIN unnest($2::bigint[], $3::integer[]) AS wanted (number, version)
ON wanted.number = p.number AND wanted.version = v.version WHERE p.tenant = $1 ORDER BY p.number, v.version
"""


class Store:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for what is not the
    tenant's."""

    def __init__(self, postgres: Postgres, most_versions: int) -> None:
        self._postgres = postgres
        self._most_versions = most_versions

    async def create(self, tenant: str, id: str, template: str, variables: list[str]) -> Prompt:
        """A new prompt; its version is 1."""
        async with self._postgres.transaction() as connection:
            number = await connection.fetchval(
                "INSERT INTO agents_prompts (tenant, id, latest, default_version) VALUES ($1, $2, 1, 1) "
                "RETURNING number",
                tenant,
                id,
            )
            await _add(connection, number, 1, template, variables)
        return Prompt(prompt_id=id, prompt=template, version=1, variables=variables, is_default=True)

    async def get(self, tenant: str, id: str, version: int | None, connection: Connection | None = None) -> Prompt:
        """One version, or the default one. With a `connection` that is in a transaction it is part of that."""
        if connection is None:
            async with self._postgres.acquire() as own:
                return await _get(own, tenant, id, version)
        return await _get(connection, tenant, id, version)

    async def update(self, tenant: str, asked: UpdatePrompt, variables: list[str]) -> Prompt:
        """One version more. Raises Conflict when `asked.version` is not the newest, and InvalidRequest when there are
        too many."""
        async with self._postgres.transaction() as connection:
            row = await connection.fetchrow(_NEXT, tenant, _known(asked.id), asked.version, asked.set_as_default)
            if row is None:
                raise await _outdated(connection, tenant, asked)
            if row["latest"] > self._most_versions:
                raise InvalidRequest(
                    f"a prompt may have {self._most_versions} versions", param="version", code="too_many_versions"
                )
            await _add(connection, row["number"], row["latest"], asked.prompt, variables)
        return Prompt(
            prompt_id=asked.id,
            prompt=asked.prompt,
            version=row["latest"],
            variables=variables,
            is_default=row["latest"] == row["default_version"],
        )

    async def set_default(self, tenant: str, id: str, version: int) -> Prompt:
        """Choose the default version; that one."""
        async with self._postgres.transaction() as connection:
            await _get(connection, tenant, id, version)
            await connection.execute(
                "UPDATE agents_prompts SET default_version = $3 WHERE tenant = $1 AND id = $2", tenant, id, version
            )
            return await _get(connection, tenant, id, version)

    async def forget(self, tenant: str, id: str) -> None:
        """Delete it with all its versions."""
        async with self._postgres.acquire() as connection:
            gone = await connection.fetchval(
                "DELETE FROM agents_prompts WHERE tenant = $1 AND id = $2 RETURNING number", tenant, _known(id)
            )
        if gone is None:
            raise no_prompt(id)

    async def prompts(self, tenant: str, asked: ListPrompts) -> PromptPage:
        """The default versions, as many as were asked for and fit."""
        async with self._postgres.acquire() as connection:
            number = 0
            if asked.after:
                number = await connection.fetchval(
                    "SELECT number FROM agents_prompts WHERE tenant = $1 AND id = $2",
                    tenant,
                    _known(asked.after, "after"),
                )
                if number is None:
                    raise no_prompt(asked.after, param="after")
            rows = await connection.fetch(_DEFAULTS, tenant, number, asked.limit + 1)
            return await _page(connection, tenant, rows, asked.limit)

    async def versions(self, tenant: str, asked: ListPromptVersions) -> PromptPage:
        """The versions of one, as many as were asked for and fit."""
        async with self._postgres.acquire() as connection:
            await _get(connection, tenant, asked.id, None)
            rows = await connection.fetch(_VERSIONS, tenant, asked.id, asked.after, asked.limit + 1)
            return await _page(connection, tenant, rows, asked.limit)


async def _add(connection: Connection, number: int, version: int, template: str, variables: list[str]) -> None:
    size = len(orjson.dumps([template, variables]))
    await connection.execute(_ADD, number, version, template, variables, size)


async def _get(connection: Connection, tenant: str, id: str, version: int | None) -> Prompt:
    row = await connection.fetchrow(
        f"{_ROW} AND v.version = coalesce($3, p.default_version) WHERE p.tenant = $1 AND p.id = $2",
        tenant,
        _known(id),
        version,
    )
    if row is not None:
        return _prompt(row)
    exists = await connection.fetchval("SELECT 1 FROM agents_prompts WHERE tenant = $1 AND id = $2", tenant, id)
    raise no_prompt(id, version if exists else None)


async def _outdated(connection: Connection, tenant: str, asked: UpdatePrompt) -> Exception:
    latest = await connection.fetchval(
        "SELECT latest FROM agents_prompts WHERE tenant = $1 AND id = $2", tenant, asked.id
    )
    if latest is None:
        return no_prompt(asked.id)
    return Conflict(
        f"the newest version of the prompt {asked.id!r} is {latest}, not {asked.version}: look at it and send your "
        f"change with version {latest}",
        param="version",
        code="version_conflict",
    )


async def _page(connection: Connection, tenant: str, rows: list[Any], limit: int) -> PromptPage:
    taken: list[Any] = []
    room = PAGE_BYTES
    for row in rows[:limit]:
        room -= row["size"] + _PROMPT_BYTES
        if taken and room < 0:
            break
        taken.append(row)
    found = await connection.fetch(_THESE, tenant, [r["number"] for r in taken], [r["version"] for r in taken])
    return PromptPage(data=[_prompt(row) for row in found], has_more=len(taken) < len(rows))


def _prompt(row: Any) -> Prompt:
    return Prompt(
        prompt_id=row["id"],
        prompt=row["template"],
        version=row["version"],
        variables=row["variables"],
        is_default=row["is_default"],
    )


def _known(id: str, param: str = "prompt_id") -> str:
    """`id`, if any prompt can have it."""
    if not _ID.match(id):
        raise no_prompt(id, param=param)
    return id
