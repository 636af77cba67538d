"""The sink of a stream: what arrives from the upstream goes out as whole events, in the same turn of the loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from caravan_contracts.inference import CallSpec, Summary

from caravan_inference.providers.base import Output
from caravan_inference.providers.openai_compatible.events import EventForwarder

END_SECONDS: Final = 1.0
"""How long an upstream that gave its finish reason is waited for to say that this is all."""


class Forwarding:
    """For one stream; see :class:`Sink`."""

    __slots__ = ("_began", "_body", "_events", "_first", "_limit", "_output", "_tail", "done", "room")

    def __init__(self, spec: CallSpec, output: Output, began: float, body: bytes, limit: asyncio.Timeout) -> None:
        """`began` by `time.perf_counter`. `limit` ends the wait for an upstream that has finished the answer to `body`
        and does not say so."""
        self._body = body
        self._limit = limit
        self._events = EventForwarder(spec.shown_model, spec.include_usage)
        self._output = output
        self._began = began
        self._first = 0.0
        self._tail = b""
        self.room = output.room
        self.done = False
        """Whether the upstream said that it is."""

    def take(self, data: bytes) -> bool:
        """Send on what `data` completes. Raises the upstream's own error."""
        events = self._events
        ready = events.feed(data)
        if ready and not self._first:
            self._first = (time.perf_counter() - self._began) * 1000
        if events.done:
            self._tail, self.done = ready, True
            return True
        room = self._output.write(ready) if ready else True
        if events.error is not None:
            raise events.error
        if events.finish_reason:
            self._soon_over(room)
        return room

    def end(self) -> tuple[Summary, bytes]:
        """How it went, and the last events, which are not sent yet. Raises UpstreamBroke when it has no end."""
        events = self._events
        if not self.done:
            self._tail = events.rest()
            if events.error is not None:
                raise events.error
        return events.summary(self._first), self._tail

    def _soon_over(self, room: bool) -> None:
        if b'"n"' in self._body:
            return  # of several choices one may have finished long before another
        # a client that takes nothing keeps its upstream from being read: that is no silence
        self._limit.reschedule(asyncio.get_running_loop().time() + END_SECONDS if room else None)
