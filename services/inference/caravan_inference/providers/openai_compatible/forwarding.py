"""The sink of a stream: what arrives from the upstream goes out as whole events, in the same turn of the loop."""

from __future__ import annotations

import time

from caravan_contracts.inference import CallSpec, Summary

from caravan_inference.providers.base import Output
from caravan_inference.providers.openai_compatible.events import EventForwarder


class Forwarding:
    """For one stream; see :class:`Sink`."""

    __slots__ = ("_began", "_events", "_first", "_output", "_tail", "done", "room")

    def __init__(self, spec: CallSpec, output: Output, began: float) -> None:
        """`began` by `time.perf_counter`."""
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
        return room

    def end(self) -> tuple[Summary, bytes]:
        """How it went, and the last events, which are not sent yet. Raises UpstreamBroke when it has no end."""
        events = self._events
        if not self.done:
            self._tail = events.rest()
            if events.error is not None:
                raise events.error
        return events.summary(self._first), self._tail
