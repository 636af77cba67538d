"""An answer on its way to a client, kept when it is whole and good."""

from __future__ import annotations

from typing import Final

from caravan_bus.answer import Answer
from caravan_bus.stream.copying import Copying
from caravan_bus.stream.reader import Sink

from caravan_gateway.caching.cache import MAX_ANSWER, Lookup, ResponseCache
from caravan_gateway.kept import Origin

_GOOD: Final = frozenset(
    ("", "stop", "length", "tool_calls", "function_call", "end_turn", "stop_sequence", "max_tokens", "tool_use")
)
"""How an answer ends that may be given again, in OpenAI's words and in Anthropic's; embeddings and rankings end without
a word."""


class Copied:
    """See :class:`caravan_gateway.source.Source`. Nothing is kept of an answer that is cut off, or that fails."""

    def __init__(self, cache: ResponseCache, lookup: Lookup, stream: Answer) -> None:
        self._cache = cache
        self._lookup = lookup
        self._stream = stream
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def target(self) -> str:
        """See :attr:`Source.target`."""
        return self._stream.target

    @property
    def attempts(self) -> int:
        """See :attr:`Source.attempts`."""
        return self._stream.attempts

    async def read(self) -> bytes:
        """See :meth:`Source.read`; :meth:`pump` has to follow."""
        data = await self._stream.read()
        self.copy(data)
        return data

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Source.pump`."""
        last = await self._stream.pump(Copying(self.copy, sink))
        self.copy(last)
        await self._keep()
        return last

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Source.read_all`."""
        answer = await self._stream.read_all(limit)
        self.copy(answer)
        await self._keep()
        return answer

    def copy(self, data: bytes) -> None:
        """Some of it passes."""
        self._size += len(data)
        if self._size <= MAX_ANSWER:
            self._parts.append(data)
        else:
            self._parts.clear()

    async def _keep(self) -> None:
        told = self._stream.summary
        if not 0 < self._size <= MAX_ANSWER or told is None or told.finish_reason not in _GOOD:
            return
        await self._cache.keep(self._lookup, Origin(self.target, 0).line() + b"".join(self._parts))
