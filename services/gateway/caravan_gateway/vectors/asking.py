"""The vector service, as the routes ask it."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from caravan_bus.requests import Requester
from caravan_contracts.completions import metadata_problem
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.users import VECTOR
from fastapi import Request
from pydantic import BaseModel

Reply = TypeVar("Reply", bound=BaseModel)
_TIMEOUT: Final = 30.0
"""Seconds of what is kept: 2000 files are looked up one page at a time."""
SEARCH_TIMEOUT: Final = 60.0
"""Of what asks models first."""


class Asking:
    """Whoever asks, for one request."""

    def __init__(self, requester: Requester, request: Request, principal: Principal) -> None:
        self._requester = requester
        self._context = RequestContext(request.scope["caravan_request_id"], principal)

    async def ask(self, verb: str, message: BaseModel, reply: type[Reply], timeout: float = _TIMEOUT) -> Reply:
        """The answer. Raises the service's errors, and those of :meth:`Requester.ask`."""
        return await self._requester.ask(VECTOR, verb, message, reply, self._context, timeout)


class Vectors:
    """One per process."""

    def __init__(self, requester: Requester) -> None:
        self._requester = requester

    def asking(self, request: Request, principal: Principal) -> Asking:
        """For one request."""
        return Asking(self._requester, request, principal)


def checked_metadata(given: dict[str, Any] | None) -> dict[str, str]:
    """As OpenAI bounds it. Raises InvalidRequest."""
    if given and (wrong := metadata_problem(given)):
        raise InvalidRequest(f"'metadata' should be {wrong}", param="metadata", code="invalid_metadata")
    return given or {}
