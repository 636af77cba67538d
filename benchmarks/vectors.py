"""Indexes of vector stores: how long they take, and how much of the truth they find.

    python -m benchmarks.vectors [--chunks 20000] [--queries 50]

Starts the embedded PostgreSQL in a folder of its own. Passages are the source of the standard library, vectors are
hashed words (384 numbers), which are harder for a graph than those of a trained model. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import replace
from unittest.mock import patch

from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.filters import parse
from caravan_vector.indexes import Chunk, Index, Query, open_index, pgvector, prepare

from benchmarks.corpus import hashed, passages
from caravan.runtime import Infrastructure

TENANT, SIZE, BATCH, PER_FILE = "bench", 384, 500, 100
KINDS = 20
"""Every file is of one of these: a filter for one leaves 5 %."""
ONE_KIND = parse({"type": "eq", "key": "kind", "value": 7})


async def fill(index: Index, store: str, chunks: Sequence[Chunk]) -> float:
    """Seconds for all of them."""
    await index.create(TENANT, store, SIZE)
    began = time.monotonic()
    for at in range(0, len(chunks), BATCH):
        await index.put(TENANT, store, chunks[at : at + BATCH])
    took = time.monotonic() - began
    for number, file in enumerate(sorted({chunk.file for chunk in chunks})):
        await index.set_attributes(TENANT, store, file, {"kind": number % KINDS})
    return took


async def row(name: str, index: Index, store: str, queries: Sequence[Query], truth: Sequence[set[str]]) -> None:
    """One line of the table: median and worst time, and how many of the truth's ten were found."""
    await index.search(TENANT, store, queries[0])
    times, good = [], 0.0
    for query, right in zip(queries, truth, strict=True):
        began = time.monotonic()
        hits = await index.search(TENANT, store, query)
        times.append((time.monotonic() - began) * 1000)
        good += len(right & {hit.id for hit in hits}) / max(1, len(right))
    print(f"| {name} | {statistics.median(times):.1f} | {max(times):.1f} | {good / len(queries):.3f} |", flush=True)


async def answers(index: Index, store: str, queries: Sequence[Query]) -> list[set[str]]:
    return [{hit.id for hit in await index.search(TENANT, store, query)} for query in queries]


async def compare(postgres: Postgres, chunks: Sequence[Chunk], asked: Sequence[str]) -> None:
    """All indexes on one store, before and after it has its HNSW index."""
    index = open_index("pgvector", postgres)
    took = await fill(index, "store", chunks)
    print(f"\n{len(chunks)} chunks were put in {took:.1f} s, {BATCH} at once.\n")
    print("| search | median ms | worst ms | recall@10 |\n| --- | --- | --- | --- |")
    near = [Query(vector=hashed(text, SIZE)) for text in asked]
    some = [replace(query, filter=ONE_KIND) for query in near]
    # a few words, as people ask
    words = [Query("keyword", text=" ".join(text.split()[:6])) for text in asked]
    both = [replace(query, mode="hybrid", vector=one.vector) for query, one in zip(words, near, strict=True)]
    kinds = {"vector": near, "vector, filter of 5 %": some, "keyword": words, "hybrid": both}
    truth = {kind: await answers(index, "store", queries) for kind, queries in kinds.items()}
    for kind, queries in kinds.items():
        await row(f"pgvector, exact: {kind}", index, "store", queries, truth[kind])
    began = time.monotonic()
    await index.settle(TENANT, "store")
    took = time.monotonic() - began
    for kind, queries in kinds.items():
        await row(f"pgvector, HNSW: {kind}", index, "store", queries, truth[kind])
    for name in ("faiss", "qdrant"):
        other = open_index(name, postgres)
        for kind in ("vector", "vector, filter of 5 %", "hybrid"):
            await row(f"{name}: {kind}", other, "store", kinds[kind], truth[kind])
        await other.close()
    print(f"\nThe HNSW index was made in {took:.1f} s.")


async def layouts(postgres: Postgres, chunks: Sequence[Chunk], asked: Sequence[str]) -> None:
    """A store of 5 % and one of 1 % of all chunks: one HNSW index for all stores with an iterative scan, or each
    store by itself."""
    index = open_index("pgvector", postgres)
    print("\n| layout | median ms | worst ms | recall@10 |\n| --- | --- | --- | --- |")
    queries = [Query(vector=hashed(text, SIZE)) for text in asked]
    stores: dict[float, str] = {}
    for share in (0.05, 0.01):
        store = stores[share] = await beside(index, postgres, "store")
        step = int(1 / share)
        await fill(index, store, [replace(chunk, id=f"{share} {chunk.id}") for chunk in chunks[::step]])
    async with one_index(postgres):
        for share, store in stores.items():
            truth = await answers(index, store, queries)
            await row(f"by itself, exact: {share:.0%} of the chunks", index, store, queries, truth)
            with as_if_indexed():
                await row(f"one index, iterative scan: {share:.0%}", index, store, queries, truth)


async def beside(index: Index, postgres: Postgres, store: str) -> str:
    """A new store in the same part of the table as another."""
    for number in itertools.count():
        made = f"beside {store} {number}"
        await index.create(TENANT, made, SIZE)
        async with postgres.acquire() as connection:
            parts = await connection.fetch(
                "SELECT part FROM vector_index_stores, generate_series(0, 15) part "
                "WHERE tenant = $1 AND id IN ($2, $3) "
                "AND satisfies_hash_partition('vector_chunks'::regclass, 16, part, number)",
                TENANT,
                store,
                made,
            )
        if parts[0] == parts[1]:
            return made
        await index.drop(TENANT, made)
    raise AssertionError


@asynccontextmanager
async def one_index(postgres: Postgres) -> AsyncIterator[None]:
    """Of all chunks in every part."""
    async with postgres.acquire() as connection:
        await connection.execute(
            f"CREATE INDEX everything ON vector_chunks USING hnsw ((embedding::halfvec({SIZE})) halfvec_ip_ops)",
            timeout=3600,
        )
    yield
    async with postgres.acquire() as connection:
        await connection.execute("DROP INDEX everything", timeout=60)


async def _yes(*_: object) -> bool:
    return True


def as_if_indexed() -> AbstractContextManager[object]:
    """Searches ask the graph, whatever there is."""
    return patch.object(pgvector, "_indexed", _yes)


async def run(chunks: int, queries: int) -> None:
    found = passages(chunks + queries)
    made = [
        Chunk(f"{at}", f"f{at // PER_FILE:06}", at % PER_FILE, text, hashed(text, SIZE))
        for at, (_file, text) in enumerate(found[: len(found) - queries])
    ]
    asked = [text for _file, text in itertools.islice(reversed(found), queries)]
    with tempfile.TemporaryDirectory() as folder:
        async with Infrastructure(folder) as servers:
            postgres = Postgres(PostgresOptions(servers.database_url))
            await prepare(postgres)
            await compare(postgres, made, asked)
            await layouts(postgres, made, asked)
            await postgres.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=20_000)
    parser.add_argument("--queries", type=int, default=50)
    options = parser.parse_args()
    asyncio.run(run(options.chunks, options.queries))


if __name__ == "__main__":
    main()
