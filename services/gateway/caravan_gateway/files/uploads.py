"""Uploads over HTTP, but for the route that takes their parts: see :mod:`caravan_gateway.files.receiving`."""

from __future__ import annotations

from typing import Any, Final

from caravan_contracts import files as f
from caravan_contracts.context import Principal
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel, Field

from caravan_gateway.agents import answer
from caravan_gateway.bodies import documented, reading
from caravan_gateway.files.asking import Asking, Files
from caravan_gateway.resources import Resources

PATH: Final = "/v1/uploads"
_COMPLETE_SECONDS: Final = 300.0
"""To put the parts together and to look at what came of it."""


class NewUpload(BaseModel):
    """Body of ``POST /v1/uploads``."""

    bytes: int = Field(ge=1)
    filename: str = Field(min_length=1, max_length=4096)
    mime_type: str = Field(max_length=200)
    purpose: str
    expires_after: f.ExpiresAfter | None = None


class Completion(BaseModel):
    """Body of ``POST /v1/uploads/{id}/complete``."""

    part_ids: list[str] = Field(min_length=1, max_length=f.MOST_PARTS)
    md5: str | None = Field(None, pattern=r"^[0-9a-fA-F]{32}$")


_NEW: Any = Depends(reading(NewUpload))
_COMPLETION: Any = Depends(reading(Completion))


def router(resources: Resources, files: Files) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH, tags=["Uploads"])
    who = resources.who

    def asking(request: Request, principal: Principal) -> Asking:
        return files.asking(request.scope["caravan_request_id"], principal)

    @routes.post("", summary="Begin an upload in parts", openapi_extra=documented(NewUpload))
    async def create_upload(request: Request, principal: Principal = Depends(who), body: NewUpload = _NEW) -> Response:
        """It takes parts for an hour."""
        message = f.CreateUpload(**body.model_dump(exclude={"expires_after"}), expires_after=body.expires_after)
        made = await asking(request, principal).ask("create_upload", message, f.Upload)
        return answer(made.model_dump())

    @routes.post("/{upload}/complete", summary="Make a file of an upload's parts", openapi_extra=documented(Completion))
    async def complete_upload(
        upload: str, request: Request, principal: Principal = Depends(who), body: Completion = _COMPLETION
    ) -> Response:
        """In the order of `part_ids`."""
        message = f.CompleteUpload(id=upload, part_ids=body.part_ids, md5=body.md5)
        made = await asking(request, principal).ask("complete_upload", message, f.Upload, _COMPLETE_SECONDS)
        return answer(made.model_dump())

    @routes.post("/{upload}/cancel", summary="Give an upload up")
    async def cancel_upload(upload: str, request: Request, principal: Principal = Depends(who)) -> Response:
        made = await asking(request, principal).ask("cancel_upload", f.CancelUpload(id=upload), f.Upload)
        return answer(made.model_dump())

    return routes
