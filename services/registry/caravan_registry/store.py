"""The registry's tables. One change at a time, each with the next revision; nobody else reads or writes them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from caravan_contracts.registry import ChangeFact, Resource, ResourceKind, Source, key_of
from caravan_storage.postgres import Connection, Postgres

_PUT = """
INSERT INTO registry_resources AS old (tenant, kind, id, source, revision, created, body)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (tenant, kind, id) DO UPDATE SET
    source = excluded.source,
    revision = excluded.revision,
    body = excluded.body,
    status = CASE WHEN old.body = excluded.body THEN old.status ELSE '' END,
    status_message = CASE WHEN old.body = excluded.body THEN old.status_message ELSE '' END
RETURNING *
"""
_NAMED = """
SELECT id FROM registry_resources
WHERE tenant = $1 AND kind = 'model' AND id <> $2
  AND (id = ANY($3) OR body -> 'aliases' ?| $3)
  AND NOT coalesce((body ->> 'disabled')::boolean, false)
ORDER BY id LIMIT 5
"""

_MODELS_NAMED = """
SELECT id FROM registry_resources
WHERE tenant = ANY($1) AND kind = 'model'
  AND (id = ANY($2) OR body -> 'aliases' ?| $2)
  AND NOT coalesce((body ->> 'disabled')::boolean, false)
