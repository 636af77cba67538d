"""The tables of attached files and batches. Every statement names a store that was found by its tenant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from caravan_contracts.vectors import FileBatch, ListStoreFiles, StoreFile, StoreFilePage
from caravan_storage.postgres import Connection, Postgres

from caravan_vector.attached.rows import BATCH_COUNTS, FILE, Wanted, file_batch, store_file
from caravan_vector.bounds import fitting
from caravan_vector.errors import no_batch, no_file, no_store
from caravan_vector.ids import known, new_batch
from caravan_vector.paging import page_of
from caravan_vector.stores.rows import Store
from caravan_vector.texts import storable

_SECONDS: Final = 30.0
_LOCK: Final = "SELECT 1 FROM vector_stores WHERE number = $1 AND state = 'ready' FOR UPDATE"
_THERE: Final = f"""
SELECT {FILE} FROM vector_files f WHERE f.store = $1 AND f.id = ANY($2) AND f.status <> 'removing'
"""  # noqa: S608 - literals of ours
_REPLACE: Final = """
UPDATE vector_files SET status = 'removing', epoch = epoch + 1 WHERE number = ANY($1) RETURNING number
"""
_ADD: Final = f"""
INSERT INTO vector_files AS f (store, id, filename, attributes, chunking, principal, status)
SELECT $1, n.id, n.filename, n.attributes::jsonb, n.chunking::jsonb, $2, 'in_progress'
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[]) WITH ORDINALITY
    AS n (id, filename, attributes, chunking, place) ORDER BY n.place RETURNING {FILE}
