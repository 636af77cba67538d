"""A response in the background is ended before its time, from any process."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

import orjson
from caravan_bus.pauses import pauses
from caravan_bus.transport import Message, Subscription, Transport
from caravan_bus.work.queue import TryLater
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest, Unavailable

from caravan_agents.errors import no_response
from caravan_agents.runs.background import Background
from caravan_agents.runs.parts import Parts

log = logging.getLogger(__name__)

_PATIENCE: Final = 1.0
"""Seconds that the owner of a run has to end it; then it is taken away."""


class Cancelling:
    """One per process."""

    def __init__(self, parts: Parts, background: Background, transport: Transport) -> None:
        self._parts = parts
        self._background = background
        self._transport = transport
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Hear of the wishes of others."""
        self._subscription = await self._transport.subscribe(s.RUN_CANCELLED, self._heard)

    async def close(self) -> None:
        """Stop that."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    async def cancel(self, context: RequestContext, id: str) -> bytes:
        """End it; the response as it is stored then. Raises NotFound, InvalidRequest for one that somebody waits for,
        Unavailable when it could not be ended in time."""
        tenant, parts = context.principal.tenant, self._parts
        until = time.monotonic() + _PATIENCE
        told = False
        for pause in pauses(0.01, 0.1):
            known = await parts.journal.known(tenant, id)
            if known is None:
                found = await parts.store.find(tenant, id)
                if found is None:
                    raise no_response(id)
                if not orjson.loads(found)["background"]:
                    raise _not_in_background()
                return found
            if not known.background:
                raise _not_in_background()
            if not told:
                told = True
                await parts.journal.wish_end(tenant, id)
                self._transport.publish(s.RUN_CANCELLED, orjson.dumps([tenant, id]))
            now = time.monotonic()
            if (now > until or not known.alive) and await self._taken(tenant, id):
                until = now + _PATIENCE
                continue
            if context.remaining < pause:
                raise Unavailable("the response could not be cancelled in time; try again", retry_after=1)
            await asyncio.sleep(pause)
        raise AssertionError

    async def _taken(self, tenant: str, id: str) -> bool:
        """Take it away from whoever has it, and end it here; False when it is over."""
        run = await self._parts.journal.claim(tenant, id, self._parts.instance, force=True)
        if run is None:
            return False
        try:
            await self._background.make(run)
        except TryLater as error:
            log.info("a run to be ended is another's again: %s", error.message, extra={"response": id})
        return True

    def _heard(self, message: Message) -> None:
        tenant, response = orjson.loads(message.data)
        self._parts.keeper.cancel(tenant, response)


def _not_in_background() -> InvalidRequest:
    return InvalidRequest(
        "only a response that was made with 'background' can be cancelled; leave a stream to end it",
        param="response_id",
        code="not_in_background",
    )
