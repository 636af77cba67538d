"""One file into its store: chunks are made, embedded and indexed a few batches at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, Final

from pydantic import TypeAdapter

from caravan_vector.chunking.chunker import Chunk
from caravan_vector.chunking.strategy import ChunkingStrategy, Contextual, Sizes
from caravan_vector.ids import chunk_name, file_name
from caravan_vector.indexes import Chunk as Indexed
from caravan_vector.indexes import Index
from caravan_vector.ingest.batches import batches
from caravan_vector.ingest.claims import Claim, Claims
from caravan_vector.ingest.contexts import Contexts
from caravan_vector.ingest.fetching import Fetcher
from caravan_vector.ingest.spool import Spool
from caravan_vector.models.choosing import Models
from caravan_vector.models.embedding import Embedder, Vector
from caravan_vector.models.writing import Writer
from caravan_vector.parsing.pieces import Place
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.process import Document

AHEAD: Final = 3
"""Batches of one file that are embedded while another is indexed."""
_NUMBER_BYTES: Final = 2
"""Of a vector in the index."""
_strategy: Final[TypeAdapter[ChunkingStrategy]] = TypeAdapter(ChunkingStrategy)


class Lost(Exception):
    """The file is not ours any more: it was taken out, cancelled, or another worker has it."""


class Pipeline:
    """One per process."""

    def __init__(
        self,
        claims: Claims,
        fetcher: Fetcher,
        pool: ParserPool,
        embedder: Embedder,
        writer: Writer,
        models: Models,
        batch: int,
    ) -> None:
        """`batch`: chunks that are embedded with one question."""
        self._claims = claims
        self._fetcher = fetcher
        self._pool = pool
        self._embedder = embedder
        self._writer = writer
        self._models = models
        self._batch = batch

    async def read(self, claim: Claim, index: Index) -> None:
        """Bring all chunks of a file into `index`, from behind the last that is there. Raises Lost, DocumentError for
        what is wrong with the file, and the errors of whatever it needs."""
        name = f"ingest_{claim.number}"
        strategy = _strategy.validate_python(claim.chunking)
        async with self._fetcher.fetch(claim.file_id, claim.principal, name) as document:
            contexts = await self._contexts(claim, strategy, document, name)
            await self._run(_Reading(claim, index, contexts, name), strategy.sizes, document)

    async def _contexts(
        self, claim: Claim, strategy: ChunkingStrategy, document: Document, name: str
    ) -> Contexts | None:
        if not isinstance(strategy, Contextual):
            return None
        sizes = strategy.contextual
        model = await self._models.writing(sizes.model_id or "", claim.store.tenant)
        spool = Spool(document.path.with_name("text"))
        await spool.fill(self._pool, document)
        return Contexts(self._writer, model, sizes, spool, claim.principal, name)

    async def _run(self, reading: _Reading, sizes: Sizes, document: Document) -> None:
        under_way: deque[tuple[list[Chunk], asyncio.Task[list[Indexed]]]] = deque()
        try:
            async with aclosing(batches(self._pool, document, sizes, self._batch)) as made:
                async for chunks in made:
                    fresh = [chunk for chunk in chunks if chunk.index > reading.claim.done]
                    if not fresh:
                        continue
                    under_way.append((fresh, asyncio.create_task(self._embed(reading, fresh))))
                    if len(under_way) >= AHEAD:
                        await self._index(reading, *under_way.popleft())
            while under_way:
                await self._index(reading, *under_way.popleft())
        finally:
            for _, task in under_way:
                task.cancel()
            await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)

    async def _embed(self, reading: _Reading, chunks: Sequence[Chunk]) -> list[Indexed]:
        store = reading.claim.store
        texts = [chunk.text for chunk in chunks]
        if reading.contexts is not None:
            texts = await reading.contexts.texts(chunks)
        vectors = await self._embedder.documents(
            store.model, store.dimension, texts, reading.claim.principal, reading.name
        )
        return [
            _indexed(reading.claim, chunk, text, vector)
            for chunk, text, vector in zip(chunks, texts, vectors, strict=True)
        ]

    async def _index(self, reading: _Reading, chunks: Sequence[Chunk], task: asyncio.Task[list[Indexed]]) -> None:
        claim = reading.claim
        made = await task
        await reading.index.put(claim.store.tenant, claim.store.id, made)
        claim.chunks += len(made)
        claim.bytes += (
            sum(len(chunk.text.encode()) for chunk in made) + len(made) * claim.store.dimension * _NUMBER_BYTES
        )
        claim.done = chunks[-1].index
        if not await self._claims.progress(claim):
            raise Lost


class _Reading:
    """What belongs to one file while it is read."""

    __slots__ = ("claim", "contexts", "index", "name")

    def __init__(self, claim: Claim, index: Index, contexts: Contexts | None, name: str) -> None:
        self.claim = claim
        self.index = index
        self.contexts = contexts
        self.name = name


def _indexed(claim: Claim, chunk: Chunk, text: str, vector: Vector) -> Indexed:
    return Indexed(
        chunk_name(claim.number, chunk.index),
        file_name(claim.number),
        chunk.index,
        text,
        vector,
        _place(chunk.place),
    )


def _place(place: Place) -> dict[str, Any]:
    return {name: value for name, value in asdict(place).items() if value}
