"""Many files read into a vector store at once, over HTTP."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts import vectors as v
from caravan_contracts.completions import Order
from caravan_contracts.context import Principal
from caravan_contracts.errors import InvalidRequest, RequestTooLarge
from fastapi import APIRouter, Depends, Query, Request, Response

from caravan_gateway.agents import answer
from caravan_gateway.bodies import documented, reading
from caravan_gateway.resources import Resources
from caravan_gateway.vectors.asking import Vectors
from caravan_gateway.vectors.bodies import NewBatch
from caravan_gateway.vectors.files import page_of_files
from caravan_gateway.vectors.stores import PATH

MAX_BODY: Final = 1024 * 1024
"""Bytes of a body; what is said of all files has to fit into one message."""

_NEW: Any = Depends(reading(NewBatch))


def router(resources: Resources, vectors: Vectors) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH + "/{store}/file_batches", tags=["Vector store file batches"])
    who = resources.who

    @routes.post("", summary="Read files into a vector store", openapi_extra=documented(NewBatch))
    async def create_vector_store_file_batch(
        store: str, request: Request, principal: Principal = Depends(who), body: NewBatch = _NEW
    ) -> Response:
        """`file_ids`, with attributes and a strategy for all of them, or `files`, each with its own."""
        message = message_of(store, body)
        try:
            made = await vectors.asking(request, principal).ask("create_batch", message, v.FileBatch)
        except RequestTooLarge as error:
            raise RequestTooLarge(f"what is said of these files is too long: send several batches ({error})") from error
        return answer(made.model_dump())

    @routes.get("/{batch}", summary="One batch of files")
    async def get_vector_store_file_batch(
        store: str, batch: str, request: Request, principal: Principal = Depends(who)
    ) -> Response:
        message = v.GetBatch(store=store, batch=batch)
        found = await vectors.asking(request, principal).ask("get_batch", message, v.FileBatch)
        return answer(found.model_dump())

    @routes.post("/{batch}/cancel", summary="Read no further file of a batch")
    async def cancel_vector_store_file_batch(
        store: str, batch: str, request: Request, principal: Principal = Depends(who)
    ) -> Response:
        message = v.CancelBatch(store=store, batch=batch)
        made = await vectors.asking(request, principal).ask("cancel_batch", message, v.FileBatch)
        return answer(made.model_dump())

    @routes.get("/{batch}/files", summary="The files of a batch")
    async def list_vector_store_file_batch_files(
        store: str,
        batch: str,
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
            store=store, batch=batch, filter=filter or "", after=after, before=before, limit=limit, order=order
        )
        return await page_of_files(vectors.asking(request, principal), message)

    return routes


def message_of(store: str, body: NewBatch) -> v.CreateBatch:
    """The files, and what holds for each of them or for all. Raises InvalidRequest."""
    if body.files is None and body.file_ids is None:
        raise InvalidRequest(
            "say which files: 'file_ids' or 'files'", param="file_ids", code="missing_required_parameter"
        )
    if body.files is not None and body.file_ids is not None:
        raise InvalidRequest("'file_ids' and 'files' exclude each other: send one of them", param="files")
    if body.files is None:
        common = {"attributes": body.attributes, "chunking_strategy": body.chunking_strategy}
        return v.CreateBatch(store=store, files=[v.NewFile(file_id=file) for file in body.file_ids or ()], **common)
    for name in ("attributes", "chunking_strategy"):
        if getattr(body, name) is not None:
            raise InvalidRequest(f"with 'files', each file says its own {name!r}: move it there", param=name)
    return v.CreateBatch(store=store, files=body.files)
