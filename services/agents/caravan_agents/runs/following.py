"""The events of a response for whoever comes later: from PostgreSQL, then from the tail while it goes on."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from caravan_bus.stream.sender import StreamSender
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CannotContinue, DeadlineExceeded, DependencyDown, NotFound
from caravan_contracts.inference import Summary

from caravan_agents.errors import no_response
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.rebuild import is_terminal, last_number, read_events

log = logging.getLogger(__name__)

_FIRST: Final = 0.01
_LONGEST: Final = 0.2
"""Seconds between two looks at a tail that says nothing."""
_LOOK: Final = 2.0
"""Seconds after which a silent one is looked for in PostgreSQL."""
_SILENT: Final = 30.0
"""Seconds without a word after which a run that is in no journal is taken for lost."""


class Following:
    """Of one reader."""

    def __init__(self, parts: Parts, context: RequestContext, id: str, sender: StreamSender) -> None:
        self._parts = parts
        self._context = context
        self._tenant = context.principal.tenant
        self._id = id
        self._sender = sender
        self._next = 0
        self._over = False
        self._kept = -1
        """The number of the last event that PostgreSQL has."""

    async def follow(self, first: int) -> None:
        """Send every event from the number `first` on, to the last. Raises NotFound, CannotContinue,
        DeadlineExceeded."""
        self._next = first
        stored = await self._parts.store.find(self._tenant, self._id) is not None
        await self._from_postgres()
        if not stored:
            await self._live()
        if not self._over:
            self._check_end()
        self._sender.end(Summary(response_id=self._id))

    def _check_end(self) -> None:
        """It has ended, and there was nothing to send: that is right behind the last event alone."""
        if self._kept < 0:
            raise NotFound(
                f"the events of the response {self._id!r} are not kept any more; ask for it without 'stream'",
                param="stream",
                code="events_expired",
            )
        if self._next <= self._kept:
            raise CannotContinue("some of the events of this response are lost")

    async def _live(self) -> None:
        loop = asyncio.get_running_loop()
        at, begun, pause, heard, looked = "0-0", False, _FIRST, loop.time(), 0.0
        while not self._over:
            if self._context.remaining <= 0:
                raise DeadlineExceeded("the request's time is over")
            entries = []
            try:
                entries = await self._parts.tail.read(self._tenant, self._id, at, not begun)
                begun = True
            except DependencyDown as error:
                log.debug("a tail cannot be read now: %s", error.message)
            now = loop.time()
            for entry in entries:
                if not await self._pass(entry.data) and not await self._filled(entry.data):
                    break  # what is before it comes yet
                at = entry.id
                pause, heard = _FIRST, now
            if heard == now:
                continue
            if now - looked >= (_LOOK if begun and self._parts.tail.there else 0.3):
                looked = now
                if await self._looked(now - heard):
                    return
            await asyncio.sleep(pause)
            pause = min(_LONGEST, pause * 1.5)

    async def _looked(self, silent: float) -> bool:
        """Whether nothing more comes."""
        try:
            known = await self._parts.journal.known(self._tenant, self._id)
            await self._from_postgres()
            if known is not None or self._over:
                return self._over
            if await self._parts.store.find(self._tenant, self._id) is not None:
                await self._from_postgres()
                return True
        except DependencyDown as error:
            log.debug("a run cannot be looked at now: %s", error.message)
            return False
        if self._next == 0 and silent > _LOOK:
            raise no_response(self._id)
        if silent > _SILENT:
            raise CannotContinue("who made this response is gone, and it was not finished")
        return False

    async def _filled(self, data: bytes) -> bool:
        """Whether PostgreSQL has what is missing before `data`, which is sent then."""
        try:
            await self._from_postgres()
        except DependencyDown as error:
            log.debug("events cannot be read now: %s", error.message)
        return await self._pass(data)

    async def _from_postgres(self) -> None:
        for _, data in await self._parts.journal.events(self._tenant, self._id, self._next):
            await self._pass(data)
            self._kept = max(self._kept, last_number(data))

    async def _pass(self, data: bytes) -> bool:
        """Send what is new of it; False when something is missing before it."""
        new = [event for event in read_events(data) if event.number >= self._next]
        if not new:
            return True
        if new[0].number > self._next:
            return False
        self._next = new[-1].number + 1
        raw = b"".join([event.raw for event in new])
        self._over = is_terminal(raw)
        if not self._sender.write(raw):
            await self._sender.room()
        return True
