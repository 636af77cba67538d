"""The table of stores. Every statement names the tenant, or a store that was found by it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from caravan_contracts.vectors import ListStores, StorePage, VectorStore
from caravan_storage.postgres import Connection, Postgres

from caravan_vector.bounds import fitting
from caravan_vector.errors import expired, no_store
from caravan_vector.ids import known
from caravan_vector.paging import page_of
from caravan_vector.stores.rows import COUNTS, STORE, UNSETTLE, Store, store, vector_store

_MAKE: Final = """
INSERT INTO vector_stores (tenant, id, state, name, description, metadata, expires_days, provider, model, dimension,
    chunking) VALUES ($1, $2, 'making', $3, $4, $5, $6, $7, $8, $9, $10) RETURNING number
"""
_TOUCH: Final = """
UPDATE vector_stores SET active = now() WHERE number = $1 AND active < now() - interval '1 minute'
"""
"""Uses within a minute are one: a search should not have to write."""
UNSETTLED_SECONDS: Final = 600.0
"""After which a store is made ready for searches although files still come."""
_FIELDS: Final = ("name", "description", "metadata", "expires_days")


class StoreTable:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for what is not the
    tenant's."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def make(self, made: Store, name: str, description: str | None, metadata: Any, days: int | None) -> int:
        """A row that nobody sees yet; its number."""
        async with self._postgres.acquire() as connection:
            number: int = await connection.fetchval(
                _MAKE,
                made.tenant,
                made.id,
                name,
                description,
                metadata,
                days,
                made.provider,
                made.model,
                made.dimension,
                made.chunking,
            )
        return number

    async def show(self, number: int) -> None:
        """From now on it is seen."""
        async with self._postgres.acquire() as connection:
            await connection.execute(
                "UPDATE vector_stores SET state = 'ready' WHERE number = $1 AND state = 'making'", number
            )

    async def get(self, tenant: str, id: str) -> VectorStore:
        """One, as clients see it."""
        async with self._postgres.acquire() as connection:
            row = await _find(connection, tenant, id)
            counted = await connection.fetchrow(COUNTS, [row["number"]])
        return vector_store(row, counted)

    async def find(self, tenant: str, id: str) -> Store:
        """One, whether it has expired or not."""
        async with self._postgres.acquire() as connection:
            return store(await _find(connection, tenant, id))

    async def use(self, tenant: str, id: str) -> Store:
        """One that is used just now. Raises StoreExpired."""
        async with self._postgres.acquire() as connection:
            row = await _find(connection, tenant, id)
            if row["expired"]:
                raise expired(id)
            await connection.execute(_TOUCH, row["number"])
        return store(row)

    async def page(self, tenant: str, asked: ListStores) -> StorePage:
        """In the order in which they were made, or against it; fewer than `limit` when they are many bytes."""
        async with self._postgres.acquire() as connection:
            after = await _find(connection, tenant, asked.after, "after") if asked.after else None
            before = await _find(connection, tenant, asked.before, "before") if asked.before else None
            values: list[Any] = [tenant]
            where = ["s.tenant = $1", "s.state = 'ready'"]
            if asked.name:
                values.append(asked.name)
                where.append("s.name = $2")
            end, backwards = page_of(where, values, asked.order, asked.limit, after, before, "s")
            rows = await connection.fetch(f"SELECT {STORE} FROM vector_stores s {end}", *values)  # noqa: S608 - literals of ours
            counted = await connection.fetch(COUNTS, [row["number"] for row in rows])
        of = {row["store"]: row for row in counted}
        shown = fitting([vector_store(row, of.get(row["number"])) for row in rows[: asked.limit]])
        more = len(rows) > len(shown)
        return StorePage(data=shown[::-1] if backwards else shown, has_more=more)

    async def change(self, tenant: str, id: str, fields: dict[str, Any]) -> VectorStore:
        """Replace some of what was said of it. Raises StoreExpired."""
        async with self._postgres.transaction() as connection:
            row = await _find(connection, tenant, id, lock=True)
            if row["expired"]:
                raise expired(id)
            names = [name for name in _FIELDS if name in fields]
            sets = "".join(f", {name} = ${place}" for place, name in enumerate(names, 2))
            await connection.execute(
                f"UPDATE vector_stores SET active = now(){sets} WHERE number = $1",  # noqa: S608 - literals of ours
                row["number"],
                *[fields[name] for name in names],
            )
            row = await _find(connection, tenant, id)
            counted = await connection.fetchrow(COUNTS, [row["number"]])
        return vector_store(row, counted)

    async def hide(self, tenant: str, id: str) -> Store:
        """From now on nobody sees it."""
        async with self._postgres.acquire() as connection:
            row = None
            if known(id):
                row = await connection.fetchrow(
                    f"UPDATE vector_stores s SET state = 'removing' "  # noqa: S608 - literals of ours
                    f"WHERE s.tenant = $1 AND s.id = $2 AND s.state = 'ready' RETURNING {STORE}",
                    tenant,
                    id,
                )
        if row is None:
            raise no_store(id)
        return store(row)

    async def forget(self, number: int) -> None:
        """Its row and those of its files: its index has nothing any more."""
        async with self._postgres.acquire() as connection:
            await connection.execute(
                "DELETE FROM vector_stores WHERE number = $1 AND state <> 'ready'", number, timeout=120.0
            )

    async def over(self, limit: int) -> Sequence[tuple[Store, bool]]:
        """Stores to be emptied: those that are to go altogether (True), and those that expired."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT {STORE}, s.state FROM vector_stores s "  # noqa: S608 - literals of ours
                "WHERE s.state = 'removing' OR (s.state = 'making' AND s.created < now() - interval '10 minutes') "
                "OR (s.state = 'ready' AND NOT s.emptied AND s.expires_days IS NOT NULL "
                "AND s.active + make_interval(days => s.expires_days) <= now()) ORDER BY s.number LIMIT $1",
                limit,
            )
        return [(store(row), row["state"] != "ready") for row in rows]

    async def emptied(self, number: int) -> None:
        """An expired store has nothing any more but its name."""
        async with self._postgres.transaction() as connection:
            await connection.execute("DELETE FROM vector_files WHERE store = $1", number, timeout=120.0)
            await connection.execute("UPDATE vector_stores SET emptied = true WHERE number = $1", number)

    async def unsettle(self, number: int) -> None:
        """Something came into it that is no file."""
        async with self._postgres.acquire() as connection:
            await connection.execute(UNSETTLE, number)

    async def unsettled(self) -> Sequence[tuple[Store, str]]:
        """Stores that something came into, and that get no file just now, or have got some for long; with the version
        of the row of each."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT {STORE}, s.xmin::text AS version FROM vector_stores s "  # noqa: S608 - literals of ours
                "WHERE s.unsettled IS NOT NULL AND s.state = 'ready' AND NOT s.emptied "
                "AND (s.unsettled < now() - make_interval(secs => $1) OR NOT EXISTS ("
                "SELECT 1 FROM vector_files f WHERE f.store = s.number AND f.status = 'in_progress')) "
                "ORDER BY s.number LIMIT 100",
                UNSETTLED_SECONDS,
            )
        return [(store(row), row["version"]) for row in rows]

    async def settled(self, number: int, version: str) -> None:
        """Its index is ready for searches, for what it had when its row was of this version; what came later waits
        from now on."""
        async with self._postgres.acquire() as connection:
            await connection.execute(
                "UPDATE vector_stores SET unsettled = CASE WHEN xmin::text <> $2 THEN now() END WHERE number = $1",
                number,
                version,
            )


async def _find(
    connection: Connection, tenant: str, id: str, param: str = "vector_store_id", *, lock: bool = False
) -> Any:
    row = None
    if known(id):
        row = await connection.fetchrow(
            f"SELECT {STORE} FROM vector_stores s WHERE s.tenant = $1 AND s.id = $2 AND s.state = 'ready'"  # noqa: S608 - literals of ours
            + (" FOR UPDATE" if lock else ""),
            tenant,
            id,
        )
    if row is None:
        raise no_store(id, param)
    return row
