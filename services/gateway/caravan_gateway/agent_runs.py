"""Agents workers, as the routes of responses ask them: over frames, so that an answer may have any size."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

import orjson
from caravan_bus.claims import INLINE_LIMIT, Claims, give_up
from caravan_bus.router import Outbound, RoutedStream, Router
from caravan_bus.stream.reader import Sink
from caravan_contracts import headers as h
from caravan_contracts.channels import AGENTS
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import RequestTooLarge
from caravan_contracts.inference import CallSpec, Summary
from caravan_contracts.responses import RECALLS, RUNS, Recall, ResponseVerb

from caravan_gateway.source import MAX_ANSWER

_NUMBER: Final = re.compile(rb'"sequence_number":\s*(\d+)')


class AgentStream:
    """An answer on its way; see :class:`caravan_gateway.source.Source`."""

    def __init__(self, stream: RoutedStream, spec: CallSpec) -> None:
        self._stream = stream
        self.spec = spec
        self._last = b""

    @property
    def target(self) -> str:
        """See :attr:`Source.target`: known at the end alone."""
        return ""

    @property
    def attempts(self) -> int:
        """See :attr:`Source.attempts`."""
        return self._stream.attempts

    @property
    def summary(self) -> Summary | None:
        """What the worker told at the end."""
        return self._stream.summary

    @property
    def sequence(self) -> int:
        """The number behind that of the last event that passed."""
        found = _NUMBER.findall(self._last)
        return int(found[-1]) + 1 if found else 0

    async def read(self) -> bytes:
        """See :meth:`Source.read`."""
        data = await self._stream.read()
        self._last = data
        return data

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`Source.pump`."""
        if self._stream.summary is not None:
            return b""
        return await self._stream.pump(_Seen(self, sink))

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`Source.read_all`."""
        return await self._stream.read_all(limit)

    def cancel(self) -> None:
        """Give it up; harmless at any time."""
        self._stream.cancel()


class _Seen:
    """Remembers what passes to `sink`, in case it is the last."""

    __slots__ = ("_sink", "_stream", "room")

    def __init__(self, stream: AgentStream, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self.room = sink.room

    def take(self, data: bytes) -> bool:
        """See :class:`Sink`."""
        self._stream._last = data
        return self._sink.take(data)


@dataclass(slots=True)
class AgentRun:
    """A request under way."""

    stream: AgentStream
    claims: Claims | None = None
    claim: str = ""

    @property
    def spec(self) -> CallSpec:
        """What the worker was told."""
        return self.stream.spec

    async def finish(self) -> None:
        """Give up what is left of it."""
        self.stream.cancel()
        if self.claims is not None and self.claim:
            claim, self.claim = self.claim, ""
            await give_up(self.claims, claim)


@dataclass(slots=True)
class AgentRuns:
    """One per process."""

    router: Router
    claims: Claims | None = None
    _recalled: CallSpec = field(default_factory=lambda: CallSpec(RECALLS, "", ""))

    async def respond(
        self, body: bytes, stream: bool, context: RequestContext, provider_data: dict[str, str] | None
    ) -> AgentRun:
        """Have a response made; returns once a worker accepted. Raises what :meth:`Router.send` raises."""
        spec = CallSpec(RUNS, "", "", stream)
        extra: dict[str, str] = {}
        if provider_data:
            extra[h.PROVIDER_DATA] = orjson.dumps(provider_data).decode()
        claim = ""
        if len(body) > INLINE_LIMIT:
            if self.claims is None:
                raise RequestTooLarge(f"without Redis a body may have at most {INLINE_LIMIT} bytes")
            extra[h.CLAIM] = claim = await self.claims.check_in(body)
        size = len(body)
        outbound = Outbound(AGENTS, ResponseVerb.RESPOND.value, spec, b"" if claim else body, context, b"", extra, size)
        try:
            return AgentRun(AgentStream(await self.router.send(outbound), spec), self.claims, claim)
        except BaseException:  # a client that went away, too
            if self.claims is not None and claim:
                await give_up(self.claims, claim)
            raise

    async def recall(self, asked: Recall, context: RequestContext) -> bytes:
        """Ask about stored responses: JSON. Raises the worker's error, and those of :meth:`Router.send`."""
        body = asked.model_dump_json().encode()
        outbound = Outbound(AGENTS, ResponseVerb.RECALL.value, self._recalled, body, context, size=len(body))
        stream = await self.router.send(outbound)
        try:
            return await stream.read_all(MAX_ANSWER)
        finally:
            stream.cancel()
