"""Remembers for a short time what servers list: a conversation without a history asks each time."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

import orjson

from caravan_agents.tools.mcp.listing import Listed


class ListCache:
    """One per process, bounded by time and bytes. The oldest are forgotten first."""

    def __init__(self, seconds: float, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self.size = 0
        """Bytes of all lists."""

    def get(self, key: str) -> list[Listed] | None:
        """A list of its own for whoever asks; None when there is none that is fresh."""
        until, data = self._kept.get(key, (0.0, b""))
        if not data:
            return None
        if until <= self._clock():
            self._drop(key)
            return None
        made: list[Listed] = orjson.loads(data)
        return made

    def put(self, key: str, tools: list[Listed]) -> None:
        """Remember a list, unless it is larger than a quarter of all that may be remembered."""
        self._drop(key)
        data = orjson.dumps(tools)
        if self._seconds <= 0 or len(data) > self._most // 4:
            return
        self._kept[key] = (self._clock() + self._seconds, data)
        self.size += len(data)
        while self.size > self._most:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        if key in self._kept:
            self.size -= len(self._kept.pop(key)[1])
