"""Chunks with vectors of their own, as ``/v1/vector-io`` takes and gives them."""

from __future__ import annotations

from typing import Final

from caravan_contracts import vectors as v
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest

from caravan_vector import filters
from caravan_vector.attached.store import FileTable
from caravan_vector.attributes import check_attributes
from caravan_vector.bounds import fitting
from caravan_vector.ids import given_name, number_of, raw_name
from caravan_vector.indexes import Chunk, Hit, Query
from caravan_vector.indexes.opened import Indexes
from caravan_vector.models.embedding import Embedder, Vector
from caravan_vector.searching import ranking
from caravan_vector.stores.store import StoreTable
from caravan_vector.texts import storable, storable_json

_EMBED_SECONDS: Final = 8.0
_LONGEST_METADATA: Final = 16 * 1024
"""Bytes of JSON of one chunk."""


class RawService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(self, stores: StoreTable, files: FileTable, indexes: Indexes, embedder: Embedder) -> None:
        self._stores = stores
        self._files = files
        self._indexes = indexes
        self._embedder = embedder

    async def insert(self, asked: v.InsertChunks, context: RequestContext) -> v.Inserted:
        """Keep them, all or none. Raises InvalidRequest, StoreExpired."""
        store = await self._stores.use(context.principal.tenant, asked.store)
        attributes = {
            document: check_attributes(given, f"attributes.{document[:64]}")
            for document, given in asked.attributes.items()
        }
        index = self._indexes.get(store.provider)
        chunks = [_chunk(chunk, place) for place, chunk in enumerate(asked.chunks)]
        await index.put(store.tenant, store.id, chunks)
        await self._stores.unsettle(store.number)
        for document, given in attributes.items():
            await index.set_attributes(store.tenant, store.id, raw_name(document), given)
        return v.Inserted(count=len(chunks))

    async def query(self, asked: v.QueryChunks, context: RequestContext) -> v.ChunkPage:
        """The best, be they raw or of files. Raises InvalidRequest, StoreExpired, and what the model asked raises."""
        store = await self._stores.use(context.principal.tenant, asked.store)
        options = ranking.read(asked.ranking_options)
        wanted = filters.parse(asked.filters) if asked.filters is not None else None
        vector: Vector | None = asked.vector
        if vector is None and asked.mode != "keyword":
            if not asked.text.strip():
                raise InvalidRequest("'query' should be a text, or a vector", param="query")
            (vector,) = await self._embedder.query(
                store.model, store.dimension, [asked.text], context.principal, context.request_id, _EMBED_SECONDS
            )
        threshold = max(asked.score_threshold, options.threshold)
        query = Query(asked.mode, vector, asked.text or None, wanted, asked.max_chunks, threshold, options.ranker)
        hits = await self._indexes.get(store.provider).search(store.tenant, store.id, query)
        names = await self._files.names([n for hit in hits if (n := number_of(hit.file)) is not None])
        found = [each for hit in hits if (each := _scored(hit, names)) is not None][asked.skip :]
        shown = fitting(found)
        return v.ChunkPage(data=shown, has_more=len(shown) < len(found))

    async def delete(self, asked: v.DeleteChunks, context: RequestContext) -> v.Deleted:
        """Take documents out; nothing happens for those that are not there."""
        store = await self._stores.use(context.principal.tenant, asked.store)
        names = [raw_name(document) for document in asked.documents if storable(document)]
        await self._indexes.get(store.provider).remove(store.tenant, store.id, names)
        return v.Deleted(id=store.id)


def _chunk(chunk: v.RawChunk, place: int) -> Chunk:
    for name in ("chunk_id", "document_id", "metadata"):
        if not storable_json(getattr(chunk, name)):
            where = f"chunks[{place}].{name}"
            raise InvalidRequest(f"{where} has characters that cannot be kept", param=where)
    if len(chunk.model_dump_json(include={"metadata"}).encode()) > _LONGEST_METADATA:
        where = f"chunks[{place}].metadata"
        raise InvalidRequest(f"{where} may have {_LONGEST_METADATA} bytes", param=where)
    return Chunk(
        raw_name(chunk.chunk_id),
        raw_name(chunk.document_id),
        chunk.position,
        chunk.text,
        chunk.embedding,
        chunk.metadata,
    )


def _scored(hit: Hit, names: dict[int, tuple[str, str]]) -> v.ScoredChunk | None:
    number = number_of(hit.file)
    if number is not None and number not in names:
        return None
    document = given_name(hit.file) if number is None else names[number][0]
    metadata = {**hit.place, **hit.attributes, "document_id": document}
    return v.ScoredChunk(
        chunk_id=given_name(hit.id), document_id=document, text=hit.text, score=hit.score, metadata=metadata
    )
