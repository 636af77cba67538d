"""The truth of every index: stores, files and chunks in PostgreSQL. Every statement names the tenant, or a store that
was found by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import Conflict, InvalidRequest, NotFound
from caravan_storage.postgres import Connection, Postgres

from caravan_vector.filters import Attributes, Filter
from caravan_vector.indexes.base import MAX_CHUNK_TEXT, MAX_CHUNKS, MAX_DIMENSION, Chunk, Passage, unit
from caravan_vector.indexes.conditions import Parameters, condition
from caravan_vector.texts import storable

_LARGE_SECONDS: Final = 120.0
"""For statements that carry, or take away, much."""
HEAD: Final = "number, dimension, revision, removed"
"""Columns of a store."""
_FIND: Final = f"SELECT {HEAD} FROM vector_index_stores WHERE tenant = $1 AND id = $2"  # noqa: S608 - a literal of ours
_CHANGE: Final = (
    "UPDATE vector_index_stores SET revision = revision + 1 "  # noqa: S608 - a literal of ours
    f"WHERE tenant = $1 AND id = $2 RETURNING {HEAD}"
)
_FILES: Final = """
WITH made AS (
    INSERT INTO vector_index_files (store, id) SELECT DISTINCT $1::bigint, unnest($2::text[])
    ON CONFLICT (store, id) DO NOTHING RETURNING id, number
)
SELECT id, number FROM made UNION ALL SELECT id, number FROM vector_index_files WHERE store = $1 AND id = ANY($2)
"""
_PUT: Final = """
INSERT INTO vector_chunks AS old (store, file, id, position, revision, place, text, embedding)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8::real[]::halfvec)
ON CONFLICT (store, id) DO UPDATE SET file = excluded.file, position = excluded.position,
    revision = excluded.revision, place = excluded.place, text = excluded.text, embedding = excluded.embedding
WHERE (old.file, old.position, old.place, old.text, old.embedding)
    IS DISTINCT FROM (excluded.file, excluded.position, excluded.place, excluded.text, excluded.embedding)
