"""The default: vectors beside everything else in PostgreSQL, with pgvector."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from caravan_contracts.errors import NotFound
from caravan_storage.postgres import Connection, Postgres

from caravan_vector.indexes import statements
from caravan_vector.indexes.base import MODES, Hit, Mode, Query, check, unit
from caravan_vector.indexes.statements import Search
from caravan_vector.indexes.tables import HEAD, Head, Matching, Tables, count, find, head_of, matching
from caravan_vector.indexes.words import count_common, look_up

log = logging.getLogger(__name__)

INDEX_FROM: Final = 5_000
"""Chunks from which on a store gets an HNSW index. Below, looking at all of them is as quick, and misses nothing."""
EXACT_UP_TO: Final = 20_000
"""Chunks that a filter may leave to be looked at one by one, rather than to be searched for in the graph."""
MIN_EF: Final = 50
"""Candidates of the graph: they hold 0.96 of the truth among 100,000 chunks, at half the price of 100."""
MAX_EF: Final = 1000
SETTINGS: Final = {
    "hnsw.ef_search": str(MIN_EF),
    "hnsw.iterative_scan": "relaxed_order",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "jit": "off",
}
"""Of sessions that search. Sorting and hashing are priced out: they would mean that every chunk, or every file, is
looked at after all. On a pool whose sessions begin so, a search is one statement and no transaction around it."""
_NEAR: Final = "vector_chunks_near_"
"""Of the HNSW index of a store; its number follows."""
_FIND_WITH_INDEX: Final = f"""
SELECT {HEAD}, (
    SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($3 || number::text)
) AS indexed FROM vector_index_stores WHERE tenant = $1 AND id = $2
"""  # noqa: S608 - a literal of ours
_BUILD_SECONDS: Final = 3600.0
_DROP_SECONDS: Final = 120.0
_LOCK: Final = 7_204_200_000_000
"""Key of the advisory lock under which the index of a store is made, plus the store's number."""


class PgVector(Tables):
    """An :class:`caravan_vector.indexes.base.Index`."""

    name = "pgvector"
    modes: frozenset[Mode] = MODES

    def __init__(self, postgres: Postgres, others: Mapping[str, frozenset[Mode]] | None = None) -> None:
        super().__init__(postgres)
        self._others = others or {}
        self._ready = postgres.settings.items() >= SETTINGS.items()

    async def drop(self, tenant: str, store: str) -> int | None:
        """With its HNSW index, which goes first: once the row is gone, nobody knows of it."""
        async with self.postgres.acquire() as connection:
            try:
                head = await find(connection, tenant, store)
            except NotFound:
                return None
            await _drop_index(connection, head.number)
        number = await super().drop(tenant, store)
        async with self.postgres.acquire() as connection:
            await _drop_index(connection, head.number)  # one that was made meanwhile
        return number

    async def search(self, tenant: str, store: str, query: Query) -> list[Hit]:
        """Exactly, or through the HNSW index when there is one and the filter leaves much."""
        async with self.postgres.acquire() as connection:
            row = await connection.fetchrow(_FIND_WITH_INDEX, tenant, store, _NEAR)
            head = head_of(row, store)
            check(query, head.dimension, self.name, self.modes, self._others)
            left = await matching(connection, head, query.filter) if query.filter else None
            if left is not None and not left.chunks:
                return []
            return await self._search(connection, head, query, left, indexed=bool(row["indexed"]))

    async def settle(self, tenant: str, store: str) -> None:
        """Count common words, and make the HNSW index of a store that is large enough; what another process makes
        already is left to it."""
        async with self.postgres.acquire() as connection:
            head = await find(connection, tenant, store)
            chunks = await count(connection, head)
            await count_common(connection, head, chunks)
            if chunks < INDEX_FROM:
                return
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK + head.number):
                return
            try:
                await _build(connection, head)
                await find(connection, tenant, store)
            except NotFound:  # dropped meanwhile
                await _drop_index(connection, head.number)
                raise
            finally:
                await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK + head.number)

    async def close(self) -> None:
        """Nothing is kept."""

    async def _search(
        self, connection: Connection, head: Head, query: Query, left: Matching | None, *, indexed: bool
    ) -> list[Hit]:
        vector = [] if query.mode == "keyword" else unit(query.vector or (), head.dimension, "query")
        search = Search(head, query, vector, left.files if left else None)
        if query.mode == "keyword":
            return await run(connection, search)
        few = left is not None and left.chunks <= EXACT_UP_TO
        if few or not indexed:
            return await run(connection, search, statements.exact(search))
        ef = min(MAX_EF, max(MIN_EF, 2 * search.depth))
        if ef == MIN_EF and self._ready:
            return await run(connection, search, statements.graph(search))
        async with _settings(connection, SETTINGS | {"hnsw.ef_search": str(ef)}):
            return await run(connection, search, statements.graph(search))


async def run(connection: Connection, search: Search, nearest: str = "") -> list[Hit]:
    """The hits of a search whose arm of near vectors was written."""
    if search.query.mode != "vector":
        search.words = await look_up(connection, search.head, search.query.text or "")
    statement = statements.hits(search, nearest)
    return statements.read(await connection.fetch(statement, *search.parameters.values))


@asynccontextmanager
async def _settings(connection: Connection, settings: Mapping[str, str]) -> AsyncIterator[None]:
    """A transaction with these."""
    try:
        wanted = "; ".join(f"SET LOCAL {name} = {value}" for name, value in settings.items())
        await connection.execute(f"BEGIN READ ONLY; {wanted}")  # all of it in one message
        yield
    finally:
        await connection.execute("COMMIT")


def _index(number: int) -> str:
    return f"{_NEAR}{number}"


async def _indexed(connection: Connection, number: int) -> bool:
    """Whether the HNSW index of a store is there and whole."""
    found = await connection.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", _index(number)
    )
    return bool(found)


async def _build(connection: Connection, head: Head) -> None:
    if await _indexed(connection, head.number):
        return
    await _drop_index(connection, head.number)  # of a build that was cut off
    part = await connection.fetchval(
        "SELECT tableoid::regclass::text FROM vector_chunks WHERE store = $1 LIMIT 1", head.number
    )
    if part is None:
        return
    log.info("making the HNSW index of store %s", head.number)
    await connection.execute("SET maintenance_work_mem = '256MB'")
    try:
        await connection.execute(
            f"CREATE INDEX CONCURRENTLY {_index(head.number)} ON {part} "
            f"USING hnsw ((embedding::halfvec({head.dimension})) halfvec_ip_ops) WITH (m = 12, ef_construction = 200) "
            f"WHERE store = {head.number}",
            timeout=_BUILD_SECONDS,
        )
        # so that searches for words are planned with what the load brought
        await connection.execute(f"ANALYZE {part}", timeout=_BUILD_SECONDS)
    finally:
        await connection.execute("RESET maintenance_work_mem")


async def _drop_index(connection: Connection, number: int) -> None:
    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {_index(number)}", timeout=_DROP_SECONDS)
