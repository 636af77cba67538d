"""A copy of a stream's data on its way to somebody else."""

from __future__ import annotations

from collections.abc import Callable

from caravan_bus.stream.reader import Sink


class Copying:
    """A sink that passes on to `sink` what it is given, and gives `copy` the same."""

    __slots__ = ("_copy", "_sink", "room")

    def __init__(self, copy: Callable[[bytes], None], sink: Sink) -> None:
        self._copy = copy
        self._sink = sink
        self.room = sink.room

    def take(self, data: bytes) -> bool:
        """See :meth:`Sink.take`."""
        self._copy(data)
        return self._sink.take(data)
