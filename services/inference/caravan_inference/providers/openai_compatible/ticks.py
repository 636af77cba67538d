"""Reading many quick streams at common ticks: one wake-up for all of them instead of one for each token.

What costs is a wake-up, at the worker, at NATS and at the gateway, not a byte. A stream of tokens that arrive faster
than a reader could tell, or one of many, is not watched by the event loop: every few milliseconds one `epoll_wait`
says which of them have something, and what they have leaves together. A slow stream of few is never touched, and
neither are the first reads of any. The ticks of a crowd whose streams bring little at a time are further apart.
"""

from __future__ import annotations

import asyncio
import select
from typing import Final, Protocol

FREE_READS: Final = 2
"""Reads of a body that never wait: what providers send before the first token, and the first token."""
TELLING_READS: Final = 4
"""Reads of a body after which its pace is known, when no crowd is there to go by."""
CROWD: Final = 16
"""Streams under way from which on all of them are read at ticks."""
ENOUGH: Final = 24 * 1024
"""Bytes that should come together at a tick of a crowd, a hundred tokens or so: then the wake-up costs little beside
them."""
STRETCH: Final = 2.0
"""How much longer than a tick is meant to be it may last for that: at the usual length, one frame of a display."""
_SLOW: Final = 4
"""Ticks without a byte after which a stream of few is left to the event loop again."""
_READ: Final = 64 * 1024
_EPOLL: Final = hasattr(select, "epoll")


class Ticked(Protocol):
    """A connection read at ticks."""

    def read_ready(self, now: float) -> int:
        """Its socket has something, or was closed; `now` is the loop's time. Returns how many bytes it was."""
        ...

    def resume(self) -> None:
        """Leave it to the event loop."""
        ...


class Ticks:
    """For the connections to one upstream."""

    def __init__(self, gap: float) -> None:
        """`gap` is the time between two ticks in seconds, the least in a crowd; 0 = none."""
        self.gap = gap
        self._next = gap
        self._ticked_at = 0.0
        self._loop = asyncio.get_running_loop()
        self._poll = select.epoll() if gap and _EPOLL else None
        self._by_fd: dict[int, Ticked] = {}
        self._held: list[Ticked] = []
        self._timer: asyncio.TimerHandle | None = None
        self.streams = 0
        """Streams under way."""
        self.buffers = (bytearray(_READ),)
        """What is read into: a fresh one for each read would be 64 KiB for some hundred bytes."""
        self.view = memoryview(self.buffers[0])

    @property
    def crowded(self) -> bool:
        """Whether there are so many streams that tokens meet at a tick anyhow."""
        return self.streams >= CROWD

    def watch(self, connection: Ticked, fd: int) -> bool:
        """Read `connection` at ticks from here on, until :meth:`leave`; False when this system cannot."""
        if self._poll is None:
            return False
        self._poll.register(fd, select.EPOLLIN)
        self._by_fd[fd] = connection
        self._start()
        return True

    def leave(self, fd: int) -> None:
        """The opposite of :meth:`watch`; harmless when it is not watched."""
        if self._by_fd.pop(fd, None) is not None and self._poll is not None:
            try:
                self._poll.unregister(fd)
            except OSError:
                return  # it was closed, and so is gone already

    def hold(self, connection: Ticked) -> None:
        """Resume `connection` at the next tick."""
        self._held.append(connection)
        self._start()

    def takes(self, reads: int, since: float) -> bool:
        """Whether the next read of a stream may wait for a tick, after `reads` of them; the last was `since` seconds
        after the one before."""
        if self.crowded:
            return self.gap > 0 and reads >= FREE_READS
        return reads >= TELLING_READS and since < self.gap

    def is_slow(self, since: float) -> bool:
        """Whether a stream that was last read `since` seconds ago is better left to the event loop."""
        return since > self.gap * _SLOW and not self.crowded

    def close(self) -> None:
        """Tick no more: what is being read goes on without."""
        self.gap = self._next = 0.0
        for connection in (*self._by_fd.values(), *self._held):
            connection.resume()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._poll is not None:
            self._poll.close()
            self._poll = None

    def _start(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._next, self._tick)

    def _tick(self) -> None:
        self._timer = None
        held, self._held = self._held, []
        for connection in held:
            connection.resume()
        if self._by_fd and self._poll is not None:
            now, by_fd = self._loop.time(), self._by_fd
            size = 0
            for fd, _ in self._poll.poll(0):
                ready = by_fd.get(fd)
                if ready is not None:
                    size += ready.read_ready(now)
            self._next = self._gap_after(size, now)
        if self._by_fd or self._held:
            self._start()

    def _gap_after(self, size: int, now: float) -> float:
        since, self._ticked_at = now - self._ticked_at, now
        return stretched(self.gap, size, since) if self.crowded else self.gap


def stretched(gap: float, size: int, since: float) -> float:
    """How long after a tick the next one of a crowd is: it should bring :data:`ENOUGH`, going by the `size` bytes that
    came in the last `since` seconds, and not come more often than each `gap` seconds, nor :data:`STRETCH` times as
    rarely."""
    longest = gap * STRETCH
    return max(gap, min(longest, since * ENOUGH / size)) if size else longest
