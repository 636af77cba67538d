"""What the gateway asks of responses, at one worker: make one, or tell of those that were stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from caravan_bus.claims import Claims
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts import headers as h
from caravan_contracts.errors import DependencyDown, InvalidRequest
from caravan_contracts.inference import JSON_BODY, Summary
from caravan_contracts.responses import Recall, ResponseVerb, list_object
from pydantic import ValidationError

from caravan_agents.responses.run import Parts, Run

_WHOLE: Final = Summary(content_type=JSON_BODY)


class ResponseService:
    """One per process."""

    def __init__(self, parts: Parts, claims: Claims | None) -> None:
        self._parts = parts
        self._store = parts.store
        self._claims = claims

    async def serve(self, inbound: Inbound, sender: StreamSender) -> None:
        """One request; its end goes into `sender`, its error is raised."""
        if inbound.verb == ResponseVerb.RECALL:
            sender.end(_WHOLE, await self._recalled(inbound))
            return
        keys = inbound.message.headers.get(h.PROVIDER_DATA)
        credentials: Mapping[str, str] = orjson.loads(keys) if keys else {}
        await Run(self._parts, inbound.context, credentials, sender).run(await self._body(inbound))

    async def _body(self, inbound: Inbound) -> bytes:
        claim = inbound.message.headers.get(h.CLAIM)
        if not claim:
            return inbound.message.data
        if self._claims is None:
            raise DependencyDown("this worker has no Redis to fetch a large body from; set REDIS_URL")
        return await self._claims.claim(claim)

    async def _recalled(self, inbound: Inbound) -> bytes:
        try:
            asked = Recall.model_validate_json(inbound.message.data)
        except ValidationError as error:
            raise InvalidRequest(f"the question cannot be read: {error.errors()[0]['msg']}") from error
        tenant = inbound.context.principal.tenant
        if asked.operation == "get":
            return await self._store.get(tenant, asked.id)
        if asked.operation == "delete":
            await self._store.forget(tenant, asked.id)
            return orjson.dumps({"id": asked.id, "object": "response", "deleted": True})
        if asked.operation == "input_items":
            return orjson.dumps(_page(await self._store.given(tenant, asked.id), asked))
        rows, more = await self._store.page(tenant, asked)
        return orjson.dumps(list_object([orjson.loads(row) for row in rows], more))


def _page(items: list[dict[str, Any]], asked: Recall) -> dict[str, Any]:
    """Part of what went into a response. Raises InvalidRequest for an `after` that is none of it."""
    rows = items if asked.order == "asc" else items[::-1]
    if asked.after:
        at = next((place for place, item in enumerate(rows) if item["id"] == asked.after), None)
        if at is None:
            raise InvalidRequest(f"there is no item {asked.after[:200]!r} in it", param="after")
        rows = rows[at + 1 :]
    return list_object(rows[: asked.limit], len(rows) > asked.limit)
