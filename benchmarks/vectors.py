"""Indexes of vector stores: how long they take, and how much of the truth they find.

    python -m benchmarks vectors [--chunks 100000] [--queries 100] [--layouts]

Starts the embedded PostgreSQL in a folder of its own. Passages are the source of the standard library and of installed
packages, their vectors the bundled MiniLM's: made once, into `benchmarks/build/`, which takes some fifteen minutes.
Questions are summaries of docstrings. hnswlib is measured beside it if it is there (it has no wheels):
`.venv/bin/pip install --target benchmarks/.peers/hnswlib --no-deps hnswlib`. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import faiss
import numpy as np
from caravan_inference.providers.onnx_embeddings.model import Vectors
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.filters import parse
from caravan_vector.indexes import Chunk, Index, Query, open_index, pgvector, prepare
from caravan_vector.indexes.tables import HEAD as HEAD_OF_STORE

from benchmarks import proc
from benchmarks.corpus import passages, summaries
from benchmarks.embedded import embedded
from caravan.runtime import Infrastructure

TENANT, SIZE, BATCH, PER_FILE = "bench", 384, 500, 100
PASSAGE_TOKENS = 40
"""Of which vectors are made: the first lines of a passage."""
SMALL = 20_000
PEER = Path(__file__).parent / ".peers" / "hnswlib"
KINDS = 20
"""Every file is of one of these: a filter for one leaves 5 %."""
KIND = 7
ONE_KIND = parse({"type": "eq", "key": "kind", "value": KIND})
HEAD = "| search | median ms | p95 ms | CPU-ms (PostgreSQL) | recall@10 |\n| --- | ---: | ---: | ---: | ---: |"
Answers = list[set[str]]
_AS_IF_INDEXED = f"""
SELECT {HEAD_OF_STORE}, $3::text IS NOT NULL AS indexed FROM vector_index_stores WHERE tenant = $1 AND id = $2
"""


@dataclass(frozen=True)
class Data:
    """Texts with a vector each, and queries in words and as vectors."""

    texts: Sequence[str]
    vectors: Vectors
    asked: Sequence[str]
    near: Vectors

    def chunks(self) -> list[Chunk]:
        """In files of :data:`PER_FILE`."""
        rows = zip(self.texts, self.vectors, strict=True)
        return [
            Chunk(f"{at}", file(at), at % PER_FILE, text, vector.tolist()) for at, (text, vector) in enumerate(rows)
        ]

    def first(self, count: int) -> Data:
        """With so many of the texts."""
        return replace(self, texts=self.texts[:count], vectors=self.vectors[:count])


def file(chunk: int) -> str:
    """Of the chunk at this place."""
    return f"f{chunk // PER_FILE:06}"


def data(chunks: int, queries: int) -> Data:
    """Real ones."""
    texts = [text for _file, text in passages(chunks)]
    asked = summaries(queries)
    return Data(texts, embedded(texts, PASSAGE_TOKENS), asked, embedded(asked))


class Measured:
    """Rows of a table, with the CPU time of one backend of PostgreSQL and of this process."""

    def __init__(self, backend: int) -> None:
        self._backend = backend

    async def row(
        self, name: str, index: Index, store: str, queries: Sequence[Query], truth: Answers | None = None
    ) -> Answers:
        """One line; without a `truth`, these answers are it."""
        for query in queries[:3]:
            await index.search(TENANT, store, query)
        times, found = [], []
        ours, theirs = time.process_time(), proc.usage(self._backend).cpu
        for query in queries:
            began = time.perf_counter()
            hits = await index.search(TENANT, store, query)
            times.append((time.perf_counter() - began) * 1000)
            found.append({hit.id for hit in hits})
        theirs = proc.usage(self._backend).cpu - theirs
        show(name, times, time.process_time() - ours, theirs, recall(found, truth or found))
        return found


def show(name: str, times: Sequence[float], ours: float, theirs: float, recall: float) -> None:
    """One line of the table; CPU-seconds of all queries together."""
    each = 1000 / len(times)
    p95 = statistics.quantiles(times, n=20)[-1]
    cpu = f"{(ours + theirs) * each:.1f} ({theirs * each:.1f})"
    print(f"| {name} | {statistics.median(times):.1f} | {p95:.1f} | {cpu} | {recall:.3f} |", flush=True)


def recall(found: Answers, truth: Answers) -> float:
    """How many of the truth's were found, on average."""
    return statistics.fmean(len(one & right) / max(1, len(right)) for one, right in zip(found, truth, strict=True))


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


async def compare(postgres: Postgres, given: Data, store: str) -> None:
    """All indexes on one store, before and after it has its HNSW index."""
    index = open_index("pgvector", postgres)
    took = await fill(index, store, given.chunks())
    async with postgres.acquire() as connection:
        measured = Measured(await connection.fetchval("SELECT pg_backend_pid()"))
        await connection.execute("ANALYZE vector_chunks", timeout=120)
    await open_index("faiss", postgres).settle(TENANT, store)  # counts the common words, and makes no graph
    print(f"\n{len(given.texts):,} chunks were put in {took:.1f} s, {BATCH} at once.\n\n{HEAD}")
    near = [Query(vector=vector.tolist()) for vector in given.near]
    kinds = {
        "vector": near,
        "vector, filter of 5 %": [replace(query, filter=ONE_KIND) for query in near],
        "keyword": [Query("keyword", text=text) for text in given.asked],
        "hybrid": [replace(query, mode="hybrid", text=text) for query, text in zip(near, given.asked, strict=True)],
    }
    truth = {
        kind: await measured.row(f"pgvector, exact: {kind}", index, store, queries) for kind, queries in kinds.items()
    }
    began = time.monotonic()
    await index.settle(TENANT, store)
    took = time.monotonic() - began
    for kind, queries in kinds.items():
        await measured.row(f"pgvector, HNSW: {kind}", index, store, queries, truth[kind])
    for name in ("faiss", "qdrant") if len(given.texts) < 30_000 else ("faiss",):
        other = open_index(name, postgres)
        for kind in ("vector", "vector, filter of 5 %", "hybrid"):
            await measured.row(f"{name}: {kind}", other, store, kinds[kind], truth[kind])
        await other.close()
    libraries(given, truth)
    print(f"\nThe HNSW index was made in {took:.1f} s.")


