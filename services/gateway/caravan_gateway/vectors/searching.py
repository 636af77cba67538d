"""One search of a client: as many questions to the service as its answer needs."""

from __future__ import annotations

from typing import Final

from caravan_contracts import vectors as v

from caravan_gateway.vectors.asking import SEARCH_TIMEOUT, Asking
from caravan_gateway.vectors.bodies import Search

DEFAULT_RESULTS: Final = 10
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of text in one answer; where it ends before the results do, it has a next page."""


async def search(asking: Asking, store: str, body: Search) -> v.SearchPage:
    """The page. A reply on the bus is bounded in bytes, so that one page may be several replies, all of them to the
    queries that the first was rewritten to."""
    wanted = body.max_num_results or DEFAULT_RESULTS
    page = first = await _page(asking, store, body, wanted, body.page or "")
    found, size = page.data, _size(page)
    body = body.model_copy(update={"query": first.search_query, "rewrite_query": False})
    while page.next_page and page.data and len(found) < wanted and size < MOST_BYTES:
        page = await _page(asking, store, body, wanted - len(found), page.next_page)
        found, size = [*found, *page.data], size + _size(page)
    return page.model_copy(update={"data": found, "search_query": first.search_query})


async def _page(asking: Asking, store: str, body: Search, wanted: int, page: str) -> v.SearchPage:
    message = v.SearchStore(
        store=store,
        queries=body.query,
        filters=body.filters,
        max_num_results=wanted,
        ranking_options=body.ranking_options,
        rewrite_query=bool(body.rewrite_query),
        search_mode=body.search_mode or "",
        page=page,
    )
    return await asking.ask("search_store", message, v.SearchPage, SEARCH_TIMEOUT)


def _size(page: v.SearchPage) -> int:
    return sum(len(part.text.encode()) for found in page.data for part in found.content)
