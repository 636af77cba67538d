"""One request in line, and what ends its wait.

It ends without a slot when its patience is over, or when what is left of the request's time is less than its answer
usually takes: a slot given to it would be spent on an answer that nobody gets whole.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DeadlineExceeded, NoWorker, Overloaded
from caravan_contracts.inference import CallSpec

from caravan_bus import metrics
from caravan_bus.admission.line import FairLine, Turn
from caravan_bus.presence import WorkerEntry

if TYPE_CHECKING:
    from caravan_bus.admission.waiting import WaitingRoom

_LOOK_SECONDS: Final = 1.0
"""A worker that said BUSY is asked again after so long even if no heartbeat came."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What wants a slot."""

    spec: CallSpec
    context: RequestContext
    size: int
    """Bytes of its body, kept while it waits."""
    choose: Callable[[], WorkerEntry | None]
    """Says which worker is free for it."""
    refused: dict[str, int]
    """Workers that did not take it, which `choose` passes over."""
    again: bool
    """Whether a worker had it, and was lost."""


class Place:
    """Until :meth:`leave`."""

    __slots__ = ("_began", "_line", "_lost", "_room", "_turn", "wish")

    def __init__(self, room: WaitingRoom, line: FairLine, turn: Turn, wish: Wish) -> None:
        self._room = room
        self._line = line
        self._turn = turn
        self._lost = False
        self._began = time.monotonic()
        self.wish = wish

    async def slot(self) -> WorkerEntry:
        """Wait for a worker with a free slot. Raises DeadlineExceeded, Overloaded, TenantLimited, NoWorker."""
        turn, loop = self._turn, asyncio.get_running_loop()
        turn.wake = loop.create_future()
        self._room.wake()
        while True:
            error = turn.refusal or self._given_up()
            if error is not None:
                raise error
            if turn.wake.done():
                if (entry := self.wish.choose()) is not None:
                    turn.wake = None
                    self._line.begin(turn)
                    return entry
                turn.wake = loop.create_future()
            try:
                async with asyncio.timeout(self._patience()):
                    await turn.wake
            except TimeoutError:
                turn.wake = loop.create_future()
                self.wish.refused.clear()
                self._room.wake()

    def back(self) -> None:
        """The slot was taken by somebody else meanwhile."""
        self._line.back(self._turn)

    def leave(self, error: BaseException | None = None) -> None:
        """Out of the line; with a slot, or because of `error`."""
        provider = self.wish.spec.provider
        if error is None:
            metrics.QUEUE_WAIT.labels(provider).observe(time.monotonic() - self._began)
        elif isinstance(error, asyncio.CancelledError):
            self._lost = True
            metrics.QUEUE_REFUSED.labels(provider, "left").inc()
        if self._turn.refusal is None:
            self._room.out(self._line, self._turn, self.wish, lost=self._lost)
        self._room.wake()

    def _given_up(self) -> CaravanError | None:
        """Why the wait is over; None when it is not."""
        now, remaining, spec = time.monotonic(), self.wish.context.remaining, self.wish.spec
        waited, refused = now - self._began, metrics.QUEUE_REFUSED
        if remaining <= 0:
            refused.labels(spec.provider, "deadline").inc()
            return DeadlineExceeded("the request's time is over before a worker was free", retry_after=1)
        alone = self._room.alone_since(spec.provider)
        if alone is not None:
            if now - max(self._began, alone) < self._room.options.no_worker_timeout:
                return None
            refused.labels(spec.provider, "no_worker").inc()
            text = f"no worker serves provider {spec.provider!r} at the moment; start one, or look at `caravan status`"
            return NoWorker(text, retry_after=5)
        if waited >= self._room.options.queue_timeout:
            self._lost = True
            refused.labels(spec.provider, "timeout").inc()
            text = f"all workers of provider {spec.provider!r} stayed busy for {waited:.0f} s"
        elif remaining < self._room.pace.usual(spec.provider, spec.model):
            refused.labels(spec.provider, "too_late").inc()
            text = f"no worker was free in {waited:.1f} s, and the time left is too short for an answer"
        else:
            return None
        return Overloaded(text, retry_after=self._room.advice(spec.provider))

    def _patience(self) -> float:
        """Seconds until a look is worth it. Free slots, and the loss of the last worker, are told."""
        options, remaining, spec, now = (
            self._room.options,
            self.wish.context.remaining,
            self.wish.spec,
            time.monotonic(),
        )
        alone = self._room.alone_since(spec.provider)
        if alone is not None:
            left = min(max(self._began, alone) + options.no_worker_timeout - now, remaining)
        else:
            spare = remaining - self._room.pace.usual(spec.provider, spec.model)
            left = min(self._began + options.queue_timeout - now, spare)
        return max(0.001, min(left, _LOOK_SECONDS) if self.wish.refused else left)