def libraries(given: Data, truth: dict[str, Answers]) -> None:
    """faiss and hnswlib by themselves, in this process: no database, no texts, nothing that is kept."""
    faiss.omp_set_num_threads(1)
    vectors = given.vectors / np.linalg.norm(given.vectors, axis=1, keepdims=True)
    flat = faiss.IndexFlatIP(SIZE)
    flat.add(vectors)
    graph = faiss.IndexHNSWFlat(SIZE, 16, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 64
    faiss.omp_set_num_threads(2)
    graph.add(vectors)
    faiss.omp_set_num_threads(1)
    numbers = [at for at in range(len(vectors)) if at // PER_FILE % KINDS == KIND]
    only = faiss.IDSelectorBatch(numbers)
    flat_only = faiss.SearchParameters(sel=only)
    graph_all = faiss.SearchParametersHNSW(efSearch=100)
    graph_only = faiss.SearchParametersHNSW(efSearch=100, sel=only)
    rows: list[tuple[str, str, Callable[[Vectors], set[str]]]] = [
        ("faiss IndexFlatIP", "vector", lambda vector: _ids(flat.search(vector, 10))),
        ("faiss IndexHNSWFlat", "vector", lambda vector: _ids(graph.search(vector, 10, params=graph_all))),
        ("faiss IndexFlatIP", "vector, filter of 5 %", lambda vector: _ids(flat.search(vector, 10, params=flat_only))),
        (
            "faiss IndexHNSWFlat",
            "vector, filter of 5 %",
            lambda vector: _ids(graph.search(vector, 10, params=graph_only)),
        ),
    ]
    if (other := _hnswlib(vectors)) is not None:
        rows.append(("hnswlib", "vector", lambda vector: {str(at) for at in other.knn_query(vector, 10)[0][0]}))
    for name, kind, search in rows:
        times, found, ours = [], [], time.process_time()
        for vector in given.near:
            began = time.perf_counter()
            found.append(search(vector[None]))
            times.append((time.perf_counter() - began) * 1000)
        show(f"{name} alone: {kind}", times, time.process_time() - ours, 0.0, recall(found, truth[kind]))


def _hnswlib(vectors: Vectors) -> Any:
    """Its graph of the same shape; None when it is not there."""
    if PEER.is_dir():
        sys.path.append(str(PEER))
    try:
        import hnswlib
    except ImportError:
        return None
    graph = hnswlib.Index("ip", SIZE)
    graph.init_index(len(vectors), M=16, ef_construction=64)
    graph.add_items(vectors, num_threads=2)
    graph.set_ef(100)
    graph.set_num_threads(1)
    return graph


def _ids(answer: tuple[Vectors, Vectors]) -> set[str]:
    return {str(place) for place in answer[1][0] if place >= 0}


async def layouts(postgres: Postgres, given: Data) -> None:
    """A store of 5 % and one of 1 % of all chunks: one HNSW index for all stores with an iterative scan, or each
    store by itself."""
    index = open_index("pgvector", postgres)
    async with postgres.acquire() as connection:
        measured = Measured(await connection.fetchval("SELECT pg_backend_pid()"))
    chunks = given.chunks()
    queries = [Query(vector=vector.tolist()) for vector in given.near]
    print(f"\n{HEAD}")
    stores: dict[float, str] = {}
    for share in (0.05, 0.01):
        store = stores[share] = await beside(index, postgres, "store")
        step = int(1 / share)
        await fill(index, store, [replace(chunk, id=f"{share} {chunk.id}") for chunk in chunks[::step]])
    async with one_index(postgres):
        for share, store in stores.items():
            truth = await measured.row(f"by itself, exact: {share:.0%} of the chunks", index, store, queries)
            with as_if_indexed():
                await measured.row(f"one index, iterative scan: {share:.0%}", index, store, queries, truth)


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


def as_if_indexed() -> AbstractContextManager[object]:
    """Searches ask the graph, whatever there is."""
    return patch.object(pgvector, "_FIND_WITH_INDEX", _AS_IF_INDEXED)


async def run(given: Data, with_layouts: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Infrastructure(folder) as servers:
            postgres = Postgres(
                PostgresOptions(servers.database_url, max_connections=1, command_timeout=60, settings=pgvector.SETTINGS)
            )
            await prepare(postgres)
            await compare(postgres, given.first(SMALL), "store")
            if len(given.texts) > SMALL:
                await compare(postgres, given, "large store")
            if with_layouts:
                await layouts(postgres, given.first(SMALL))
            await postgres.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        "python -m benchmarks vectors", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--layouts", action="store_true", help="one HNSW index for all stores beside one for each, too")
    options = parser.parse_args(arguments)
    asyncio.run(run(data(options.chunks, options.queries), options.layouts))


if __name__ == "__main__":
    main()
