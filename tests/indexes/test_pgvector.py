"""The default index: its HNSW indexes come and go while it is used, and find what a look at every chunk finds."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from caravan_contracts.errors import NotFound
from caravan_storage import migrations
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.filters import parse
from caravan_vector.indexes import NoPgvector, Query, pgvector, prepare
from caravan_vector.indexes.pgvector import PgVector
from caravan_vector.indexes.tables import find

from tests.indexes.contract import TENANT, IndexContract, ids, near
from tests.indexes.passages import DIMENSION, chunk, vector
from tests.infrastructure.protocol import Servers

pytestmark = pytest.mark.asyncio(loop_scope="session")


class TestPgVector(IndexContract):
    provider_id = "pgvector"


class TestGraph:
    @pytest.fixture(autouse=True)
    def _small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if a hundred chunks were many."""
        monkeypatch.setattr(pgvector, "INDEX_FROM", 100)
        monkeypatch.setattr(pgvector, "EXACT_UP_TO", 20)

    @pytest_asyncio.fixture(loop_scope="session", params=[{}, pgvector.SETTINGS], ids=["any pool", "made for it"])
    async def index(self, request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[PgVector]:
        pool = Postgres(PostgresOptions(servers.database_url, settings=request.param))
        yield PgVector(pool)
        await pool.close()

    @pytest_asyncio.fixture(loop_scope="session")
    async def store(self, index: PgVector) -> AsyncIterator[str]:
        """200 chunks in ten files."""
        made = f"vs_{secrets.token_hex(12)}"
        await index.create(TENANT, made, DIMENSION)
        await index.put(TENANT, made, [chunk(f"c{at:03}", f"word{at} of {at % 7}", f"f{at % 10}") for at in range(200)])
        for at in range(10):
            await index.set_attributes(TENANT, made, f"f{at}", {"even": at % 2 == 0, "number": at})
        yield made
        await index.drop(TENANT, made)

    async def indexes(self, postgres: Postgres, store: str) -> list[bool]:
        """Of the store's HNSW indexes: whether each is whole."""
        async with postgres.acquire() as connection:
            head = await find(connection, TENANT, store)
            rows = await connection.fetch(
                "SELECT indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname = $1",
                f"vector_chunks_near_{head.number}",
            )
        return [row["indisvalid"] for row in rows]

    async def test_hits_are_nearly_those_of_an_exact_search(
        self, index: PgVector, postgres: Postgres, store: str
    ) -> None:
        some = parse({"type": "eq", "key": "even", "value": True})  # 100 chunks: through the graph
        few = parse({"type": "eq", "key": "number", "value": 3})  # 20: one by one
        queries = [
            near("word17 of 3"),
            near("word17 of 3", filter=some),
            near("word17 of 3", filter=few),
            near("word17 of 3", limit=100),
            Query("hybrid", vector("word17 of 3"), "word17", filter=some),
        ]
        before = [await index.search(TENANT, store, query) for query in queries]
        assert await self.indexes(postgres, store) == []
        await index.settle(TENANT, store)
        assert await self.indexes(postgres, store) == [True]
        for query, exact in zip(queries, before, strict=True):
            found = await index.search(TENANT, store, query)
            assert len(found) == len(exact)
            assert len({hit.id for hit in found} & {hit.id for hit in exact}) >= 0.9 * len(exact)
            assert found[0] == exact[0]

    async def test_the_plan_uses_the_index(self, index: PgVector, store: str) -> None:
        await index.settle(TENANT, store)
        seen = await self.scans(index.postgres, store)
        await index.search(TENANT, store, near("word17 of 3"))
        await index.search(TENANT, store, near("x", filter=parse({"type": "eq", "key": "even", "value": True})))
        assert await self.scans(index.postgres, store) == seen + 2

    async def scans(self, postgres: Postgres, store: str) -> int:
        async with postgres.acquire() as connection:
            head = await find(connection, TENANT, store)
            await connection.execute("SELECT pg_stat_force_next_flush()")
        async with postgres.acquire() as connection:
            found: int = await connection.fetchval(
                "SELECT idx_scan FROM pg_stat_all_indexes WHERE indexrelname = $1", f"vector_chunks_near_{head.number}"
            )
        return found

    async def test_what_is_put_behind_it_is_found_through_it(self, index: PgVector, store: str) -> None:
        await index.settle(TENANT, store)
        await index.put(TENANT, store, [chunk("new", "quite another thing", "new")])
        assert ids(await index.search(TENANT, store, near("quite another thing", limit=1))) == ["new"]
        await index.remove(TENANT, store, ["new"])
        assert "new" not in ids(await index.search(TENANT, store, near("quite another thing")))

    async def test_many_may_make_it_and_one_does(self, index: PgVector, postgres: Postgres, store: str) -> None:
        await asyncio.gather(*(index.settle(TENANT, store) for _ in range(4)))
        await index.settle(TENANT, store)
        assert await self.indexes(postgres, store) == [True]

    async def test_one_that_was_cut_off_is_made_again(self, index: PgVector, postgres: Postgres, store: str) -> None:
        await index.settle(TENANT, store)
        async with postgres.acquire() as connection:
            head = await find(connection, TENANT, store)
            await connection.execute(
                "UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass($1)",
                f"vector_chunks_near_{head.number}",
            )
        assert await self.indexes(postgres, store) == [False]
        assert len(await index.search(TENANT, store, near("word17 of 3"))) == 10
        await index.settle(TENANT, store)
        assert await self.indexes(postgres, store) == [True]

    async def test_it_goes_with_its_store(self, index: PgVector, postgres: Postgres, store: str) -> None:
        await index.settle(TENANT, store)
        async with postgres.acquire() as connection:
            head = await find(connection, TENANT, store)
        await index.drop(TENANT, store)
        async with postgres.acquire() as connection:
            name = f"vector_chunks_near_{head.number}"
            assert await connection.fetchval("SELECT to_regclass($1)", name) is None
        with pytest.raises(NotFound):
            await index.settle(TENANT, store)

    async def test_large_dimensions(self, index: PgVector, postgres: Postgres) -> None:
        """Two stores of different dimensions in one table, each with its index."""
        for size in (1536, 4000):
            store = f"vs_{secrets.token_hex(12)}"
            await index.create(TENANT, store, size)
            texts = [" ".join(f"word{at * word % 211}" for word in range(1, 60)) for at in range(1, 111)]
            made = [replace(chunk(f"c{at}", text), vector=vector(text, size)) for at, text in enumerate(texts)]
            await index.put(TENANT, store, made)
            await index.settle(TENANT, store)
            assert await self.indexes(postgres, store) == [True]
            assert ids(await index.search(TENANT, store, Query(vector=vector(texts[5], size), limit=1))) == ["c5"]
            await index.drop(TENANT, store)


async def test_a_database_without_the_extension_says_what_to_do(servers: Servers) -> None:
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute("DROP DATABASE IF EXISTS plain WITH (FORCE)")
    await admin.execute("DROP ROLE IF EXISTS plain")
    await admin.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    await admin.execute("CREATE DATABASE plain OWNER plain")
    place = servers.database_url.rpartition("@")[2].rpartition("/")[0]
    postgres = Postgres(PostgresOptions(f"postgresql://plain:plain@{place}/plain"))
    try:
        with pytest.raises(NoPgvector, match="let a superuser run CREATE EXTENSION vector"):
            await prepare(postgres)
    finally:
        await postgres.close()
        await admin.execute("DROP DATABASE plain WITH (FORCE)")
        await admin.execute("DROP ROLE plain")
        await admin.close()


async def test_replicas_may_prepare_at_once(servers: Servers) -> None:
    admin = await asyncpg.connect(servers.database_url)
    await admin.execute("DROP DATABASE IF EXISTS fresh WITH (FORCE)")
    await admin.execute("CREATE DATABASE fresh")
    pools = [Postgres(PostgresOptions(servers.database_url.rpartition("/")[0] + "/fresh")) for _ in range(4)]
    applied = await asyncio.gather(*(prepare(pool) for pool in pools))
    for pool in pools:
        await pool.close()
    await admin.close()
    every = [migration.name for migration in migrations.load("caravan_vector.migrations")]
    assert sorted(applied) == [[], [], [], every]
