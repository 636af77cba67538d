"""What the gateway asks of responses, at one worker: make one, tell of those that were stored, or follow one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar

import orjson
from caravan_bus.claims import Claims, body_of
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts import headers as h
from caravan_contracts.errors import Conflict, InvalidRequest, NotFound
from caravan_contracts.inference import JSON_BODY, Summary
from caravan_contracts.responses import Follow, Recall, ResponseVerb, list_object
from pydantic import BaseModel, ValidationError

from caravan_agents.conversations import include
from caravan_agents.responses.assembly import ResponseObject, Usage
from caravan_agents.responses.ids import new_id, of_input
from caravan_agents.responses.request import ResponseRequest, read_request
from caravan_agents.responses.store import known_id
from caravan_agents.runs.background import Background
from caravan_agents.runs.cancelling import Cancelling
from caravan_agents.runs.foreground import Asked, Foreground
from caravan_agents.runs.journal import Known
from caravan_agents.runs.packing import unpack
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.state import Opened, State

Message = TypeVar("Message", bound=BaseModel)
_WHOLE: Final = Summary(content_type=JSON_BODY)


class ResponseService:
    """One per process."""

    def __init__(self, parts: Parts, background: Background, cancelling: Cancelling, claims: Claims | None) -> None:
        self._parts = parts
        self._store = parts.store
        self._foreground = Foreground(parts)
        self._background = background
        self._cancelling = cancelling
        self._claims = claims

    async def serve(self, inbound: Inbound, sender: StreamSender) -> None:
        """One request; its end goes into `sender`, its error is raised."""
        if inbound.verb == ResponseVerb.RECALL:
            sender.end(_WHOLE, await self._recalled(inbound))
        elif inbound.verb == ResponseVerb.FOLLOW:
            wanted = _read(Follow, inbound)
            include.check(wanted.include)
            await self._background.follow(inbound.context, known_id(wanted.id), wanted.first, sender)
        else:
            await self._respond(inbound, sender)

    async def _respond(self, inbound: Inbound, sender: StreamSender) -> None:
        headers = inbound.message.headers
        keys = headers.get(h.PROVIDER_DATA)
        credentials: Mapping[str, str] | None = orjson.loads(keys) if keys else None
        after = headers.get(h.AFTER)
        body = await body_of(inbound.message, self._claims)
        name = headers.get(h.RESPONSE)
        response = known_id(name) if name else new_id("resp")
        asked = Asked(
            inbound.context,
            response,
            int(after) if after else 0,
            after is not None,
            body,
            read_request(body, of_input(response)),
            credentials,
            sender,
        )
        if asked.request.background:
            await self._background.accept(asked)
        else:
            await self._foreground.serve(asked)

    async def _recalled(self, inbound: Inbound) -> bytes:
        asked = _read(Recall, inbound)
        tenant = inbound.context.principal.tenant
        if asked.operation == "get":
            wanted = include.check(asked.include)
            found = orjson.loads(await self._get(tenant, known_id(asked.id)))
            found["output"] = [include.shown(item, wanted) for item in found["output"]]
            return orjson.dumps(found)
        if asked.operation == "cancel":
            return await self._cancelling.cancel(inbound.context, known_id(asked.id))
        if asked.operation == "delete":
            if await self._parts.journal.known(tenant, known_id(asked.id)) is not None:
                raise Conflict(f"the response {asked.id!r} is under way; cancel it first", param="response_id")
            await self._store.forget(tenant, asked.id)
            return orjson.dumps({"id": asked.id, "object": "response", "deleted": True})
        if asked.operation == "input_items":
            wanted = include.check(asked.include)
            page = _page(await self._given(tenant, known_id(asked.id)), asked)
            page["data"] = [include.shown(item, wanted) for item in page["data"]]
            return orjson.dumps(page)
        rows, more = await self._store.page(tenant, asked)
        return orjson.dumps(list_object([orjson.loads(row) for row in rows], more))

    async def _get(self, tenant: str, id: str) -> bytes:
        found = await self._store.find(tenant, id)
        if found is None:
            known = await self._parts.journal.known(tenant, id)
            if known is not None:
                return orjson.dumps(_under_way(id, known, self._request_of(tenant, id, known)))
            found = await self._store.get(tenant, id)  # it may have ended between the two
        return found

    def _request_of(self, tenant: str, id: str, known: Known) -> ResponseRequest:
        return read_request(unpack(self._parts.compactor.sealing, tenant, known.body)[0], of_input(id))

    async def _given(self, tenant: str, id: str) -> list[dict[str, Any]]:
        try:
            return await self._store.given(tenant, id)
        except NotFound:
            known = await self._parts.journal.known(tenant, id)
            if known is None:
                raise
            return (
                Opened.decode(known.opened).given if known.opened else list(self._request_of(tenant, id, known).input)
            )


def _under_way(id: str, known: Known, request: ResponseRequest) -> dict[str, Any]:
    """A response that is not finished, as far as it is written down."""
    if known.opened:
        opened = Opened.decode(known.opened)
        request = replace(request, model=opened.model, instructions=opened.instructions)
    made = ResponseObject(id, known.created_at, request)
    if known.checkpoint:
        state = State.decode(known.checkpoint)
        made.output, made.service_tier = state.output, state.tier
        made.usage = Usage(**state.usage) if state.usage is not None else None
    return made.snapshot("queued" if known.status == "queued" else "in_progress")


def _read(kind: type[Message], inbound: Inbound) -> Message:
    try:
        return kind.model_validate_json(inbound.message.data)
    except ValidationError as error:
        raise InvalidRequest(f"the question cannot be read: {error.errors()[0]['msg']}") from error


def _page(items: list[dict[str, Any]], asked: Recall) -> dict[str, Any]:
    """Part of what went into a response. Raises InvalidRequest for an `after` that is none of it."""
    rows = items if asked.order == "asc" else items[::-1]
    if asked.after:
        at = next((place for place, item in enumerate(rows) if item["id"] == asked.after), None)
        if at is None:
            raise InvalidRequest(f"there is no item {asked.after[:200]!r} in it", param="after")
        rows = rows[at + 1 :]
    return list_object(rows[: asked.limit], len(rows) > asked.limit)
