"""Queries to passages: embed, look, join what several queries found, and name the files."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from caravan_contracts import vectors as v
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DeadlineExceeded, InvalidRequest

from caravan_vector import filters
from caravan_vector.attached.store import FileTable
from caravan_vector.bounds import fitting
from caravan_vector.ids import given_name, number_of
from caravan_vector.indexes import Hit, Mode, Query
from caravan_vector.indexes.base import MAX_LIMIT
from caravan_vector.indexes.opened import Indexes
from caravan_vector.models.choosing import Models
from caravan_vector.models.embedding import Embedder, Vector
from caravan_vector.models.reranking import Reranker
from caravan_vector.models.writing import Writer
from caravan_vector.searching import ranking
from caravan_vector.searching.ranking import Ranking
from caravan_vector.stores.rows import Store
from caravan_vector.stores.store import StoreTable
from caravan_vector.together import together

_RERANKED: Final = 4
"""Times as many candidates as results, for a reranker."""
_MARGIN: Final = 0.5
"""Seconds of a request's time that are left for the answer."""
_LONGEST: Final = 60.0


class SearchService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(
        self,
        stores: StoreTable,
        files: FileTable,
        indexes: Indexes,
        models: Models,
        embedder: Embedder,
        writer: Writer,
        reranker: Reranker,
        mode: Mode,
    ) -> None:
        """`mode`: of searches that say none."""
        self._stores = stores
        self._files = files
        self._indexes = indexes
        self._models = models
        self._embedder = embedder
        self._writer = writer
        self._reranker = reranker
        self._mode = mode

    async def search(self, asked: v.SearchStore, context: RequestContext) -> v.SearchPage:
        """A page of passages, best first. Raises InvalidRequest, StoreExpired, and what the models asked raise."""
        store = await self._stores.use(context.principal.tenant, asked.store)
        options = ranking.read(asked.ranking_options)
        wanted = filters.parse(asked.filters) if asked.filters is not None else None
        start = _start(asked.page)
        queries = asked.queries
        if not all(query.strip() for query in queries):
            raise InvalidRequest("'query' should not be empty", param="query")
        if asked.rewrite_query:
            queries = await self._rewritten(queries, context)
        end = min(MAX_LIMIT, start + asked.max_num_results)
        query = Query(
            asked.search_mode or self._mode,
            None,
            None,
            wanted,
            min(MAX_LIMIT, end + 1),
            options.threshold,
            options.ranker,
        )
        hits = await self._hits(store, queries, query, options, context)
        names = await self._files.names([n for hit in hits if (n := number_of(hit.file)) is not None])
        found = [each for hit in hits if (each := _found(hit, names)) is not None]
        shown = fitting(found[start:end])
        more = len(found) > start + len(shown) and start + len(shown) < MAX_LIMIT
        return v.SearchPage(
            search_query=queries, data=shown, has_more=more, next_page=str(start + len(shown)) if more else None
        )

    async def _hits(
        self, store: Store, queries: list[str], query: Query, options: Ranking, context: RequestContext
    ) -> list[Hit]:
        """As many as are wanted, of all queries together."""
        if options.reranker:
            # scores and threshold are the reranker's then
            query = replace(query, limit=min(MAX_LIMIT, query.limit * _RERANKED), threshold=0.0)
        vectors: list[Vector | None] = [None] * len(queries)
        if query.mode != "keyword":
            vectors = list(
                await self._embedder.query(
                    store.model, store.dimension, queries, context.principal, context.request_id, _seconds(context)
                )
            )
        index = self._indexes.get(store.provider)
        each = await together(
            [
                index.search(store.tenant, store.id, replace(query, vector=vector, text=text))
                for text, vector in zip(queries, vectors, strict=True)
            ]
        )
        if options.reranker:
            each = [
                await self._reranker.order(options, text, hits, context, _seconds(context))
                for text, hits in zip(queries, each, strict=True)
            ]
        return each[0] if len(each) == 1 else _joined(each, query.limit)

    async def _rewritten(self, queries: list[str], context: RequestContext) -> list[str]:
        model = await self._models.writing("", context.principal.tenant)
        return await together(
            [
                self._writer.rewrite(model, query, context.principal, context.request_id, _seconds(context))
                for query in queries
            ]
        )


def _joined(each: list[list[Hit]], limit: int) -> list[Hit]:
    """What several queries found: each passage once, with its best score."""
    best: dict[str, Hit] = {}
    for hits in each:
        for hit in hits:
            if hit.id not in best or best[hit.id].score < hit.score:
                best[hit.id] = hit
    return sorted(best.values(), key=lambda hit: (-hit.score, hit.id))[:limit]


def _found(hit: Hit, names: dict[int, tuple[str, str]]) -> v.Found | None:
    """None for what is left of a file that was just taken out."""
    number = number_of(hit.file)
    if number is None:
        file = filename = given_name(hit.file)
    elif number in names:
        file, filename = names[number]
    else:
        return None
    return v.Found(
        file_id=file,
        filename=filename,
        score=hit.score,
        attributes=dict(hit.attributes),
        content=[v.FoundText(text=hit.text)],
        chunk_id=given_name(hit.id),
        place=dict(hit.place) if number is not None else {},
    )


def _start(page: str) -> int:
    if not page:
        return 0
    if not page.isdecimal() or len(page) > 3 or int(page) >= MAX_LIMIT:
        raise InvalidRequest("'page' should be `next_page` of the answer before", param="page")
    return int(page)


def _seconds(context: RequestContext) -> float:
    left = min(_LONGEST, context.remaining - _MARGIN)
    if left <= 0:
        raise DeadlineExceeded("the request's time is over before the search began")
    return left
