"""Stored chat completions over HTTP, in OpenAI's shapes.

They are made by the hot route (``"store": true``), kept by the agents service, and read here.
"""

from __future__ import annotations

import base64
import logging
import re
from typing import Any, Final

import orjson
from caravan_bus.requests import Requester
from caravan_bus.work.outbox import Outbox
from caravan_contracts import completions as c
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import InvalidRequest
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel

from caravan_gateway.resources import Resources

log = logging.getLogger(__name__)

PATH: Final = "/v1/chat/completions"
_FILTER: Final = re.compile(r"metadata\[(.*)\]\Z", re.DOTALL)
_TIMEOUT: Final = 10.0
_SETTLE_SECONDS: Final = 2.0


class UpdateStored(BaseModel):
    """Body of ``POST /v1/chat/completions/{id}``."""

    metadata: dict[str, Any]


class StoredCompletions:
    """The agents service, as the routes use it."""

    def __init__(self, requester: Requester, outbox: Outbox) -> None:
        self._requester = requester
        self._outbox = outbox

    async def ask(self, verb: str, message: BaseModel, reply: type[Any], principal: Principal, request: Request) -> Any:
        """Ask. What this gateway itself has handed to the queue shall be there first."""
        if not await self._outbox.settled(_SETTLE_SECONDS):
            log.info("the queue has not confirmed all that was to be stored")
        return await self._requester.ask(c.SERVICE, verb, message, reply, _context(principal, request), _TIMEOUT)

    async def object(self, row: c.CompletionRow, principal: Principal, request: Request) -> dict[str, Any]:
        """The whole object of a row, piece by piece if it must be."""
        made = row.object
        if made is None:
            made = orjson.loads(await self._pieces(row, principal, request))
            if "." in row.ref:
                made = c.message_object(row.id, made)
        return {**made, **row.head}

    async def page(self, page: c.CompletionPage, principal: Principal, request: Request) -> Response:
        """OpenAI's list object."""
        rows = [await self.object(row, principal, request) for row in page.rows]
        made = {
            "object": "list",
            "data": rows,
            "first_id": rows[0]["id"] if rows else None,
            "last_id": rows[-1]["id"] if rows else None,
            "has_more": page.has_more,
        }
        return _json(made)

    async def _pieces(self, row: c.CompletionRow, principal: Principal, request: Request) -> bytes:
        context = _context(principal, request)
        made = bytearray()
        while len(made) < row.size:
            message = c.ReadCompletionPiece(ref=row.ref, offset=len(made))
            verb, timeout = "read_completion_piece", _TIMEOUT
            piece = await self._requester.ask(c.SERVICE, verb, message, c.CompletionPiece, context, timeout)
            data = base64.b64decode(piece.data)
            if not data:
                break
            made += data
        return bytes(made)


def router(resources: Resources, stored: StoredCompletions) -> APIRouter:
    """The routes."""
    routes = APIRouter(prefix=PATH, tags=["Stored completions"])
    who = resources.who

    @routes.get("", summary="Stored chat completions")
    async def list_completions(
        request: Request,
        after: str = "",
        limit: int = Query(20, ge=1, le=100),
        order: c.Order = "asc",
        model: str = "",
        principal: Principal = Depends(who),
    ) -> Response:
        """`metadata[key]=value`, any number of times, filters by metadata."""
        wanted = c.ListCompletions(after=after, limit=limit, order=order, model=model, metadata=_filters(request))
        page = await stored.ask("list_completions", wanted, c.CompletionPage, principal, request)
        return await stored.page(page, principal, request)

    @routes.get("/{completion:path}/messages", summary="The messages of a stored chat completion")
    async def list_messages(
        completion: str,
        request: Request,
        after: str = "",
        limit: int = Query(20, ge=1, le=100),
        order: c.Order = "asc",
        principal: Principal = Depends(who),
    ) -> Response:
        wanted = c.ListCompletionMessages(id=completion, after=after, limit=limit, order=order)
        page = await stored.ask("list_completion_messages", wanted, c.CompletionPage, principal, request)
        return await stored.page(page, principal, request)

    @routes.get("/{completion:path}", summary="One stored chat completion")
    async def get_completion(completion: str, request: Request, principal: Principal = Depends(who)) -> Response:
        row = await stored.ask("get_completion", c.GetCompletion(id=completion), c.CompletionRow, principal, request)
        return _json(await stored.object(row, principal, request))

    @routes.post("/{completion:path}", summary="Change the metadata of a stored chat completion")
    async def update_completion(
        completion: str, body: UpdateStored, request: Request, principal: Principal = Depends(who)
    ) -> Response:
        if wrong := c.metadata_problem(body.metadata):
            raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
        message = c.UpdateCompletion(id=completion, metadata=body.metadata)
        row = await stored.ask("update_completion", message, c.CompletionRow, principal, request)
        return _json(await stored.object(row, principal, request))

    @routes.delete("/{completion:path}", summary="Forget a stored chat completion")
    async def delete_completion(
        completion: str, request: Request, principal: Principal = Depends(who)
    ) -> dict[str, Any]:
        gone = await stored.ask(
            "delete_completion", c.DeleteCompletion(id=completion), c.CompletionDeleted, principal, request
        )
        return {"object": "chat.completion.deleted", "id": gone.id, "deleted": True}

    return routes


def _context(principal: Principal, request: Request) -> RequestContext:
    return RequestContext(request.scope["caravan_request_id"], principal)


def _filters(request: Request) -> dict[str, str]:
    made = {}
    for name, value in request.query_params.multi_items():
        match = _FILTER.match(name)
        if match is not None:
            made[match[1]] = value
    if made and (wrong := c.metadata_problem(made)):
        raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
    return made


def _json(made: dict[str, Any]) -> Response:
    return Response(orjson.dumps(made), media_type="application/json")