ORDER BY id LIMIT 5
"""


def _resource(row: Any) -> Resource:
    body = row["body"]
    if row["kind"] == ResourceKind.PROVIDER:
        body = {**body, "status": row["status"] or "unknown", "status_message": row["status_message"]}
    return Resource(
        tenant=row["tenant"],
        kind=row["kind"],
        id=row["id"],
        source=row["source"],
        revision=row["revision"],
        created=row["created"],
        body=body,
    )


class Change:
    """One transaction that holds the registry's revision. Made by :meth:`Store.change`."""

    def __init__(self, connection: Connection, previous: int) -> None:
        self._connection = connection
        self.previous = previous
        self._changed: dict[str, Resource] = {}
        self._removed: dict[str, None] = {}

    @property
    def fact(self) -> ChangeFact | None:
        """What was changed; None when nothing was."""
        if not self._changed and not self._removed:
            return None
        return ChangeFact(
            revision=self.previous + 1,
            previous=self.previous,
            changed=list(self._changed.values()),
            removed=list(self._removed),
        )

    @property
    def revision(self) -> int:
        """The registry's revision after this change."""
        return self.previous + 1 if self._changed or self._removed else self.previous

    async def get(self, tenant: str, kind: ResourceKind, id: str) -> Resource | None:
        """One resource of `tenant` itself."""
        found = await self._select("tenant = $1 AND kind = $2 AND id = $3", tenant, kind, id)
        return found[0] if found else None

    async def provider(self, id: str) -> Resource | None:
        """A provider, whoever owns it."""
        found = await self._select("kind = 'provider' AND id = $1", id)
        return found[0] if found else None

    async def provider_ids(self, *tenants: str) -> list[str]:
        """Ids of the providers of these tenants."""
        rows = await self._connection.fetch(
            "SELECT id FROM registry_resources WHERE kind = 'provider' AND tenant = ANY($1) ORDER BY id LIMIT 50",
            list(tenants),
        )
        return [row["id"] for row in rows]

    async def models_of(self, provider_id: str) -> list[Resource]:
        """The models of a provider, of every tenant."""
        return await self._select("kind = 'model' AND body ->> 'provider_id' = $1", provider_id)

    async def from_source(self, source: Source) -> list[Resource]:
        """Everything `source` put there."""
        return await self._select("source = $1", source)

    async def named(self, tenant: str, id: str, aliases: list[str]) -> list[str]:
        """Ids of other models of `tenant` that go by one of `aliases`."""
        rows = await self._connection.fetch(_NAMED, tenant, id, aliases)
        return [row["id"] for row in rows]

    async def models_named(self, tenants: list[str], names: list[str]) -> list[str]:
        """Ids of the models of these tenants that go by one of `names`."""
        return [row["id"] for row in await self._connection.fetch(_MODELS_NAMED, tenants, names)]

    async def routes_named(self, tenants: list[str], names: list[str]) -> list[str]:
        """Which of `names` are routes of these tenants."""
        rows = await self._connection.fetch(
            "SELECT id FROM registry_resources WHERE kind = 'route' AND tenant = ANY($1) AND id = ANY($2) ORDER BY id",
            tenants,
            names,
        )
        return [row["id"] for row in rows]

    async def routes_to(self, tenant: str, target: str) -> list[str]:
        """Ids of the routes of `tenant` that have `target` among their targets."""
        rows = await self._connection.fetch(
            "SELECT id FROM registry_resources WHERE kind = 'route' AND tenant = $1 AND body @> $2 ORDER BY id LIMIT 5",
            tenant,
            {"targets": [{"model": target}]},
        )
        return [row["id"] for row in rows]

    async def put(self, tenant: str, kind: ResourceKind, id: str, source: Source, body: dict[str, Any]) -> Resource:
        """Create or replace a row. A provider whose body changes has no known status any more."""
        row = await self._connection.fetchrow(_PUT, tenant, kind, id, source, self.previous + 1, int(time.time()), body)
        return self._note(_resource(row))

    async def set_status(self, provider: Resource, status: str, message: str) -> Resource:
        """What a worker says of a provider. The row keeps its own revision: what was put has not changed."""
        row = await self._connection.fetchrow(
            "UPDATE registry_resources SET status = $2, status_message = $3 "
            "WHERE kind = 'provider' AND id = $1 RETURNING *",
            provider.id,
            status,
            message,
        )
        return self._note(_resource(row))

    async def remove(self, resources: Iterable[Resource]) -> None:
        """Delete rows."""
        rows = list(resources)
        if not rows:
            return
        await self._connection.executemany(
            "DELETE FROM registry_resources WHERE tenant = $1 AND kind = $2 AND id = $3",
            [(row.tenant, row.kind, row.id) for row in rows],
        )
        for row in rows:
            key = key_of(row.tenant, row.kind, row.id)
            self._changed.pop(key, None)
            self._removed[key] = None

    async def finish(self) -> None:
        """Take the revision, if anything changed."""
        if self.revision != self.previous:
            await self._connection.execute("UPDATE registry_state SET revision = $1", self.revision)

    def _note(self, resource: Resource) -> Resource:
        key = key_of(resource.tenant, resource.kind, resource.id)
        self._removed.pop(key, None)
        self._changed[key] = resource
        return resource

    async def _select(self, where: str, *values: str) -> list[Resource]:
        rows = await self._connection.fetch(
            f"SELECT * FROM registry_resources WHERE {where} ORDER BY tenant, kind, id",  # noqa: S608 - `where` is a literal of ours
            *values,
        )
        return [_resource(row) for row in rows]


class Store:
    """The tables."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @asynccontextmanager
    async def change(self) -> AsyncIterator[Change]:
        """A change, committed at the end of the block with the next revision, if it changed anything.

        The lock on the revision makes changes of all replicas follow one another. Raises DependencyDown.
        """
        async with self._postgres.transaction() as connection:
            previous = await connection.fetchval("SELECT revision FROM registry_state FOR UPDATE")
            change = Change(connection, previous)
            yield change
            await change.finish()

    async def revision(self) -> int:
        """The revision that was committed last."""
        async with self._postgres.acquire() as connection:
            return int(await connection.fetchval("SELECT revision FROM registry_state"))

    async def load(self) -> tuple[int, list[Resource]]:
        """Everything there is, and the revision it stands at."""
        async with (
            self._postgres.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            revision = await connection.fetchval("SELECT revision FROM registry_state")
            rows = await connection.fetch("SELECT * FROM registry_resources")
            return int(revision), [_resource(row) for row in rows]
