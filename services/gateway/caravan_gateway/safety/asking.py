"""The safety service, as the routes ask it."""

from __future__ import annotations

from typing import Final, TypeVar

from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.users import SAFETY
from fastapi import Request
from pydantic import BaseModel

Reply = TypeVar("Reply", bound=BaseModel)
_TIMEOUT: Final = 60.0
"""Seconds: a shield may ask a model."""


class Safety:
    """One per process."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    async def ask(
        self, request: Request, principal: Principal, verb: str, message: BaseModel, reply: type[Reply]
    ) -> Reply:
        """The answer. Raises the service's errors, and those of :meth:`Requester.ask`."""
        context = RequestContext(request.scope["caravan_request_id"], principal)
        return await self._requester.ask(SAFETY, verb, message, reply, context, _TIMEOUT)
