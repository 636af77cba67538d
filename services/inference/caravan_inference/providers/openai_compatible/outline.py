"""What the events of a stream look like from outside: a read of many is known to be whole without a look inside.

Each search through all of a read costs as much as HTTP does, so there are two: the borders between events are counted,
and the upstream's name of the model is replaced. Both have to find the same number of events.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

_CLOSERS: Final = b'"]}'
_OPENERS: Final = (b'data: {"', b'data:{"')
_UNFINISHED: Final = (b'"finish_reason":null', b'"finish_reason": null')
_SHORT: Final = 256
"""Longest name, as it is written, for which an outline is kept."""


class Outline:
    """Of streams whose model is `found` in each event and shall be `put`; both the same when it has its name."""

    __slots__ = ("_between", "_end", "_found", "_grows", "_opener", "_put", "_unfinished")

    def __init__(self, found: bytes, put: bytes, opener: bytes, closers: bytes, unfinished: bytes) -> None:
        """`opener` and `closers` are what an event begins and ends with, `unfinished` how it says that the choice goes
        on; see :func:`learn`."""
        self._found = found
        self._put = put
        self._grows = len(put) - len(found)
        self._opener = opener if closers.endswith(b"}") and unfinished else b""
        self._unfinished = unfinished
        self._end = closers + b"\n\n"
        self._between = self._end + opener

    def learn(self, ready: bytes) -> Outline:
        """The same, with the last event of `ready` for an example."""
        return learn(self._found, self._put, ready)

    def renamed(self, ready: bytes) -> bytes:
        """`ready`, in which the model has the name that is shown."""
        return ready if self._found == self._put else ready.replace(self._found, self._put)

    def middle(self, ready: bytes) -> bytes | None:
        """`ready` with its model renamed, when it is nothing but events like the one learned from, whose last one says
        neither that the answer has its end nor that it failed; else None."""
        if not self._opener or not ready.endswith(self._end) or not ready.startswith(self._opener):
            return None
        last = _last_event(ready)
        if ready.find(self._unfinished, last) < 0 or ready.find(b'"error"', last) >= 0:
            return None
        count = ready.count(self._between) + 1
        made = self.renamed(ready)
        if self._grows:
            return made if len(made) - len(ready) == count * self._grows else None
        return made if ready.count(b"\n") == 2 * count else None

    def unfinished(self, ready: bytes) -> int:
        """Where the last event of `ready` ends whose choice goes on; 0 when there is none."""
        at = ready.rfind(self._unfinished) if self._unfinished else -1
        return ready.find(b"\n\n", at) + 2 if at >= 0 else 0


def learn(found: bytes, put: bytes, ready: bytes) -> Outline:
    """The outline of events like the last one of `ready`. Streams that look alike share it: it stays in the caches of
    the processor, where each stream's own would be gone at its next token."""
    last = ready[_last_event(ready) :]
    opener = next((o for o in _OPENERS if last.startswith(o)), b"")
    unfinished = next((u for u in _UNFINISHED if u in last), b"")
    event = last.rstrip(b"\n")
    closers = event[len(event.rstrip(_CLOSERS)) :]
    if max(len(found), len(put), len(closers)) > _SHORT:
        return Outline(found, put, opener, closers, unfinished)
    return _shared(found, put, opener, closers, unfinished)


@lru_cache(maxsize=256)
def _shared(found: bytes, put: bytes, opener: bytes, closers: bytes, unfinished: bytes) -> Outline:
    return Outline(found, put, opener, closers, unfinished)


def _last_event(ready: bytes) -> int:
    before = ready.rfind(b"\n\n", 0, -2)
    return before + 2 if before >= 0 else 0
