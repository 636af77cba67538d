"""``/v1/vector-dbs`` of Llama Stack 0.1 and 0.2: vector stores by their older name.

The name that a client gives is the store's name, by which these routes and ``/v1/vector-io`` find it; `identifier` is
the store's id.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from caravan_contracts import vectors as v
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.vectors.asking import Asking, Vectors
from caravan_gateway.vectors.named import named

PATH: Final = "/v1/vector-dbs"
_MOST_PAGES: Final = 20
"""Of stores in one list."""


class NewVectorDb(BaseModel):
    """Body of ``POST /v1/vector-dbs``."""

    vector_db_id: str = Field(min_length=1, max_length=v.LONGEST_NAME)
    embedding_model: str | None = None
    embedding_dimension: int | None = Field(None, ge=1, le=65_536)
    provider_id: str | None = None
    provider_vector_db_id: str | None = None
    """Without meaning here."""


_NEW: Any = Depends(reading(NewVectorDb))


def router(resources: Resources, vectors: Vectors) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH, tags=["Vector stores"])
    who = resources.who

    @routes.post("", summary="Make a vector store, in Llama Stack's words", openapi_extra=documented(NewVectorDb))
    async def register(
        request: Request, principal: Principal = Depends(who), body: NewVectorDb = _NEW
    ) -> dict[str, Any]:
        """Registering a name again gives the store that it has."""
        asking = vectors.asking(request, principal)
        found = await named(asking, body.vector_db_id)
        if found is None:
            message = v.CreateStore(
                name=body.vector_db_id,
                embedding_model=body.embedding_model or "",
                embedding_dimension=body.embedding_dimension or 0,
            )
            found = await asking.ask("create_store", message, v.VectorStore)
        return _written(found)

    @routes.get("", summary="Vector stores, in Llama Stack's words")
    async def list_all(request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        return {"data": [_written(store) async for store in _stores(vectors.asking(request, principal))]}

    @routes.get("/{name}", summary="One vector store, by name or id")
    async def retrieve(name: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        return _written(await _found(vectors.asking(request, principal), name))

    @routes.delete("/{name}", summary="Forget a vector store, by name or id", status_code=204)
    async def unregister(name: str, request: Request, principal: Principal = Depends(who)) -> None:
        asking = vectors.asking(request, principal)
        store = await _found(asking, name)
        await asking.ask("delete_store", v.DeleteStore(id=store.id), v.Deleted)

    return routes


async def _found(asking: Asking, name: str) -> v.VectorStore:
    """By its name, else by its id. Raises NotFound."""
    return await named(asking, name) or await asking.ask("get_store", v.GetStore(id=name), v.VectorStore)


async def _stores(asking: Asking) -> AsyncIterator[v.VectorStore]:
    """The newest first, as many as fit on so many pages."""
    after = ""
    for _ in range(_MOST_PAGES):
        page = await asking.ask("list_stores", v.ListStores(after=after, limit=v.MOST_LISTED), v.StorePage)
        for store in page.data:
            yield store
        if not page.has_more or not page.data:
            return
        after = page.data[-1].id


def _written(store: v.VectorStore) -> dict[str, Any]:
    return {
        "identifier": store.id,
        "vector_db_name": store.name,
        "type": "vector_db",
        "provider_id": store.provider_id,
        "provider_resource_id": store.id,
        "embedding_model": store.embedding_model,
        "embedding_dimension": store.embedding_dimension,
    }
