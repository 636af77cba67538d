"""What is asked of an agents worker beside responses: how many tokens an input has, and its compaction."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import orjson
from caravan_bus.claims import Claims, body_of
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Handler, Inbound
from caravan_contracts import headers as h
from caravan_contracts.errors import InvalidJSON
from caravan_contracts.inference import JSON_BODY, Summary, Usage
from caravan_contracts.response_operations import ResponseOperation, TokenCount

from caravan_agents.responses import counting
from caravan_agents.responses.attachments import Attachments
from caravan_agents.responses.compacting import Compacted, Compactor
from caravan_agents.responses.ids import new_id
from caravan_agents.responses.items import Item
from caravan_agents.responses.messages import to_messages
from caravan_agents.responses.preparing import history
from caravan_agents.responses.request import ResponseRequest, read_request
from caravan_agents.responses.resolving import resolve
from caravan_agents.responses.store import ResponseStore

_WHOLE: Final = Summary(content_type=JSON_BODY)
_ANY: Final = "any"
"""The model of a count for none: the answer is the same for all."""


class Operations:
    """One per process. Requests that are none of these go on to `rest`."""

    def __init__(
        self,
        store: ResponseStore,
        claims: Claims | None,
        compactor: Compactor,
        attachments: Attachments,
        rest: Handler,
    ) -> None:
        self._store = store
        self._attachments = attachments
        self._claims = claims
        self._compactor = compactor
        self._rest = rest

    async def serve(self, inbound: Inbound, sender: StreamSender) -> None:
        """One request; its end goes into `sender`, its error is raised."""
        if inbound.verb == ResponseOperation.COUNT:
            sender.end(_WHOLE, await self._count(inbound))
        elif inbound.verb == ResponseOperation.COUNT_CHAT:
            tokens = counting.of_chat(await body_of(inbound.message, self._claims))
            sender.end(_WHOLE, TokenCount(input_tokens=tokens, estimate=True).model_dump_json().encode())
        elif inbound.verb == ResponseOperation.COMPACT:
            await self._compact(inbound, sender)
        else:
            await self._rest(inbound, sender)

    async def _count(self, inbound: Inbound) -> bytes:
        body = await body_of(inbound.message, self._claims)
        request = read_request(_with_model(body))
        tenant = inbound.context.principal.tenant
        told = resolve(await self._items(tenant, request), tenant, self._compactor.sealing)
        shape = None if request.text_format["type"] == "text" else request.text_format
        async with self._attachments.filled(told, request.input, inbound.context) as items:
            tokens = counting.of_request(to_messages(items, request.instructions), request.tools, shape)
        return TokenCount(input_tokens=tokens, estimate=True).model_dump_json().encode()

    async def _compact(self, inbound: Inbound, sender: StreamSender) -> None:
        request = read_request(await body_of(inbound.message, self._claims))
        keys = inbound.message.headers.get(h.PROVIDER_DATA)
        credentials: Mapping[str, str] = orjson.loads(keys) if keys else {}
        items = await self._items(inbound.context.principal.tenant, request)
        made = await self._compactor.compact(request, items, inbound.context, credentials or None)
        told = _object(made)
        usage = Usage(told["usage"]["input_tokens"], told["usage"]["output_tokens"])
        sender.end(replace(_WHOLE, response_id=told["id"], model=request.model, usage=usage), orjson.dumps(told))

    async def _items(self, tenant: str, request: ResponseRequest) -> list[Item]:
        before, given = await history(request, tenant, self._store)
        return [*before, *given]


def _with_model(body: bytes) -> bytes:
    """A count need not name a model. Raises InvalidJSON."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    if isinstance(data, dict) and data.get("model") is None:
        return orjson.dumps({**data, "model": _ANY})
    return body


def _object(made: Compacted) -> dict[str, Any]:
    """OpenAI's ``response.compaction``."""
    return {
        "id": new_id("resp"),
        "object": "response.compaction",
        "created_at": int(time.time()),
        "output": made.items,
        "usage": made.usage,
    }