"""  # noqa: S608 - literals of ours
_KEEP: Final = f"""
UPDATE vector_files f SET attributes = coalesce(k.attributes::jsonb, f.attributes)
FROM unnest($1::bigint[], $2::text[]) AS k (number, attributes) WHERE f.number = k.number RETURNING {FILE}
"""  # noqa: S608 - literals of ours
_JOIN: Final = "INSERT INTO vector_batch_files (batch, file) SELECT $1, unnest($2::bigint[])"
_CANCEL: Final = """
UPDATE vector_files f SET status = 'cancelled', epoch = epoch + 1 FROM vector_batch_files b
WHERE b.batch = $1 AND f.number = b.file AND f.status = 'in_progress' RETURNING f.number
"""


class Added:
    """What became of files that were to be attached."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        """All of them, in their order."""
        self.new: list[int] = []
        """Numbers of those that have to be read."""
        self.replaced: list[int] = []
        """Numbers of those that they took the place of."""
        self.kept: list[tuple[int, dict[str, Any]]] = []
        """Numbers of those that were there, with what their attributes are now."""


class FileTable:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for what is not there."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    async def attach(self, store: Store, files: Sequence[Wanted], principal: str) -> Added:
        """Rows of files to be read. One that is there, and is read or will be in the same way, stays as it is."""
        async with self._postgres.transaction() as connection:
            return await _attach(connection, store, files, principal)

    async def make_batch(self, store: Store, files: Sequence[Wanted], principal: str) -> tuple[FileBatch, Added]:
        """The same, counted together."""
        async with self._postgres.transaction() as connection:
            if await connection.fetchval(_LOCK, store.number) is None:
                raise no_store(store.id)
            batch = await connection.fetchrow(
                "INSERT INTO vector_batches (store, id) VALUES ($1, $2) RETURNING number, id, created, cancelled",
                store.number,
                new_batch(),
            )
            added = await _attach(connection, store, files, principal)
            numbers = [row["number"] for row in added.rows]
            await connection.execute(_JOIN, batch["number"], numbers, timeout=_SECONDS)
            counted = await connection.fetchrow(BATCH_COUNTS, batch["number"])
        return file_batch(batch, counted, store.id), added

    async def queued(self, numbers: Sequence[int]) -> None:
        """Their jobs are in the queue."""
        async with self._postgres.acquire() as connection:
            await connection.execute("UPDATE vector_files SET queued = now() WHERE number = ANY($1)", list(numbers))

    async def get(self, store: Store, file: str) -> StoreFile:
        """One, as clients see it."""
        return store_file(await self.row(store, file), store.id)

    async def row(self, store: Store, file: str) -> Any:
        """One, with the columns of :data:`caravan_vector.attached.rows.FILE`."""
        async with self._postgres.acquire() as connection:
            return await _find(connection, store, file)

    async def page(self, store: Store, asked: ListStoreFiles) -> StoreFilePage:
        """In the order in which they were attached, or against it; fewer than `limit` when they are many bytes."""
        async with self._postgres.acquire() as connection:
            values: list[Any] = [store.number]
            where = ["f.store = $1", "f.status <> 'removing'"]
            if asked.batch:
                values.append((await _batch(connection, store, asked.batch))["number"])
                where.append(f"f.number IN (SELECT file FROM vector_batch_files WHERE batch = ${len(values)})")  # noqa: S608 - literals of ours
            if asked.filter:
                values.append(asked.filter)
                where.append(f"f.status = ${len(values)}")
            after = await _find(connection, store, asked.after, "after") if asked.after else None
            before = await _find(connection, store, asked.before, "before") if asked.before else None
            end, backwards = page_of(where, values, asked.order, asked.limit, after, before, "f")
            rows = await connection.fetch(f"SELECT {FILE} FROM vector_files f {end}", *values)  # noqa: S608 - literals of ours
        shown = fitting([store_file(row, store.id) for row in rows[: asked.limit]])
        more = len(rows) > len(shown)
        return StoreFilePage(data=shown[::-1] if backwards else shown, has_more=more)

    async def set_attributes(self, store: Store, file: str, attributes: dict[str, Any]) -> Any:
        """Replace them; the row."""
        async with self._postgres.acquire() as connection:
            found = await _find(connection, store, file)
            row = await connection.fetchrow(
                f"UPDATE vector_files f SET attributes = $2 "  # noqa: S608 - literals of ours
                f"WHERE f.number = $1 AND f.status <> 'removing' RETURNING {FILE}",
                found["number"],
                attributes,
            )
        if row is None:
            raise no_file(file, store.id)
        return row

    async def attributes(self, number: int) -> dict[str, Any] | None:
        """Of a file; None when it was taken out."""
        async with self._postgres.acquire() as connection:
            attributes: dict[str, Any] | None = await connection.fetchval(
                "SELECT attributes FROM vector_files WHERE number = $1 AND status <> 'removing'", number
            )
        return attributes

    async def hide(self, store: Store, file: str) -> int:
        """From now on nobody sees it, and whoever reads it stops; its number."""
        async with self._postgres.acquire() as connection:
            row = await _find(connection, store, file)
            number: int | None = await connection.fetchval(
                "UPDATE vector_files SET status = 'removing', epoch = epoch + 1 "
                "WHERE number = $1 AND status <> 'removing' RETURNING number",
                row["number"],
            )
        if number is None:
            raise no_file(file, store.id)
        return number

    async def batch(self, store: Store, batch: str) -> FileBatch:
        """One batch, as clients see it."""
        async with self._postgres.acquire() as connection:
            row = await _batch(connection, store, batch)
            return file_batch(row, await connection.fetchrow(BATCH_COUNTS, row["number"]), store.id)

    async def cancel(self, store: Store, batch: str) -> tuple[FileBatch, list[int]]:
        """No further file of it is read; also the numbers of those that were not finished."""
        async with self._postgres.transaction() as connection:
            await connection.execute(_LOCK, store.number)  # before its files, as whoever attaches them
            row = await _batch(connection, store, batch)
            stopped = await connection.fetch(_CANCEL, row["number"])
            row = await connection.fetchrow(
                # a batch that is finished stays so
                "UPDATE vector_batches SET cancelled = cancelled OR $2 WHERE number = $1 "
                "RETURNING number, id, created, cancelled",
                row["number"],
                bool(stopped),
            )
            counted = await connection.fetchrow(BATCH_COUNTS, row["number"])
        return file_batch(row, counted, store.id), [each["number"] for each in stopped]

    async def names(self, numbers: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Ids and names of files, by number; those that are gone, or whose chunks will be, are not in it."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                "SELECT number, id, filename FROM vector_files "
                "WHERE number = ANY($1) AND status IN ('in_progress', 'completed')",
                list(numbers),
            )
        return {row["number"]: (row["id"], row["filename"]) for row in rows}


async def _attach(connection: Connection, store: Store, files: Sequence[Wanted], principal: str) -> Added:
    if await connection.fetchval(_LOCK, store.number) is None:
        raise no_store(store.id)
    rows = await connection.fetch(_THERE, store.number, [file.id for file in files])
    there = {row["id"]: row for row in rows}
    added = Added()
    kept: dict[int, str | None] = {}
    fresh: list[Wanted] = []
    for file in files:
        row = there.get(file.id)
        if row is not None and row["status"] in ("in_progress", "completed") and row["chunking"] == file.chunking:
            kept[row["number"]] = None if file.attributes is None else orjson.dumps(file.attributes).decode()
            if file.attributes is not None:
                added.kept.append((row["number"], file.attributes))
        else:
            fresh.append(file)
            if row is not None:
                added.replaced.append(row["number"])
    stayed = await connection.fetch(_KEEP, list(kept), list(kept.values()), timeout=_SECONDS)
    if added.replaced:
        await connection.fetch(_REPLACE, added.replaced)
    made = await connection.fetch(
        _ADD,
        store.number,
        principal,
        [file.id for file in fresh],
        [file.filename for file in fresh],
        [orjson.dumps(file.attributes or {}).decode() for file in fresh],
        [orjson.dumps(file.chunking).decode() for file in fresh],
        timeout=_SECONDS,
    )
    added.new = [row["number"] for row in made]
    by_id = {row["id"]: row for row in (*made, *stayed)}
    added.rows = [by_id[file.id] for file in files]
    return added


async def _find(connection: Connection, store: Store, file: str, param: str = "file_id") -> Any:
    row = None
    if storable(file):
        row = await connection.fetchrow(
            f"SELECT {FILE} FROM vector_files f WHERE f.store = $1 AND f.id = $2 AND f.status <> 'removing'",  # noqa: S608 - literals of ours
            store.number,
            file,
        )
    if row is None:
        raise no_file(file, store.id, param)
    return row


async def _batch(connection: Connection, store: Store, batch: str) -> Any:
    row = None
    if known(batch):
        row = await connection.fetchrow(
            "SELECT number, id, created, cancelled FROM vector_batches WHERE store = $1 AND id = $2",
            store.number,
            batch,
        )
    if row is None:
        raise no_batch(batch, store.id)
    return row
