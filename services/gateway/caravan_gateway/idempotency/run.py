"""A run of this gateway. It belongs to nobody's connection: whoever asked for it follows it, and it goes on for as
long as anybody does, here or elsewhere.

Its end is written to Redis before the last bytes are handed on, so that a client that has its whole answer finds it
again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from caravan_bus.tasks import cancel_and_wait
from caravan_contracts.errors import CaravanError, ClientGone, Overloaded
from caravan_contracts.inference import Summary

from caravan_gateway.idempotency.claim import Claim, RunLost, Scope
from caravan_gateway.idempotency.store import RunStore
from caravan_gateway.idempotency.writing import Writing
from caravan_gateway.kept import Origin
from caravan_gateway.source import MAX_ANSWER, Source

log = logging.getLogger(__name__)


class Stream(Source, Protocol):
    """An answer that tells in the end how it went."""

    @property
    def summary(self) -> Summary | None:
        """None before the end."""
        ...


class Begun(Protocol):
    """A request that some worker has accepted."""

    @property
    def stream(self) -> Stream:
        """Its answer."""
        ...

    @property
    def streams(self) -> bool:
        """Whether that is a stream of events."""
        ...


Ask = Callable[[], Awaitable[Begun]]
Finish = Callable[[Begun], Awaitable[None]]

KEEP_PATIENCE: Final = 1.0
"""How long the end of an answer waits until it is kept."""
_CLOSE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.1
"""Between two looks whether anybody wants a run from elsewhere; twice no is no."""


class Budget:
    """Bytes of answers under way in this process."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.used = 0

    @property
    def full(self) -> bool:
        """Whether no further run should begin."""
        return self.used >= self._limit

    @property
    def exceeded(self) -> bool:
        """Whether those that have begun are far over it."""
        return self.used > 2 * self._limit


class Run:
    """Made with a claim that is ours."""

    def __init__(self, store: RunStore, scope: Scope, claim: Claim, ask: Ask, finish: Finish, budget: Budget) -> None:
        """`ask` begins; `finish` is called when it is over, if it began."""
        self.claim = claim
        self.origin = Origin()
        self.parts: list[bytes] = []
        """The line of its origin, then the answer as far as it is there."""
        self.over = False
        self.error: CaravanError | None = None
        self.open = True
        """Whether more may follow it."""
        self.keeping: asyncio.Task[None] | None = None
        """The end of its answer on its way to Redis."""
        self._ask = ask
        self._finish = finish
        self._budget = budget
        self._asked: Begun | None = None
        self._size = 0
        self._changed = asyncio.Event()
        self._followers = 0
        self._leaving: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._why: CaravanError = RunLost("the server is shutting down; send it again", retry_after=1)
        """What whoever follows is told when the run is given up."""
        self._writing = Writing(store, scope, claim, self.parts)
        self._writer = asyncio.create_task(self._writing.run(self._lost), name="idempotent-write")
        self.task = asyncio.create_task(self._run(), name="idempotent-run")

    def followed(self) -> None:
        """One more wants the answer."""
        self._followers += 1

    def left(self) -> None:
        """One less. When it was the last one here, the run goes on only while it is wanted elsewhere."""
        self._followers -= 1
        if not self._followers and not self.over and self._leaving is None:
            self._leaving = asyncio.create_task(self._look_for_others(), name="idempotent-leaving")

    async def changed(self) -> None:
        """Wait until something more is there."""
        await self._changed.wait()

    async def close(self) -> None:
        """The gateway leaves."""
        self._give_up(self._why)
        await asyncio.wait({self.task}, timeout=_CLOSE_SECONDS)

    def take(self, data: bytes) -> bool:
        """See :meth:`caravan_bus.stream.reader.Sink.take`."""
        self._count(data)
        self._check()
        self.parts.append(data)
        self._tell()
        self._writing.more.set()
        return True

    async def room(self) -> None:
        """See :meth:`caravan_bus.stream.reader.Sink.room`."""

    def _count(self, data: bytes) -> None:
        self._size += len(data)
        self._budget.used += len(data)

    def _check(self) -> None:
        # not raised: to who reads the stream it would be a failure of its target
        if self._size > MAX_ANSWER:
            self._give_up(CaravanError(f"the answer is larger than {MAX_ANSWER} bytes", code="response_too_large"))
        elif self._budget.exceeded:
            self._give_up(Overloaded("the answers of requests with an Idempotency-Key are too large", retry_after=5))

    def _give_up(self, why: CaravanError) -> None:
        self.open = False
        if self._ending is None:
            self._why = why
            self.task.cancel()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def _run(self) -> None:
        error: CaravanError | None = None
        last = b""
        try:
            last = await self._read()
        except CaravanError as failed:
            error = failed
        except asyncio.CancelledError:
            error = self._why
        except Exception as failed:
            log.exception("a run failed")
            error = CaravanError(f"the gateway failed: {type(failed).__name__}")
        # in a task that nobody cancels: a run that is given up frees its upstream and says so, whatever else happens
        self._ending = asyncio.create_task(self._end(error, last), name="idempotent-end")
        await asyncio.wait({self._ending})
        self._ending.result()

    async def _read(self) -> bytes:
        """The last of the answer, which nobody has yet."""
        self._asked = asked = await self._ask()
        stream = asked.stream
        first = await stream.read() if asked.streams else await stream.read_all(MAX_ANSWER)
        self.origin = Origin(stream.target, stream.attempts)
        self.parts.append(self.origin.line())
        if not asked.streams or stream.summary is not None:
            self._count(first)
            return first
        self.take(first)
        return await stream.pump(self)

    async def _end(self, error: CaravanError | None, last: bytes) -> None:
        self.open = False
        if self._asked is not None:
            try:
                await self._finish(self._asked)
            except Exception:
                log.exception("a run ended, and what it used may not be free")
        await cancel_and_wait(self._writer)
        self.keeping = asyncio.create_task(self._writing.end(error, last), name="idempotent-keep")
        await asyncio.wait({self.keeping}, timeout=KEEP_PATIENCE)
        if error is None and last:
            self.parts.append(last)
        self.over, self.error = True, error
        self._budget.used -= self._size
        self._tell()

    def _lost(self) -> None:
        """Another gateway has the claim (this one was silent for too long): it goes on for those who follow it here."""
        log.warning("a run with an Idempotency-Key was taken for lost; it runs twice now")
        self.open = False

    async def _look_for_others(self) -> None:
        missed = 0
        while self._ending is None and not self._followers and missed < 2:
            if missed:
                await asyncio.sleep(LOOK_SECONDS)
            wanted = self.open and await self._writing.wanted()
            missed = 0 if wanted else missed + 1
            if wanted:
                await asyncio.sleep(LOOK_SECONDS)
        self._leaving = None
        if missed == 2 and not self._followers:
            self._give_up(ClientGone("everybody who wanted the answer went away"))
