"""Where an answer comes from: a worker, a run that was begun before, or a cache. All are read alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Final, Protocol

from caravan_bus.stream.reader import Sink
from caravan_contracts.errors import CaravanError

from caravan_gateway.kept import Origin

MAX_ANSWER: Final = 64 * 1024 * 1024
"""Bytes of one that does not stream."""


class Source(Protocol):
    """An answer; see :class:`caravan_bus.routing.failover.Failover`."""

    @property
    def target(self) -> str:
        """The model that answers, ``<provider>/<model>``; "" when that is not known."""
        ...

    @property
    def attempts(self) -> int:
        """How often a target was asked for it; 0 when nobody had to be."""
        ...

    async def read(self) -> bytes:
        """What is ready, at least one byte; b"" after a good end."""
        ...

    async def pump(self, sink: Sink) -> bytes:
        """Give `sink` what comes; returns the last of it after a good end."""
        ...

    async def read_all(self, limit: int) -> bytes:
        """The whole answer, at most `limit` bytes."""
        ...


class Pulled(ABC):
    """A source that has only :meth:`read`."""

    origin: Origin = Origin()

    @property
    def target(self) -> str:
        """See :attr:`Source.target`."""
        return self.origin.target

    @property
    def attempts(self) -> int:
        """See :attr:`Source.attempts`."""
        return self.origin.attempts

    @abstractmethod
    async def read(self) -> bytes:
        """See :meth:`Source.read`."""

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Source.pump`."""
        while data := await self.read():
            if not sink.take(data):
                await sink.room()
        return b""

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Source.read_all`."""
        parts: list[bytes] = []
        size = 0
        while data := await self.read():
            parts.append(data)
            size += len(data)
            if size > limit:
                raise CaravanError(f"the answer is larger than {limit} bytes", code="response_too_large")
        return b"".join(parts)


class Whole(Pulled):
    """An answer that is there."""

    def __init__(self, origin: Origin, answer: bytes) -> None:
        self.origin = origin
        self._left = answer

    async def read(self) -> bytes:
        """See :meth:`Source.read`."""
        data, self._left = self._left, b""
        return data
