"""The agents service, as the HTTP routes of conversations and prompts ask it."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import orjson
from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.users import AGENTS
from fastapi import Request, Response
from pydantic import BaseModel

Reply = TypeVar("Reply", bound=BaseModel)
_TIMEOUT: Final = 10.0


class Agents:
    """One per process."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    async def ask(
        self, request: Request, principal: Principal, verb: str, message: BaseModel, reply: type[Reply]
    ) -> Reply:
        """The answer. Raises the service's errors, and those of :meth:`Requester.ask`."""
        context = RequestContext(request.scope["caravan_request_id"], principal)
        return await self._requester.ask(AGENTS, verb, message, reply, context, _TIMEOUT)


def answer(made: dict[str, Any]) -> Response:
    """One JSON object."""
    return Response(orjson.dumps(made), media_type="application/json")


def listed(rows: list[dict[str, Any]], id: str, has_more: bool) -> Response:
    """OpenAI's list object; `id` is the field that names a row."""
    made = {
        "object": "list",
        "data": rows,
        "first_id": rows[0][id] if rows else None,
        "last_id": rows[-1][id] if rows else None,
        "has_more": has_more,
    }
    return answer(made)
