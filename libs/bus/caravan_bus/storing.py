"""Answers that are to be kept: copied while they pass, and handed to the work queue before their last bytes leave.

Whoever asks for inference reads a :class:`Taped` as it would read the stream itself. When the worker's end has come,
the job is published, and only then the last bytes are handed on: both go out in this order, so a client that has its
whole answer cannot ask for the stored one before the queue has it. Nobody waits for the queue: its confirmation is the
outbox's affair.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

import orjson
from caravan_contracts import headers as h
from caravan_contracts.completions import Head, encode_job
from caravan_contracts.context import RequestContext
from caravan_contracts.inference import CallSpec, Summary
from caravan_contracts.openai import RequestFacts

from caravan_bus.answer import Answer
from caravan_bus.stream.copying import Copying
from caravan_bus.stream.reader import Sink
from caravan_bus.work.outbox import Outbox
from caravan_bus.work.queue import Job, new_job_id

MAX_TAPED: Final = 64 * 1024 * 1024
"""Bytes of answers under way that are being copied in this process; beyond them an answer is not kept, and counted."""


class Storing:
    """One per process that asks for inference and has it stored."""

    def __init__(self, outbox: Outbox, max_taped: int = MAX_TAPED) -> None:
        self._outbox = outbox
        self._room = max_taped

    def tape(self, stream: Answer, body: bytes, context: RequestContext, facts: RequestFacts) -> Taped:
        """`stream`, copied for the queue; `body` is the request as the client wrote it."""
        return Taped(self, stream, body, context, facts)

    def take(self, size: int) -> bool:
        """Whether `size` more bytes may be copied."""
        if size > self._room:
            return False
        self._room -= size
        return True

    def give_back(self, size: int) -> None:
        """A copy ended."""
        self._room += size

    def keep(self, job: Job) -> None:
        """Hand it over."""
        self._outbox.put(job)

    def lose(self, job: str, why: str) -> None:
        """Count an answer that is not kept."""
        self._outbox.lose(job, why)


class Taped:
    """The answer to a request, read like :class:`Answer`. Nothing is kept of one that does not end well."""

    def __init__(
        self, storing: Storing, stream: Answer, body: bytes, context: RequestContext, facts: RequestFacts
    ) -> None:
        self._storing = storing
        self._stream = stream
        self._body = body
        self._context = context
        self._facts = facts
        self._parts: list[bytes] = []
        self._size = 0
        self._over = False
        self._id = new_job_id()

    @property
    def summary(self) -> Summary | None:
        """See :attr:`Answer.summary`."""
        return self._stream.summary

    @property
    def worker(self) -> str:
        """See :attr:`Answer.worker`."""
        return self._stream.worker

    @property
    def spec(self) -> CallSpec:
        """See :attr:`Answer.spec`."""
        return self._stream.spec

    @property
    def target(self) -> str:
        """See :attr:`Answer.target`."""
        return self._stream.target

    @property
    def attempts(self) -> int:
        """See :attr:`Answer.attempts`."""
        return self._stream.attempts

    async def read(self) -> bytes:
        """See :meth:`Answer.read`."""
        data = await self._stream.read()
        self.copy(data)
        if self._stream.summary is not None:
            await self._ended_well()
        return data

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Answer.pump`."""
        last = await self._stream.pump(Copying(self.copy, sink))
        self.copy(last)
        await self._ended_well()
        return last

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Answer.read_all`."""
        answer = await self._stream.read_all(limit)
        await self._keep(answer)
        return answer

    def cancel(self) -> None:
        """Give it up; harmless at any time."""
        self._stream.cancel()
        self._end()

    def copy(self, data: bytes) -> None:
        """Some of the answer passes."""
        if self._over or not data:
            return
        if not self._storing.take(len(data)):
            self._storing.lose(self._id, "too much is being copied at once")
            self._end()
            return
        self._size += len(data)
        self._parts.append(data)

    async def _ended_well(self) -> None:
        if not self._over:
            await self._keep(b"".join(self._parts))

    async def _keep(self, answer: bytes) -> None:
        self._end()
        facts, context, summary = self._facts, self._context, self._stream.summary
        told = summary.usage if summary is not None and facts.stream else None
        usage = (
            (told.prompt_tokens, told.completion_tokens, told.cached_tokens, told.reasoning_tokens) if told else None
        )
        head = Head(time.time(), facts.stream, facts.model, usage)
        headers = {h.REQUEST_ID: context.request_id, h.PRINCIPAL: context.principal.encode()}
        if context.traceparent:
            headers[h.TRACEPARENT] = context.traceparent
        self._storing.keep(Job(self._id, encode_job(head, self._body, answer), headers))
        await asyncio.sleep(0)  # the line to NATS is written in the next turn of the loop: the client's after that

    def _end(self) -> None:
        self._over = True
        self._storing.give_back(self._size)
        self._size = 0
        self._parts = []


def for_provider(body: bytes) -> bytes:
    """`body` without what is ours to do: a provider would store a copy of its own, or refuse the fields."""
    data = orjson.loads(body)
    data.pop("store", None)
    data.pop("metadata", None)
    return orjson.dumps(data)
