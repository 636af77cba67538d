"""The sink of a stream: what arrives from the upstream goes out as whole events, in the same turn of the loop."""

from __future__ import annotations

import time
from typing import Final

from caravan_contracts.inference import Summary

from caravan_inference.providers.base import Output
from caravan_inference.providers.openai_compatible.answer import Answer
from caravan_inference.providers.openai_compatible.events import EventForwarder

END_SECONDS: Final = 1.0
"""How long an upstream that gave its finish reason is waited for to say that this is all."""


class Forwarding:
    """For one stream; see :class:`Sink`."""

    __slots__ = ("_answer", "_began", "_events", "_first", "_output", "_several", "_tail", "done", "ending", "room")

    def __init__(self, events: EventForwarder, output: Output, began: float, several: bool, answer: Answer) -> None:
        """`began` by `time.perf_counter`; `events` reads `answer`, which may have `several` choices. An upstream that
        has finished it and does not say so is not waited for long."""
        self._several = several
        self._answer = answer
        self._events = events
        self._output = output
        self._began = began
        self._first = 0.0
        self._tail = b""
        self.room = output.room
        self.done = False
        """Whether the upstream said that it is."""
        self.ending = False
        """Whether it gave the reason why its answer ends, and nothing of that can be missing but the word for it."""

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
            self._soon_over()
        return room

    def end(self) -> tuple[Summary, bytes]:
        """How it went, and the last events, which are not sent yet. Raises UpstreamBroke when it has no end."""
        events = self._events
        if not self.done:
            self._tail = events.rest()
            if events.error is not None:
                raise events.error
        return events.summary(self._first), self._tail

    def _soon_over(self) -> None:
        if not self._several:  # of several choices one may have finished long before another
            self.ending = True
            self._answer.end_within(END_SECONDS)
