"""An answer that says nothing its guardrails have not let pass.

One task reads the model's stream, one asks for verdicts: what comes while a verdict is awaited goes with the next
question. What is held back and what nobody has taken yet are bounded; when they are full the stream is not read, and
its credit runs out at the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Final

from caravan_contracts.errors import DeadlineExceeded
from caravan_contracts.inference import DONE_EVENT, Summary, Usage, Verb
from caravan_contracts.openai import RequestFacts
from caravan_contracts.safety import Said, Stage

from caravan_bus import metrics
from caravan_bus.answer import Answer, Around
from caravan_bus.guarding import filtered
from caravan_bus.guarding.channel import Ask
from caravan_bus.guarding.judging import Judge, Passage
from caravan_bus.guarding.output import Output
from caravan_bus.guarding.policy import Policy
from caravan_bus.guarding.ruling import Blocked
from caravan_bus.guarding.whole import Whole
from caravan_bus.stream.reader import Sink

_MOST_READY: Final = 256 * 1024
"""Bytes that may leave and are not taken."""
_MOST_ANSWER: Final = 64 * 1024 * 1024

Overhear = Callable[[Sequence[tuple[Stage, str]]], None]
"""Takes passages that are judged for the audit alone."""


class Guarded(Around):
    """Read it as the answer it stands around."""

    def __init__(
        self,
        inner: Answer,
        policy: Policy,
        judge: Judge,
        verb: Verb,
        facts: RequestFacts,
        before: Sequence[Said],
        overhear: Overhear,
    ) -> None:
        """`before` is the end of the conversation."""
        super().__init__(inner)
        self._policy, self._judge, self._before = policy, judge, before
        self._verb, self._facts = verb, facts
        self._overhear = overhear
        self._output = Output(policy)
        self._ready: list[bytes] = []
        self._size = 0
        self._reading: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        """Something came, or ended."""
        self._room = asyncio.Event()
        """There may be room again."""
        self._changed = asyncio.Event()
        """Something may leave, or it is over."""
        self._ended = False
        """Whether all of the stream was read."""
        self._over = False
        self._error: Exception | None = None
        self._blocked: Blocked | None = None
        self._summary: Summary | None = None

    @property
    def summary(self) -> Summary | None:
        """See :attr:`Answer.summary`."""
        return self._summary

    async def read(self) -> bytes:
        """See :meth:`Answer.read`."""
        if not self._facts.stream:
            return b"" if self._summary is not None else await self.read_all(_MOST_ANSWER)
        if self._judging is None:
            self._feed(await self._inner.read())  # what is wrong from the beginning keeps its own status
            self._judging = asyncio.create_task(self._safely(self._judge_on), name="guarded-judge")
            self._reading = asyncio.create_task(self._safely(self._read_on), name="guarded-read")
        while not self._has_news():
            self._changed.clear()
            await self._changed.wait()
        if not self._ready and self._error is not None:
            raise self._error
        data, self._ready, self._size = b"".join(self._ready), [], 0
        self._room.set()
        if self._over and self._error is None:
            self._summary = self._told()
        return data

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Answer.pump`."""
        while True:
            data = await self.read()
            if self._over and self._error is None and not self._ready:
                return data
            if not sink.take(data):
                await self._until_taken(sink)

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Answer.read_all`."""
        answer = await self._inner.read_all(limit)
        whole = Whole(self._policy, self._judge, self._before, answer)
        self._overhear(whole.heard())
        began = asyncio.get_running_loop().time()
        judged = await whole.judged()
        metrics.GUARDRAIL_HELD.labels("answer").observe(asyncio.get_running_loop().time() - began)
        told = self._inner.summary
        if told is not None and whole.blocked is not None:
            told = replace(told, finish_reason=filtered.REASON)
        self._summary = told
        return judged

    def cancel(self) -> None:
        """See :meth:`Answer.cancel`."""
        for task in (self._reading, self._judging):
            if task is not None:
                task.cancel()
        self._overhear(self._output.listening.take(rest=True))
        self._inner.cancel()

    async def _safely(self, work: Callable[[], Awaitable[None]]) -> None:
        """One of the two tasks: what it fails with is what the reader gets, behind all that has passed."""
        try:
            await work()
        except Exception as error:  # noqa: BLE001  # read() raises it
            if self._over:  # what was given up may say so
                return
            self._error = error
            self._over = True
            self._changed.set()
            for task in (self._reading, self._judging):
                if task is not None and task is not asyncio.current_task():
                    task.cancel()

    def _has_news(self) -> bool:
        return bool(self._ready) or self._over

    async def _read_on(self) -> None:
        while not self._ended:
            while self._output.full or self._size > _MOST_READY:
                self._room.clear()
                await self._room.wait()
            self._feed(await self._inner.read())

    def _feed(self, data: bytes) -> None:
        if data:
            self._output.feed(data)
            if heard := self._output.listening.take():
                self._overhear(heard)
        else:
            self._output.end()
            self._ended = True
        self._pass(self._output.release())
        self._news.set()

    async def _judge_on(self) -> None:
        output = self._output
        while True:
            asks = output.asks() or (output.asks(forced=True) if output.full else [])
            if asks:
                blocked = await self._settle(asks)
                if blocked is not None:
                    self._block(blocked)
                    return
            elif self._ended:
                self._end(DONE_EVENT)
                return
            else:
                self._news.clear()
                await self._news.wait()

    async def _settle(self, asks: Sequence[Ask]) -> Blocked | None:
        began = asyncio.get_running_loop().time()
        rulings = await self._judge.each(
            (ask.channel.rules, Passage(ask.channel.stage, [ask.text], self._before, ask.final, ask.known))
            for ask in asks
        )
        metrics.GUARDRAIL_HELD.labels("stream").observe(asyncio.get_running_loop().time() - began)
        for ruling in rulings:
            if ruling.blocked is not None:
                return ruling.blocked
        for ask, ruling in zip(asks, rulings, strict=True):
            ask.channel.settle(ask, ruling)
        self._pass(self._output.release())
        self._room.set()
        return None

    def _block(self, blocked: Blocked) -> None:
        """Drop what is held back, and all that the model still says."""
        self._blocked = blocked
        if self._reading is not None:
            self._reading.cancel()
        self._inner.cancel()
        usage = self._usage() if self._facts.include_usage else None
        output = self._output
        self._end(filtered.last_events(self._verb, output.head, output.choices, blocked.told(), usage))

    def _end(self, last: bytes) -> None:
        self._over = True
        self._pass(last)

    def _pass(self, data: bytes) -> None:
        if data:
            self._ready.append(data)
            self._size += len(data)
            self._changed.set()

    def _told(self) -> Summary:
        told = self._inner.summary
        if self._blocked is None and told is not None:
            return told
        head = self._output.head
        return Summary(str(head.get("id") or ""), str(head.get("model") or ""), filtered.REASON, self._usage())

    def _usage(self) -> Usage:
        """Of a stream that was cut off: as far as it is known."""
        return Usage.from_openai(self._output.usage) or Usage(completion_tokens=self._output.tokens)

    async def _until_taken(self, sink: Sink) -> None:
        """Wait for `sink`, no longer than the request has time: who takes nothing keeps nobody busy."""
        try:
            async with asyncio.timeout(max(0.0, self._judge.context.remaining)) as limit:
                await sink.room()
        except TimeoutError as error:
            if not limit.expired():
                raise
            self.cancel()
            raise DeadlineExceeded("the request's time is over") from error
