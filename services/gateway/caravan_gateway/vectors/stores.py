"""Vector stores over HTTP."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts import vectors as v
from caravan_contracts.completions import Order
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Query, Request, Response

from caravan_gateway.agents import answer, listed
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.vectors.asking import Vectors, checked_metadata
from caravan_gateway.vectors.bodies import ChangedStore, NewStore, Search
from caravan_gateway.vectors.searching import search

PATH: Final = "/v1/vector_stores"

_NEW: Any = Depends(reading(NewStore))
_CHANGED: Any = Depends(reading(ChangedStore))
_SEARCH: Any = Depends(reading(Search))


def router(resources: Resources, vectors: Vectors) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH, tags=["Vector stores"])
    who = resources.who

    @routes.post("", summary="Make a vector store", openapi_extra=documented(NewStore))
    async def create_vector_store(
        request: Request, principal: Principal = Depends(who), body: NewStore = _NEW
    ) -> Response:
        """Its files are read in the background: `file_counts` tells how far that is."""
        given = {**body.model_dump(exclude_none=True), "metadata": checked_metadata(body.metadata)}
        message = v.CreateStore.model_validate(given)
        made = await vectors.asking(request, principal).ask("create_store", message, v.VectorStore)
        return answer(made.model_dump())

    @routes.get("", summary="Vector stores")
    async def list_vector_stores(
        request: Request,
        after: str = "",
        before: str = "",
        limit: int = Query(20, ge=1, le=v.MOST_LISTED),
        order: Order = "desc",
        principal: Principal = Depends(who),
    ) -> Response:
        """A page may have fewer than `limit` although `has_more` is true: it has at most 600 KiB."""
        message = v.ListStores(after=after, before=before, limit=limit, order=order)
        page = await vectors.asking(request, principal).ask("list_stores", message, v.StorePage)
        return listed([store.model_dump() for store in page.data], "id", page.has_more)

    @routes.get("/{store}", summary="One vector store")
    async def get_vector_store(store: str, request: Request, principal: Principal = Depends(who)) -> Response:
        message = v.GetStore(id=store)
        found = await vectors.asking(request, principal).ask("get_store", message, v.VectorStore)
        return answer(found.model_dump())

    @routes.post("/{store}", summary="Change a vector store", openapi_extra=documented(ChangedStore))
    async def update_vector_store(
        store: str, request: Request, principal: Principal = Depends(who), body: ChangedStore = _CHANGED
    ) -> Response:
        """Its name, description, metadata and expiry; what is not named stays, null takes it away."""
        checked_metadata(body.metadata)
        message = v.UpdateStore(id=store, set=body.model_dump(exclude_unset=True))
        made = await vectors.asking(request, principal).ask("update_store", message, v.VectorStore)
        return answer(made.model_dump())

    @routes.delete("/{store}", summary="Forget a vector store; its files stay")
    async def delete_vector_store(store: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        gone = await vectors.asking(request, principal).ask("delete_store", v.DeleteStore(id=store), v.Deleted)
        return {"id": gone.id, "object": "vector_store.deleted", "deleted": True}

    @routes.post("/{store}/search", summary="Passages that answer a query", openapi_extra=documented(Search))
    async def search_vector_store(
        store: str, request: Request, principal: Principal = Depends(who), body: Search = _SEARCH
    ) -> Response:
        """`page` takes the `next_page` of the answer before."""
        return answer((await search(vectors.asking(request, principal), store, body)).model_dump())

    return routes
