"""The answer to a request, whichever of its targets gives it.

Before the first byte a failure is never seen: the request goes to the same target again or to the next one
(:mod:`retry`). After it the stream goes on elsewhere (:mod:`continuing`); where nobody can go on it ends with the error
it broke with.
"""

from __future__ import annotations

import asyncio

from caravan_contracts.errors import CaravanError
from caravan_contracts.inference import CallSpec, Summary, Verb

from caravan_bus.routing.attempts import Attempts, too_late
from caravan_bus.routing.continuing import Continuing, stalled
from caravan_bus.routing.keeping import Keeping, Kept, Splicing, Watchdog, ends
from caravan_bus.routing.splice import Splice
from caravan_bus.stream.reader import Sink


class Failover:
    """Read it to its end, or cancel it; it has the surface of :class:`RoutedStream`."""

    __slots__ = ("_attempts", "_begun", "_kept", "_over", "_rest", "_summary")

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        keeps = bool(attempts.name) and attempts.call.request.facts.stream
        self._kept = Kept() if keeps else None
        if self._kept is not None and attempts.call.request.verb is Verb.MESSAGES:
            self._kept.drop()  # nobody goes on with a message: its thoughts are signed by whoever began it
        self._rest = Continuing(attempts, self._kept) if self._kept is not None else None
        self._begun = False
        self._over = False
        self._summary: Summary | None = None

    @property
    def summary(self) -> Summary | None:
        """What the END frame of the last target told; None before the end."""
        if self._summary is None:
            rest, told = self._rest, self._attempts.told
            if rest is not None and rest.finished is not None:
                told = rest.finished
            elif told is not None and rest is not None and rest.splice is not None:
                told = rest.splice.summary(told)
            self._summary = told
        return self._summary

    @property
    def worker(self) -> str:
        """Who serves it."""
        return self._attempts.worker

    @property
    def spec(self) -> CallSpec:
        """What that worker was told."""
        return self._attempts.spec

    @property
    def target(self) -> str:
        """The model that answers: ``<provider>/<model>``."""
        return self._attempts.candidate.id

    @property
    def attempts(self) -> int:
        """How often a target was asked."""
        return self._attempts.count

    async def open(self) -> None:
        """Find a target, and a worker that accepts. Raises what the last of them failed with."""
        await self._attempts.begin()

    async def read(self) -> bytes:
        """What is ready, at least one byte; b"" after a good end."""
        if not self._begun:
            data = await self._read_first()
            self._begun = True
            return self._pass(data)
        if self._over:
            return b""
        kept, rest = self._kept, self._rest
        if kept is None or rest is None:
            return self._pass(await self._read_plain())
        while True:
            try:
                data = await self._read_more(kept, rest.splice)
            except CaravanError as error:
                data = await rest.after(error)
            if data or self.summary is not None:
                return self._pass(data)

    async def pump(self, sink: Sink) -> bytes:
        """After a first :meth:`read`: give `sink` what comes, as it comes; returns the last of it after a good end.
        Raises what the stream broke with when it cannot be finished."""
        if self._over:
            return b""
        kept, rest = self._kept, self._rest
        if kept is None or rest is None:
            try:
                return self._pass(await self._attempts.stream.pump(sink))
            except CaravanError as error:
                self._attempts.failed(error)
                raise
        keeping = Keeping(kept, sink)
        while True:
            try:
                return self._pass(await self._pump_one(kept, keeping))
            except CaravanError as error:
                piece = await rest.after(error)
            if self.summary is not None:
                return self._pass(piece)
            if piece and not keeping.take(piece):
                await keeping.room()

    async def read_all(self, limit: int) -> bytes:
        """The whole answer, at most `limit` bytes. Nothing reached the caller before, so whatever fails is tried again
        elsewhere."""
        attempts = self._attempts
        while True:
            try:
                answer = await attempts.within(attempts.patience(), lambda: attempts.stream.read_all(limit), too_late)
            except CaravanError as error:
                await attempts.again(error)
                continue
            return self._pass(answer)

    def cancel(self) -> None:
        """Give it up; harmless at any time."""
        if not self._over:
            self._attempts.cancel()

    async def _read_first(self) -> bytes:
        attempts = self._attempts
        while True:
            try:
                data = await attempts.within(attempts.patience(), attempts.stream.read, too_late)
            except CaravanError as error:
                await attempts.again(error)
                continue
            attempts.alive()
            return data

    async def _read_plain(self) -> bytes:
        """More of an answer that nobody can go on with."""
        try:
            return await self._attempts.stream.read()
        except CaravanError as error:
            self._attempts.failed(error)
            raise

    async def _read_more(self, kept: Kept, splice: Splice | None) -> bytes:
        attempts = self._attempts
        now = asyncio.get_running_loop().time()
        end = ends(attempts.route.timeouts, kept, attempts.began, now)
        seconds = max(0.0, end - now) if end is not None else None
        data = await attempts.within(seconds, attempts.stream.read, stalled)
        return splice.feed(data) if data and splice is not None else data

    async def _pump_one(self, kept: Kept, keeping: Keeping) -> bytes:
        """The rest of the current target's stream; raises what it broke with."""
        attempts = self._attempts
        splice = self._rest.splice if self._rest is not None else None
        sink: Sink = keeping if splice is None else Splicing(splice, keeping)
        try:
            async with asyncio.timeout(None) as limit:
                watchdog = Watchdog(limit, kept, attempts.route.timeouts, attempts.began)
                try:
                    last = await attempts.stream.pump(sink)
                finally:
                    watchdog.stop()
        except TimeoutError as error:
            if not limit.expired():
                raise
            attempts.cancel()
            raise stalled(attempts.candidate.id) from error
        return splice.feed(last) if splice is not None and last else last

    def _pass(self, data: bytes) -> bytes:
        """`data` is what the caller gets next."""
        if self.summary is not None:
            self._over = True
            self._attempts.ended()
            if self._kept is not None:
                self._kept.drop()
        elif self._kept is not None and data:
            self._kept.add(data)
        return data