"""
_COUNT_AGAIN: Final = """
UPDATE vector_index_files f
SET chunks = (SELECT count(*) FROM vector_chunks c WHERE c.store = $1 AND c.file = f.number)
WHERE f.store = $1 AND f.number = ANY($2)
"""
_PASSAGES: Final = """
SELECT c.id, c.position, c.text, c.place FROM vector_chunks c
JOIN vector_index_files f ON f.number = c.file
WHERE c.store = $1 AND f.store = $1 AND f.id = $2 AND c.position > $3 ORDER BY c.position, c.id LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The row of a store."""

    number: int
    dimension: int
    revision: int
    removed: int


@dataclass(frozen=True, slots=True)
class Matching:
    """Files for which a filter holds."""

    files: list[int]
    chunks: int
    """Of them all."""


class Tables:
    """What all indexes do alike; see :class:`caravan_vector.indexes.base.Index` for what is promised."""

    def __init__(self, postgres: Postgres) -> None:
        self.postgres = postgres

    async def create(self, tenant: str, store: str, dimension: int) -> None:
        """A row, if there is none."""
        if not 1 <= dimension <= MAX_DIMENSION:
            raise InvalidRequest(
                f"a store can have vectors of 1 to {MAX_DIMENSION} numbers, not of {dimension}", param="dimension"
            )
        async with self.postgres.acquire() as connection:
            await connection.execute(
                "INSERT INTO vector_index_stores (tenant, id, dimension) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                tenant,
                store,
                dimension,
            )
            head = await find(connection, tenant, store)
        if head.dimension != dimension:
            raise Conflict(f"the vector store {store!r} is there already, with dimension {head.dimension}")

    async def drop(self, tenant: str, store: str) -> int | None:
        """The number of the store that was there."""
        async with self.postgres.transaction() as connection:
            number: int | None = await connection.fetchval(
                "DELETE FROM vector_index_stores WHERE tenant = $1 AND id = $2 RETURNING number",
                tenant,
                store,
                timeout=_LARGE_SECONDS,
            )
            if number is not None:
                await connection.execute("DELETE FROM vector_chunks WHERE store = $1", number, timeout=_LARGE_SECONDS)
        return number

    async def put(self, tenant: str, store: str, chunks: Sequence[Chunk]) -> None:
        """One transaction."""
        if len(chunks) > MAX_CHUNKS:
            raise InvalidRequest(f"{len(chunks)} chunks at once; there may be {MAX_CHUNKS}", param="chunks")
        _check_texts(chunks)
        async with self.postgres.transaction() as connection:
            head = await _change(connection, tenant, store)
            vectors = [
                unit(chunk.vector, head.dimension, f"chunks[{place}].vector") for place, chunk in enumerate(chunks)
            ]
            ids = [chunk.id for chunk in chunks]
            before = await connection.fetch(
                "SELECT DISTINCT file FROM vector_chunks WHERE store = $1 AND id = ANY($2)", head.number, ids
            )
            rows = await connection.fetch(_FILES, head.number, [chunk.file for chunk in chunks])
            files = {row["id"]: row["number"] for row in rows}
            await connection.executemany(
                _PUT, list(_rows(head, files, zip(chunks, vectors, strict=True))), timeout=_LARGE_SECONDS
            )
            touched = {row["file"] for row in before} | set(files.values())
            await connection.execute(_COUNT_AGAIN, head.number, sorted(touched), timeout=_LARGE_SECONDS)

    async def remove(self, tenant: str, store: str, files: Sequence[str]) -> None:
        """One transaction."""
        async with self.postgres.transaction() as connection:
            head = await _change(connection, tenant, store)
            rows = await connection.fetch(
                "DELETE FROM vector_index_files WHERE store = $1 AND id = ANY($2) RETURNING number",
                head.number,
                list(files),
            )
            await connection.execute(
                "DELETE FROM vector_chunks WHERE store = $1 AND file = ANY($2)",
                head.number,
                [row["number"] for row in rows],
                timeout=_LARGE_SECONDS,
            )
            await connection.execute("UPDATE vector_index_stores SET removed = revision WHERE number = $1", head.number)

    async def set_attributes(self, tenant: str, store: str, file: str, attributes: Attributes) -> None:
        """One row; no chunk is touched."""
        async with self.postgres.transaction() as connection:
            head = await _change(connection, tenant, store)
            await connection.execute(
                "INSERT INTO vector_index_files (store, id, attributes) VALUES ($1, $2, $3) "
                "ON CONFLICT (store, id) DO UPDATE SET attributes = excluded.attributes",
                head.number,
                file,
                dict(attributes),
            )

    async def count(self, tenant: str, store: str) -> int:
        """Out of the rows of its files."""
        async with self.postgres.acquire() as connection:
            head = await find(connection, tenant, store)
            return await count(connection, head)

    async def chunks(self, tenant: str, store: str, file: str, after: int = -1, limit: int = 100) -> list[Passage]:
        """A page."""
        async with self.postgres.acquire() as connection:
            head = await find(connection, tenant, store)
            rows = await connection.fetch(_PASSAGES, head.number, file, after, limit)
        return [Passage(row["id"], file, row["position"], row["text"], row["place"]) for row in rows]


async def find(connection: Connection, tenant: str, store: str) -> Head:
    """The row of a store. Raises NotFound when it is not the tenant's."""
    return head_of(await connection.fetchrow(_FIND, tenant, store), store)


async def count(connection: Connection, head: Head) -> int:
    """Chunks of a store."""
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(chunks), 0)::bigint FROM vector_index_files WHERE store = $1", head.number
    )
    return found


async def matching(connection: Connection, head: Head, filter: Filter) -> Matching:
    """The files for which `filter` holds."""
    parameters = Parameters()
    store = parameters.add(head.number, "bigint")
    rows = await connection.fetch(
        f"SELECT number, chunks FROM vector_index_files WHERE store = {store} AND {condition(filter, parameters)}",  # noqa: S608 - literals of ours
        *parameters.values,
    )
    return Matching([row["number"] for row in rows], sum(row["chunks"] for row in rows))


async def _change(connection: Connection, tenant: str, store: str) -> Head:
    """The next revision of a store, whose row is locked from here on."""
    return head_of(await connection.fetchrow(_CHANGE, tenant, store, timeout=_LARGE_SECONDS), store)


def head_of(row: Any, store: str) -> Head:
    """Of a row with the columns :data:`HEAD`. Raises NotFound when there is none."""
    if row is None:
        raise NotFound(f"no vector store {store!r}")
    return Head(row["number"], row["dimension"], row["revision"], row["removed"])


def _check_texts(chunks: Sequence[Chunk]) -> None:
    for place, chunk in enumerate(chunks):
        if len(chunk.text) > MAX_CHUNK_TEXT or not storable(chunk.text):
            raise InvalidRequest(
                f"the text of the chunk {chunk.id!r} must have at most {MAX_CHUNK_TEXT} characters, none of them zero",
                param=f"chunks[{place}].text",
            )


def _rows(head: Head, files: dict[str, int], chunks: Iterable[tuple[Chunk, list[float]]]) -> Iterable[tuple[Any, ...]]:
    for chunk, vector in chunks:
        place = dict(chunk.place)
        yield head.number, files[chunk.file], chunk.id, chunk.position, head.revision, place, chunk.text, vector
