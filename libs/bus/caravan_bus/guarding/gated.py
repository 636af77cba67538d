"""An answer that waits for the verdict on its question: no longer than that takes, and not at all when it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from caravan_contracts.inference import Summary

from caravan_bus import metrics
from caravan_bus.answer import Answer, Around
from caravan_bus.guarding.ruling import Blocked
from caravan_bus.stream.reader import Sink

T = TypeVar("T")
_LEAVE_SECONDS = 5.0


class Verdict:
    """On the question of one request, while its model is asked already."""

    __slots__ = ("_task",)

    def __init__(self, judge: Callable[[], Awaitable[Blocked | None]]) -> None:
        self._task = asyncio.ensure_future(judge())

    async def until(self, wait: Callable[[], Awaitable[T]], give_up: Callable[[], None]) -> T:
        """The result of `wait`, which may come before the verdict. Raises as :meth:`gate` does."""
        return await self._race(wait, give_up, held=False)

    async def gate(self, wait: Callable[[], Awaitable[T]], give_up: Callable[[], None]) -> T:
        """The result of `wait`, once the verdict allows it. Raises what `wait` raises, and ContentFiltered as soon as
        there is a block: then it is cancelled, and `give_up` called."""
        if self._task.done():
            self._check(give_up)
            return await wait()
        return await self._race(wait, give_up, held=True)

    async def _race(self, wait: Callable[[], Awaitable[T]], give_up: Callable[[], None], held: bool) -> T:
        self._check(give_up)
        waiting = asyncio.ensure_future(wait())
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
            if held and waiting.done() and waiting.exception() is None and not self._task.done():
                began = asyncio.get_running_loop().time()
                await asyncio.wait({self._task})
                metrics.GUARDRAIL_HELD.labels("input").observe(asyncio.get_running_loop().time() - began)
            self._check(give_up)
            return await waiting
        finally:
            if not waiting.done():
                waiting.cancel()
                await asyncio.wait({waiting}, timeout=_LEAVE_SECONDS)
            if waiting.done() and not waiting.cancelled():
                waiting.exception()  # it may be of no interest any more

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._task.cancel()

    def _check(self, give_up: Callable[[], None]) -> None:
        blocked = self._task.result() if self._task.done() else None
        if blocked is not None:
            give_up()
            raise blocked.error()


class Gated(Around):
    """An answer whose first bytes wait for a :class:`Verdict`."""

    def __init__(self, inner: Answer, verdict: Verdict) -> None:
        super().__init__(inner)
        self._verdict = verdict
        self._passed = False
        self._first: Summary | None = None
        self._more = False

    @property
    def summary(self) -> Summary | None:
        """See :attr:`Answer.summary`. While an answer waits its end may come: it has not passed with the first bytes
        then."""
        return self._inner.summary if self._more else self._first

    async def read(self) -> bytes:
        """See :meth:`Answer.read`. Raises ContentFiltered."""
        if self._passed:
            data = await self._inner.read()
            self._more = True
            return data
        data, self._first = await self._verdict.gate(self._read_first, self._inner.cancel)
        self._passed = True
        return data

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Answer.pump`."""
        last = await self._inner.pump(sink)
        self._more = True
        return last

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Answer.read_all`. Raises ContentFiltered."""
        answer = await self._verdict.gate(lambda: self._inner.read_all(limit), self._inner.cancel)
        self._more = True
        return answer

    def cancel(self) -> None:
        """See :meth:`Answer.cancel`."""
        self._verdict.cancel()
        self._inner.cancel()

    async def _read_first(self) -> tuple[bytes, Summary | None]:
        data = await self._inner.read()
        return data, self._inner.summary
