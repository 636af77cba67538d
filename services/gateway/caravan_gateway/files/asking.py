"""The files service, as the routes ask it, and the object store beside it."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, TypeVar

from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, Unavailable
from caravan_contracts.users import FILES
from caravan_storage.backoff import pauses
from caravan_storage.objects import Objects
from pydantic import BaseModel

log = logging.getLogger(__name__)

Reply = TypeVar("Reply", bound=BaseModel)
_TIMEOUT: Final = 10.0
_TRY_SECONDS: Final = 5.0
_PERSIST_SECONDS: Final = 20.0


class NoObjectStore(CaravanError):
    """The operator has not said where files are kept."""

    status = 501
    code = "no_object_store"


class Asking:
    """Whoever asks, for one request."""

    def __init__(self, requester: Requester, request_id: str, principal: Principal) -> None:
        self._requester = requester
        self.context = RequestContext(request_id, principal)

    async def ask(self, verb: str, message: BaseModel, reply: type[Reply], timeout: float = _TIMEOUT) -> Reply:
        """The answer. Raises the service's errors, and those of :meth:`Requester.ask`."""
        return await self._requester.ask(FILES, verb, message, reply, self.context, timeout)

    async def persist(self, verb: str, message: BaseModel, reply: type[Reply]) -> Reply:
        """The same with what may be asked again: a service that is away may be back in a moment."""
        until = asyncio.get_running_loop().time() + _PERSIST_SECONDS
        for pause in pauses():
            try:
                return await self.ask(verb, message, reply, _TRY_SECONDS)
            except (Unavailable, DeadlineExceeded) as error:
                if asyncio.get_running_loop().time() + pause > until:
                    raise
                log.info("%s is asked again: %s", verb, error.message)
            await asyncio.sleep(pause)
        raise AssertionError("pauses never end")

    async def forget(self, verb: str, message: BaseModel, reply: type[Reply]) -> None:
        """Say that something will not be. It is swept if nobody hears it."""
        try:
            await self.ask(verb, message, reply, _TRY_SECONDS)
        except CaravanError as error:
            log.info("%s was not heard: %s", verb, error.message)


class Files:
    """One per process."""

    def __init__(self, requester: Requester, objects: Objects | None) -> None:
        self._requester = requester
        self._objects = objects

    @property
    def objects(self) -> Objects:
        """Where the bytes lie. Raises NoObjectStore."""
        if self._objects is None:
            raise NoObjectStore("this server keeps no files: its operator has not set CARAVAN_OBJECTS_URL")
        return self._objects

    def asking(self, request_id: str, principal: Principal) -> Asking:
        """For one request. Raises NoObjectStore."""
        _ = self.objects
        return Asking(self._requester, request_id, principal)
