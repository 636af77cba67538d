"""Raw chunks over HTTP: ``/v1/vector-io`` as Llama Stack has it, and a way to take documents out."""

from __future__ import annotations

from typing import Any, Final, Literal

from caravan_contracts import vectors as v
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from caravan_gateway.agents import answer
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.vectors import chunks
from caravan_gateway.vectors.asking import SEARCH_TIMEOUT, Vectors
from caravan_gateway.vectors.named import store_id

PATH: Final = "/v1/vector-io"
MAX_BODY: Final = 8 * 1024 * 1024
"""Bytes of a body: what the gateway reads at once without keeping others waiting."""
_FEW: Final = 3
"""Chunks that a query gets when it does not say how many, as at Llama Stack."""


class Ranker(BaseModel):
    """How the two halves of a hybrid search are joined, as Llama Stack writes it here."""

    strategy: str
    params: v.JsonObject = Field(default_factory=dict)

    def options(self) -> v.JsonObject:
        """The same as the ranking options of a search."""
        made: v.JsonObject = {"ranker": self.strategy}
        if "k" in self.params:
            made["impact_factor"] = self.params["k"]
        if isinstance(weights := self.params.get("weights"), list) and weights:
            made["alpha"] = weights[0]
        return made


class QueryOptions(BaseModel):
    """`params` of a query. `filters` and `ranking_options` are those of a search."""

    max_chunks: int | None = Field(None, ge=1, le=v.MOST_FOUND)
    score_threshold: float | None = None
    mode: Literal["vector", "keyword", "hybrid"] | None = None
    ranker: Ranker | None = None
    ranking_options: v.JsonObject | None = None
    filters: Any = None


class Query(BaseModel):
    """Body of ``POST /v1/vector-io/query``. A `query` of numbers is a vector."""

    model_config = ConfigDict(populate_by_name=True)

    vector_store_id: chunks.StoreId
    query: Any
    params: QueryOptions | None = None

    def message(self) -> v.QueryChunks:
        """What is asked of the service. Raises InvalidRequest."""
        options = self.params or QueryOptions()
        vector = self._vector()
        if vector is not None and options.mode in ("keyword", "hybrid"):
            raise InvalidRequest(
                f"a search of mode {options.mode!r} needs words: send 'query' as text", param="params.mode"
            )
        ranking = options.ranking_options
        if options.ranker is not None:
            ranking = {**options.ranker.options(), **(ranking or {})}
        return v.QueryChunks(
            store=self.vector_store_id,
            text="" if vector is not None else chunks.text_of(self.query, "query"),
            vector=vector,
            mode=options.mode or "vector",
            filters=options.filters,
            max_chunks=options.max_chunks or _FEW,
            score_threshold=options.score_threshold or 0.0,
            ranking_options=ranking,
        )

    def _vector(self) -> list[float] | None:
        given = self.query
        if not isinstance(given, list) or not given:
            return None
        numbers = [isinstance(part, int | float) and not isinstance(part, bool) for part in given]
        return [float(part) for part in given] if all(numbers) else None


class Removal(BaseModel):
    """Body of ``POST /v1/vector-io/delete``."""

    model_config = ConfigDict(populate_by_name=True)

    vector_store_id: chunks.StoreId
    document_ids: list[str] = Field(min_length=1, max_length=1_000)


_NEW: Any = Depends(reading(chunks.NewChunks))
_QUERY: Any = Depends(reading(Query))
_REMOVAL: Any = Depends(reading(Removal))


def router(resources: Resources, vectors: Vectors) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH, tags=["Vector IO"])
    who = resources.who

    @routes.post(
        "/insert",
        summary="Put chunks with vectors of their own into a vector store",
        status_code=204,
        openapi_extra=documented(chunks.NewChunks),
    )
    async def insert_chunks(
        request: Request, principal: Principal = Depends(who), body: chunks.NewChunks = _NEW
    ) -> None:
        """Those of the same `chunk_id` are replaced, so a call that failed may be sent again."""
        if body.ttl_seconds is not None:
            raise InvalidRequest(
                "chunks are kept until they are taken out: leave 'ttl_seconds' away, or give the vector store an "
                "'expires_after'",
                param="ttl_seconds",
            )
        asking, messages = vectors.asking(request, principal), list(chunks.messages(body))
        store = await store_id(asking, body.vector_store_id)
        for place, message in messages:
            try:
                await asking.ask("insert_chunks", message.model_copy(update={"store": store}), v.Inserted)
            except InvalidRequest as error:
                raise chunks.in_body(error, place) from error

    @routes.post("/query", summary="Chunks near a text or a vector", openapi_extra=documented(Query))
    async def query_chunks(request: Request, principal: Principal = Depends(who), body: Query = _QUERY) -> Response:
        message, asking = body.message(), vectors.asking(request, principal)
        message = message.model_copy(update={"store": await store_id(asking, message.store)})
        found: list[v.ScoredChunk] = []
        more = True
        while more:
            page = await asking.ask("query_chunks", message, v.ChunkPage, SEARCH_TIMEOUT)
            found += page.data
            message = message.model_copy(update={"skip": len(found)})
            more = page.has_more and len(found) < message.max_chunks
        return answer(chunks.found(found))

    @routes.post(
        "/delete",
        summary="Take documents out of a vector store",
        status_code=204,
        openapi_extra=documented(Removal),
    )
    async def delete_chunks(request: Request, principal: Principal = Depends(who), body: Removal = _REMOVAL) -> None:
        """Those that were inserted here. A chunk that was given no document is one itself."""
        asking = vectors.asking(request, principal)
        store = await store_id(asking, body.vector_store_id)
        await asking.ask("delete_chunks", v.DeleteChunks(store=store, documents=body.document_ids), v.Deleted)

    return routes
