"""Files over HTTP, but for the route that takes them: see :mod:`caravan_gateway.files.receiving`."""

from __future__ import annotations

from typing import Any

from caravan_contracts import files as f
from caravan_contracts.completions import Order
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Query, Request, Response

from caravan_gateway.agents import answer, listed
from caravan_gateway.files import content
from caravan_gateway.files.asking import Asking, Files
from caravan_gateway.files.receiving import FILES_PATH
from caravan_gateway.resources import Resources


def router(resources: Resources, files: Files) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=FILES_PATH, tags=["Files"])
    who = resources.who

    def asking(request: Request, principal: Principal) -> Asking:
        return files.asking(request.scope["caravan_request_id"], principal)

    @routes.get("", summary="Files")
    async def list_files(
        request: Request,
        purpose: f.PurposeName = "",
        after: str = "",
        limit: int = Query(f.MOST_LISTED, ge=1, le=f.MOST_LISTED),
        order: Order = "desc",
        principal: Principal = Depends(who),
    ) -> Response:
        """In the order in which they were made."""
        ask = asking(request, principal)
        found: list[dict[str, Any]] = []
        place = ""
        while True:
            rows = min(f.PAGE_ROWS, limit - len(found))
            wanted = f.ListFiles(purpose=purpose, after=after, place=place, order=order, limit=rows)
            page = await ask.ask("list_files", wanted, f.FilePage)
            found += [file.model_dump() for file in page.data]
            place = page.next
            if not page.has_more or len(found) >= limit:
                return listed(found, "id", page.has_more)

    @routes.get("/{file}", summary="One file")
    async def get_file(file: str, request: Request, principal: Principal = Depends(who)) -> Response:
        found = await asking(request, principal).ask("get_file", f.GetFile(id=file), f.File)
        return answer(found.model_dump())

    @routes.delete("/{file}", summary="Forget a file")
    async def delete_file(file: str, request: Request, principal: Principal = Depends(who)) -> dict[str, Any]:
        gone = await asking(request, principal).ask("delete_file", f.DeleteFile(id=file), f.FileDeleted)
        return {"id": gone.id, "object": "file", "deleted": True}

    @routes.get("/{file}/content", summary="The bytes of a file", response_class=Response)
    @routes.head("/{file}/content", summary="What would be sent of a file", response_class=Response)
    async def get_content(file: str, request: Request, principal: Principal = Depends(who)) -> Response:
        """Also a range of them, by the header `Range`."""
        located = await asking(request, principal).ask("locate_file", f.LocateFile(id=file), f.LocatedFile)
        return await content.answer(request, located, files.objects)

    return routes
