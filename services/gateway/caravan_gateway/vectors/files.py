"""The files of a vector store over HTTP, and what was read of them."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts import vectors as v
from caravan_contracts.completions import Order
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Query, Request, Response

from caravan_gateway.agents import answer, listed
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.vectors.asking import Asking, Vectors
from caravan_gateway.vectors.bodies import ChangedFile
from caravan_gateway.vectors.stores import PATH

CONTENT_BYTES: Final = 4 * 1024 * 1024
"""Of text, from which on a page of a file's content ends."""

_NEW: Any = Depends(reading(v.NewFile))
_CHANGED: Any = Depends(reading(ChangedFile))


def router(resources: Resources, vectors: Vectors) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH + "/{store}/files", tags=["Vector store files"])
    who = resources.who

    @routes.post("", summary="Read a file into a vector store", openapi_extra=documented(v.NewFile))
    async def create_vector_store_file(
        store: str, request: Request, principal: Principal = Depends(who), body: v.NewFile = _NEW
    ) -> Response:
        """In the background: `status` tells when it is done."""
        message = v.AttachFile(store=store, file=body)
        made = await vectors.asking(request, principal).ask("attach_file", message, v.StoreFile)
        return answer(made.model_dump())

    @routes.get("", summary="The files of a vector store")
    async def list_vector_store_files(
        store: str,
        request: Request,
        filter: v.FileStatus | None = None,
        after: str = "",
        before: str = "",
        limit: int = Query(20, ge=1, le=v.MOST_LISTED),
        order: Order = "desc",
        principal: Principal = Depends(who),
    ) -> Response:
        """A page may have fewer than `limit` although `has_more` is true: it has at most 600 KiB."""
        message = v.ListStoreFiles(
            store=store, filter=filter or "", after=after, before=before, limit=limit, order=order
        )
        return await page_of_files(vectors.asking(request, principal), message)

    @routes.get("/{file}", summary="One file of a vector store")
    async def get_vector_store_file(
        store: str, file: str, request: Request, principal: Principal = Depends(who)
    ) -> Response:
        message = v.GetStoreFile(store=store, file=file)
        found = await vectors.asking(request, principal).ask("get_store_file", message, v.StoreFile)
        return answer(found.model_dump())

    @routes.post("/{file}", summary="Replace the attributes of a file", openapi_extra=documented(ChangedFile))
    async def update_vector_store_file(
        store: str, file: str, request: Request, principal: Principal = Depends(who), body: ChangedFile = _CHANGED
    ) -> Response:
        message = v.UpdateStoreFile(store=store, file=file, attributes=body.attributes)
        made = await vectors.asking(request, principal).ask("update_store_file", message, v.StoreFile)
        return answer(made.model_dump())

    @routes.delete("/{file}", summary="Take a file out of a vector store; it stays a file")
    async def delete_vector_store_file(
        store: str, file: str, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        message = v.DetachFile(store=store, file=file)
        gone = await vectors.asking(request, principal).ask("detach_file", message, v.Deleted)
        return {"id": gone.id, "object": "vector_store.file.deleted", "deleted": True}

    @routes.get("/{file}/content", summary="What was read of a file")
    async def get_vector_store_file_content(
        store: str,
        file: str,
        request: Request,
        page: int = Query(0, ge=0, le=2**31 - 1, description="`next_page` of the answer before"),
        principal: Principal = Depends(who),
    ) -> Response:
        """Its chunks, in order."""
        return answer(await _content(vectors.asking(request, principal), store, file, page - 1))

    return routes


async def page_of_files(asking: Asking, message: v.ListStoreFiles) -> Response:
    """A list object of files."""
    page = await asking.ask("list_store_files", message, v.StoreFilePage)
    return listed([file.model_dump() for file in page.data], "id", page.has_more)


async def _content(asking: Asking, store: str, file: str, after: int) -> dict[str, Any]:
    texts: list[str] = []
    size = 0
    following: int | None = after
    while following is not None and size < CONTENT_BYTES:
        message = v.ReadStoreFile(store=store, file=file, after=following)
        page = await asking.ask("read_store_file", message, v.ChunkTexts)
        texts += page.data
        size += sum(len(text.encode()) for text in page.data)
        following = page.next
    return {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": text} for text in texts],
        "has_more": following is not None,
        "next_page": None if following is None else str(following + 1),
    }
