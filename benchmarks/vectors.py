"""Indexes of vector stores: how long they take, and how much of the truth they find.

    python -m benchmarks.vectors [--chunks 100000] [--queries 100] [--layouts]

Starts the embedded PostgreSQL in a folder of its own. Passages are the source of the standard library, embedded by the
bundled MiniLM: once, into `benchmarks/build/`, which takes some ten minutes. There are about 22,000 of them; what is
more is the same source cut at other lines, with vectors between those of the two passages it overlaps. Questions are
summaries of docstrings. Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from unittest.mock import patch

import faiss
import numpy as np
from caravan_inference.providers.onnx_embeddings.model import Vectors
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.filters import parse
from caravan_vector.indexes import Chunk, Index, Query, open_index, pgvector, prepare

from benchmarks import proc
from benchmarks.corpus import passages, summaries
from benchmarks.embedded import embedded
from caravan.runtime import Infrastructure

TENANT, SIZE, BATCH, PER_FILE = "bench", 384, 500, 100
PASSAGE_TOKENS = 128
"""Of which vectors are made; most passages have no more."""
KINDS = 20
"""Every file is of one of these: a filter for one leaves 5 %."""
KIND = 7
ONE_KIND = parse({"type": "eq", "key": "kind", "value": KIND})
HEAD = "| search | median ms | p95 ms | CPU-ms (PostgreSQL) | recall@10 |\n| --- | ---: | ---: | ---: | ---: |"
Answers = list[set[str]]


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


def data(chunks: int, queries: int) -> tuple[Data, int]:
    """And how many of the texts have vectors that a model made."""
    texts = [text for _file, text in passages(10**6)]
    real = embedded(texts, PASSAGE_TOKENS)
    vectors = [real]
    noise = np.random.default_rng(1)
    for first_line in (6, 3, 9, 1, 7, 4, 10):
        if len(texts) >= chunks:
            break
        cut = [text for _file, text in passages(10**6, first_line)]
        at = np.minimum(np.arange(len(cut)), len(real) - 2)
        between = (12 - first_line) * real[at] + first_line * real[at + 1]
        vectors.append((between / 12 + noise.normal(0, 0.02, between.shape)).astype(np.float32))
        texts += cut
    asked = summaries(queries)
    return Data(texts[:chunks], np.concatenate(vectors)[:chunks], asked, embedded(asked)), len(real)


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
    """faiss by itself, in this process: no database, no texts, nothing that is kept."""
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
        ("IndexFlatIP", "vector", lambda vector: _ids(flat.search(vector, 10))),
        ("IndexHNSWFlat", "vector", lambda vector: _ids(graph.search(vector, 10, params=graph_all))),
        ("IndexFlatIP", "vector, filter of 5 %", lambda vector: _ids(flat.search(vector, 10, params=flat_only))),
        ("IndexHNSWFlat", "vector, filter of 5 %", lambda vector: _ids(graph.search(vector, 10, params=graph_only))),
    ]
    for name, kind, search in rows:
        times, found, ours = [], [], time.process_time()
        for vector in given.near:
            began = time.perf_counter()
            found.append(search(vector[None]))
            times.append((time.perf_counter() - began) * 1000)
        show(f"faiss alone, {name}: {kind}", times, time.process_time() - ours, 0.0, recall(found, truth[kind]))


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


async def _yes(*_: object) -> bool:
    return True


def as_if_indexed() -> AbstractContextManager[object]:
    """Searches ask the graph, whatever there is."""
    return patch.object(pgvector, "_indexed", _yes)


async def run(given: Data, real: int, with_layouts: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with Infrastructure(folder) as servers:
            postgres = Postgres(PostgresOptions(servers.database_url, max_connections=1, command_timeout=60))
            await prepare(postgres)
            await compare(postgres, given.first(real), "store")
            if len(given.texts) > real:
                await compare(postgres, given, "large store")
            if with_layouts:
                await layouts(postgres, given.first(real))
            await postgres.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--layouts", action="store_true", help="one HNSW index for all stores beside one for each, too")
    options = parser.parse_args()
    given, real = data(options.chunks, options.queries)
    asyncio.run(run(given, min(real, options.chunks), options.layouts))


if __name__ == "__main__":
    main()
