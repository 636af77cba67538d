"""Streams that ended: what their receivers have not acknowledged is kept for a while, in case the tail was lost."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import Final

from caravan_bus.stream.sender import StreamSender

LINGER_SECONDS: Final = 15.0
LINGER_BYTES: Final = 4 * 1024 * 1024
"""How long, and how much, of ended streams is kept for receivers that lost the tail."""
_OVERHEAD: Final = 2048
"""What a stream takes beside its bytes: of short answers it is the most."""


class Lingering:
    """Those of one worker, oldest first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[float, int, StreamSender]] = OrderedDict()
        self.size = 0
        """Bytes."""

    def __len__(self) -> int:
        return len(self._kept)

    def streams(self) -> list[tuple[str, StreamSender]]:
        """Stream ids and what was kept."""
        return [(stream, sender) for stream, (_, _, sender) in self._kept.items()]

    def keep(self, stream: str, sender: StreamSender) -> None:
        """`stream` has ended."""
        if not sender.kept:
            return
        size = sender.kept + _OVERHEAD
        self.forget(stream)
        self._kept[stream] = (asyncio.get_running_loop().time() + LINGER_SECONDS, size, sender)
        self.size += size
        while self.size > LINGER_BYTES:
            self.forget(next(iter(self._kept)))

    def get(self, stream: str) -> StreamSender | None:
        """What was kept of `stream`."""
        kept = self._kept.get(stream)
        return kept[2] if kept is not None else None

    def forget(self, stream: str) -> None:
        """Its receiver wants no more of it."""
        _, size, _ = self._kept.pop(stream, (0.0, 0, None))
        self.size -= size

    def expire(self, now: float) -> None:
        """Forget those whose time is over."""
        while self._kept:
            stream, (until, _, _) = next(iter(self._kept.items()))
            if until > now:
                return
            self.forget(stream)
