"""An answer on its way into a dialect."""

from __future__ import annotations

from caravan_bus.stream.reader import Sink

from caravan_gateway.dialects.base import Writer
from caravan_gateway.source import Source


class Translated:
    """A :class:`caravan_gateway.source.Source` in other words; it ends and breaks as the one inside does."""

    def __init__(self, source: Source, writer: Writer) -> None:
        self._source = source
        self._writer = writer
        self._over = False

    @property
    def target(self) -> str:
        """See :attr:`Source.target`."""
        return self._source.target

    @property
    def attempts(self) -> int:
        """See :attr:`Source.attempts`."""
        return self._source.attempts

    async def read(self) -> bytes:
        """See :meth:`Source.read`."""
        while not self._over:
            data = await self._source.read()
            if not data:
                self._over = True
                return self._writer.end()
            if made := self._writer.feed(data):
                return made
        return b""

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Source.pump`."""
        if self._over:
            return b""
        last = await self._source.pump(_Writing(self._writer, sink))
        self._over = True
        made = self._writer.feed(last) if last else b""
        return made + self._writer.end()

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Source.read_all`."""
        return self._writer.whole(await self._source.read_all(limit))


class _Writing:
    """A sink that passes on in other words what it is given."""

    __slots__ = ("_sink", "_writer", "room")

    def __init__(self, writer: Writer, sink: Sink) -> None:
        self._writer = writer
        self._sink = sink
        self.room = sink.room

    def take(self, data: bytes) -> bool:
        """See :meth:`Sink.take`."""
        made = self._writer.feed(data)
        return self._sink.take(made) if made else True
