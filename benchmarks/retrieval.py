"""Retrieval quality: ways of searching and sizes of chunks, over the built-in questions.

    python -m benchmarks.retrieval [--sizes 800/400 400/100 200/50]

Documents, questions and numbers are those of `caravan.retrieval`. Chunks, index and search are the vector service's
library on an embedded PostgreSQL, vectors are the bundled MiniLM's, kept in `benchmarks/build/`. Prints Markdown.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate

import numpy as np
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_vector.chunking.chunker import chunks as cut
from caravan_vector.chunking.strategy import Sizes
from caravan_vector.indexes import Chunk, Hit, Index, Query, Rrf, Weighted, open_index, prepare
from caravan_vector.parsing.pieces import NOWHERE, Piece

from benchmarks.embedded import embedded
from caravan.retrieval import builtin
from caravan.retrieval.evaluation import FOUND, Outcome, evaluate
from caravan.retrieval.questions import Passage, Question
from caravan.runtime import Infrastructure

TENANT = "bench"
RERANKED = 50
"""Hits that a reranker puts in order."""
BUDGET = 2_000
"""Tokens of passages that are given to a model: few large ones, or many small ones."""
WAYS = {
    "vector": Query("vector"),
    "keyword": Query("keyword"),
    "hybrid, rrf": Query("hybrid", ranker=Rrf()),
    "hybrid, weighted 0.5 : 0.5": Query("hybrid", ranker=Weighted(0.5, 0.5)),
    "hybrid, weighted 0.7 : 0.3": Query("hybrid", ranker=Weighted(0.7, 0.3)),
    "hybrid, rrf, reranked by MiniLM": Query("hybrid", ranker=Rrf(), limit=RERANKED),
}
HEAD = (
    f"| chunks | search | recall@1 | recall@5 | recall@10 | nDCG@10 | in {BUDGET:,} tokens | ms |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass
class Store:
    """Documents as chunks in an index."""

    index: Index
    name: str
    tokens: dict[str, int]
    """Of each chunk."""
    vectors: Mapping[str, Sequence[float]]
    """Of the questions, and of each chunk by its id."""

    async def search(self, way: str, question: str) -> list[Hit]:
        """The hits of one way."""
        query = replace(WAYS[way], text=question, vector=self.vectors[question])
        hits = await self.index.search(TENANT, self.name, query)
        if "reranked" not in way:
            return hits
        near = {hit.id: float(np.dot(self.vectors[hit.id], self.vectors[question])) for hit in hits}
        return sorted(hits, key=lambda hit: -near[hit.id])[:FOUND]

    async def passages(self, way: str, question: str) -> list[Passage]:
        """The same, as they are judged."""
        return [Passage(hit.file, hit.file, hit.text) for hit in await self.search(way, question)]

    async def within_budget(self, outcome: Outcome, questions: Sequence[Question]) -> float:
        """The share of questions whose answer is in the first :data:`BUDGET` tokens."""
        found = 0
        for question, rank in zip(questions, outcome.ranks, strict=True):
            if rank is not None:
                hits = await self.search(outcome.way, question.question)
                found += list(accumulate(self.tokens[hit.id] for hit in hits))[rank - 1] <= BUDGET
        return found / len(questions)


async def fill(index: Index, sizes: Sizes, documents: Mapping[str, str], questions: Sequence[Question]) -> Store:
    """A store with all documents, cut to these sizes."""
    name = f"{sizes.max_chunk_size_tokens}/{sizes.chunk_overlap_tokens}"
    made = [
        (f"{file} {chunk.index}", file, chunk)
        for file, text in documents.items()
        for chunk in cut([Piece(text, NOWHERE)], sizes)
    ]
    asked = [question.question for question in questions]
    vectors = dict(zip(asked, embedded(asked).tolist(), strict=True))
    rows = embedded([chunk.text for _key, _file, chunk in made]).tolist()
    vectors |= {key: row for (key, _file, _chunk), row in zip(made, rows, strict=True)}
    chunks = [Chunk(key, file, chunk.index, chunk.text, vectors[key]) for key, file, chunk in made]
    await index.create(TENANT, name, len(rows[0]))
    for at in range(0, len(chunks), 500):
        await index.put(TENANT, name, chunks[at : at + 500])
    return Store(index, name, {key: chunk.tokens for key, _file, chunk in made}, vectors)


async def table(
    index: Index, sizes: Sequence[Sizes], documents: Mapping[str, str], questions: Sequence[Question]
) -> list[Outcome]:
    """All ways over all sizes, printed line by line."""
    print(HEAD)
    outcomes = []
    for size in sizes:
        store = await fill(index, size, documents, questions)
        for way in WAYS:
            outcome = await evaluate(way, partial(store.passages, way), questions)
            numbers = [outcome.recall(1), outcome.recall(5), outcome.recall(10), outcome.to_dict()["ndcg@10"]]
            numbers.append(await store.within_budget(outcome, questions))
            cells = " | ".join(f"{number:.2f}" for number in numbers)
            print(f"| {store.name}: {len(store.tokens)} | {way} | {cells} | {outcome.milliseconds:.0f} |", flush=True)
            outcomes.append(outcome)
    return outcomes


async def run(sizes: Sequence[Sizes]) -> None:
    documents, questions = builtin.documents(), builtin.questions()
    print(
        f"{len(documents)} documents, {sum(map(len, documents.values())):,} characters, {len(questions)} questions.\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        async with Infrastructure(folder) as servers:
            postgres = Postgres(PostgresOptions(servers.database_url))
            await prepare(postgres)
            await table(open_index("pgvector", postgres), sizes, documents, questions)
            await postgres.close()


def _sizes(text: str) -> Sizes:
    size, _, overlap = text.partition("/")
    return Sizes(max_chunk_size_tokens=int(size), chunk_overlap_tokens=int(overlap))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = [_sizes(text) for text in ("800/400", "400/100", "200/50")]
    parser.add_argument("--sizes", type=_sizes, nargs="+", default=sizes, help="tokens of a chunk / that overlap")
    asyncio.run(run(parser.parse_args().sizes))


if __name__ == "__main__":
    main()
