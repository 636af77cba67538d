"""What a client was given of a stream, kept as it passes, and a watch over its silence."""

from __future__ import annotations

import asyncio
from typing import Final

from caravan_contracts.routes import Timeouts

from caravan_bus.routing.delivered import Delivered
from caravan_bus.routing.splice import Splice
from caravan_bus.stream.reader import Sink

MAX_KEPT: Final = 1024 * 1024
"""Bytes of a stream: one that is longer cannot be gone on with."""
STALL_SECONDS: Final = 30.0
"""Silence after which a stream is taken for stalled when its route does not say."""
_SHORTEST_TICK: Final = 0.02


class Kept:
    """Of one stream."""

    __slots__ = ("_parts", "_size", "_words", "count", "over", "waiting")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._words = False
        self.count = 0
        """Pieces so far."""
        self.over = False
        self.waiting = False
        """Whether the client has to take some of it first."""

    def add(self, data: bytes) -> None:
        """The client gets `data`."""
        self.count += 1
        if self.over:
            return
        self._size += len(data)
        self._parts.append(data)
        if self._size > MAX_KEPT:
            self.drop()

    def drop(self) -> None:
        """Keep no more."""
        self.over, self._words = True, True
        self._parts = []

    def read(self) -> Delivered:
        """What is in it."""
        return Delivered.read(b"".join(self._parts))

    def words(self) -> bool:
        """Whether there is any text in it; a stream may begin with a role, or a comment."""
        if not self._words:
            self._words = self.read().begun
        return self._words


def silence(timeouts: Timeouts, kept: Kept | None = None) -> float | None:
    """Seconds after which a stream that has begun is taken for stalled: only one that can be gone on with has a limit
    that nobody asked for."""
    return timeouts.between_tokens or (STALL_SECONDS if kept is None or not kept.over else None)


def ends(timeouts: Timeouts, kept: Kept, began: float, heard: float) -> float | None:
    """When an attempt that began then, and was heard last then, has been silent for too long."""
    found = [began + timeouts.total] if timeouts.total is not None else []
    if kept.words():
        between = silence(timeouts, kept)
        if between is not None:
            found.append(heard + between)
    elif timeouts.first_token is not None:
        found.append(began + timeouts.first_token)
    return min(found, default=None)


class Keeping:
    """A sink that keeps what it passes on."""

    __slots__ = ("_kept", "_sink")

    def __init__(self, kept: Kept, sink: Sink) -> None:
        self._kept = kept
        self._sink = sink

    def take(self, data: bytes) -> bool:
        """See :class:`Sink`."""
        self._kept.add(data)
        return self._sink.take(data)

    async def room(self) -> None:
        """See :class:`Sink`."""
        self._kept.waiting = True
        try:
            await self._sink.room()
        finally:
            self._kept.waiting = False


class Splicing:
    """A sink that passes on what a continuation adds."""

    __slots__ = ("_sink", "_splice", "room")

    def __init__(self, splice: Splice, sink: Sink) -> None:
        self._splice = splice
        self._sink = sink
        self.room = sink.room

    def take(self, data: bytes) -> bool:
        """See :class:`Sink`. Raises Diverged."""
        piece = self._splice.feed(data)
        return self._sink.take(piece) if piece else True


class Watchdog:
    """Ends a wait, whose `limit` it is given, when a stream is silent for too long. One timer, none for each token."""

    def __init__(self, limit: asyncio.Timeout, kept: Kept, timeouts: Timeouts, began: float) -> None:
        """`began`: when the attempt did, by the loop's clock."""
        self._limit = limit
        self._kept = kept
        self._timeouts = timeouts
        self._began = began
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._count = kept.count
        self._timer: asyncio.TimerHandle | None = None
        self._tick()

    def stop(self) -> None:
        """The wait is over."""
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = self._loop.time()
        if self._kept.waiting or self._kept.count != self._count:
            self._count, self._heard = self._kept.count, now
        at = ends(self._timeouts, self._kept, self._began, self._heard)
        if at is not None and now >= at:
            self._limit.reschedule(now)
            return
        wait = 1.0 if at is None else max(_SHORTEST_TICK, min(1.0, (at - now) / 4))
        self._timer = self._loop.call_later(wait, self._tick)
