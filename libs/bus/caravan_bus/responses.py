"""Asking agents workers for responses: over frames, so that an answer may have any size. The gateway and the entry for
foreign users ask through this one class.

A response that is under way outlives its worker: another is asked for the response of the same name, and goes on behind
the last event that arrived here.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
from caravan_contracts import headers as h
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, InvalidJSON, RequestTooLarge, StreamInterrupted, WorkerLost
from caravan_contracts.inference import CallSpec, Summary
from caravan_contracts.responses import FOLLOWS, RECALLS, RUNS, Follow, Recall, ResponseVerb
from caravan_contracts.users import AGENTS

from caravan_bus.claims import INLINE_LIMIT, Claims, give_up
from caravan_bus.event_place import EventPlace
from caravan_bus.router import Outbound, RoutedStream, Router
from caravan_bus.stream.reader import Sink

log = logging.getLogger(__name__)

MAX_ANSWER: Final = 64 * 1024 * 1024
MAX_WORKERS: Final = 8
"""That are asked, one after the other, to go on with a stream, until something comes."""
_LOST: Final = (StreamInterrupted, WorkerLost)

Ask = Callable[[int], Awaitable[RoutedStream]]
"""Has a stream begun behind so many events."""


def wants_events(body: bytes) -> bool:
    """Whether events are asked for; everything else in it is the worker's business. Raises InvalidJSON."""
    try:
        data = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJSON(f"the body is no JSON that can be read: {error}") from error
    return isinstance(data, dict) and data.get("stream") is True


class AgentStream:
    """An answer on its way."""

    def __init__(self, stream: RoutedStream, spec: CallSpec, ask: Ask, first: int = 0) -> None:
        """`ask` another worker when this one is lost. `first` is the number of the first event that was asked for."""
        self._stream = stream
        self._ask = ask
        self._place = EventPlace(first)
        self._skip = 0
        """Bytes that came already, of an event that was cut."""
        self._workers = 1
        self.spec = spec

    @property
    def target(self) -> str:
        """Which model answers: known at the end alone."""
        return ""

    @property
    def attempts(self) -> int:
        """How many workers were asked."""
        return self._stream.attempts

    @property
    def summary(self) -> Summary | None:
        """What the worker told at the end."""
        return self._stream.summary

    @property
    def sequence(self) -> int:
        """The number behind that of the last event that passed."""
        return self._place.sequence

    async def read(self) -> bytes:
        """What is ready, at least one byte; b"" after a good end. Raises what the last worker said."""
        while True:
            try:
                data = await self._stream.read()
            except _LOST as error:
                data = await self._go_on(error)
            data = self._new(data)
            if data or self._stream.summary is not None:
                return data

    async def pump(self, sink: Sink) -> bytes:
        """See :meth:`RoutedStream.pump`."""
        seen = _Seen(self, sink)
        while self._stream.summary is None:
            try:
                return self._new(await self._stream.pump(seen))
            except _LOST as error:
                data = await self._go_on(error)
            if data and not seen.take(data):
                await seen.room()
        return b""

    def _new(self, data: bytes) -> bytes:
        """What of `data` did not come before."""
        if self._skip:
            skip = min(self._skip, len(data))
            self._skip -= skip
            data = data[skip:]
        if data:
            self._place.passed(data)
            self._workers = 1
        return data

    async def read_all(self, limit: int) -> bytes:
        """See :meth:`RoutedStream.read_all`."""
        return await self._stream.read_all(limit)

    def cancel(self) -> None:
        """Give it up; harmless at any time."""
        self._stream.cancel()

    def leave(self) -> None:
        """See :meth:`RoutedStream.leave`."""
        self._stream.leave()

    async def _go_on(self, error: CaravanError) -> bytes:
        """The next bytes, from another worker. Raises `error` when there have been enough of them, and what the next
        one says."""
        while self._workers < MAX_WORKERS and self.spec.stream:
            self._workers += 1
            log.info("another worker is asked to go on with a response: %s", error.message)
            try:
                self._stream = await self._ask(self._place.sequence)
                self._skip = self._place.rest
                return await self._stream.read()
            except _LOST as again:
                error = again
        raise error


class _Seen:
    """Remembers what passes to `sink`, in case it is the last."""

    __slots__ = ("_sink", "_stream", "room")

    def __init__(self, stream: AgentStream, sink: Sink) -> None:
        self._stream = stream
        self._sink = sink
        self.room = sink.room

    def take(self, data: bytes) -> bool:
        """See :class:`Sink`."""
        data = self._stream._new(data)
        return self._sink.take(data) if data else True


@dataclass(frozen=True, slots=True)
class Named:
    """A response by the name that its caller gave it."""

    id: str
    after: int | None = None
    """How many of its events have arrived; None when it is asked for the first time."""

    @classmethod
    def anew(cls) -> Named:
        """One that nobody has asked for."""
        return cls("resp_" + secrets.token_hex(24))

    @classmethod
    def of_key(cls, key: str) -> Named:
        """The one that was made, or begun, for `key` before, if there is one."""
        return cls("resp_" + hashlib.sha256(key.encode()).hexdigest()[:48], 0)


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

    @property
    def streams(self) -> bool:
        """Whether its answer is a stream of events."""
        return self.spec.stream

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
    _followed: CallSpec = field(default_factory=lambda: CallSpec(FOLLOWS, "", "", True))

    async def respond(
        self,
        body: bytes,
        stream: bool,
        context: RequestContext,
        provider_data: dict[str, str] | None,
        named: Named | None = None,
    ) -> AgentRun:
        """Have a response made; returns once a worker accepted. Raises RequestTooLarge, and what :meth:`Router.send`
        raises."""
        spec = CallSpec(RUNS, "", "", stream)
        named = named or Named.anew()
        extra = {h.RESPONSE: named.id}
        if named.after is not None:
            extra[h.AFTER] = str(named.after)
        if provider_data:
            extra[h.PROVIDER_DATA] = orjson.dumps(provider_data).decode()
        claim, size = "", len(body)
        if size > INLINE_LIMIT:
            if self.claims is None:
                raise RequestTooLarge(f"without Redis a body may have at most {INLINE_LIMIT} bytes")
            extra[h.CLAIM] = claim = await self.claims.check_in(body)
            body = b""
        respond = ResponseVerb.RESPOND.value

        async def again(after: int) -> RoutedStream:
            told = {**extra, h.AFTER: str(after)}
            return await self.router.send(Outbound(AGENTS, respond, spec, body, context, b"", told, size))

        try:
            stream_ = await self.router.send(Outbound(AGENTS, respond, spec, body, context, b"", extra, size))
        except BaseException:  # a client that went away, too
            if self.claims is not None and claim:
                await give_up(self.claims, claim)
            raise
        return AgentRun(AgentStream(stream_, spec, again, named.after or 0), self.claims, claim)

    async def follow(self, id: str, first: int, context: RequestContext, include: Sequence[str] = ()) -> AgentStream:
        """The events of a response from the number `first` on. Raises what :meth:`Router.send` raises,
        and InvalidRequest for an `include` that there is not."""

        async def ask(after: int) -> RoutedStream:
            body = Follow(id=id, first=after, include=list(include)).model_dump_json().encode()
            verb = ResponseVerb.FOLLOW.value
            return await self.router.send(Outbound(AGENTS, verb, self._followed, body, context, size=len(body)))

        return AgentStream(await ask(first), self._followed, ask, first)

    async def recall(self, asked: Recall, context: RequestContext) -> bytes:
        """Ask about stored responses: JSON. Raises the worker's error, and those of :meth:`Router.send`."""
        body = asked.model_dump_json().encode()
        outbound = Outbound(AGENTS, ResponseVerb.RECALL.value, self._recalled, body, context, size=len(body))
        stream = await self.router.send(outbound)
        try:
            return await stream.read_all(MAX_ANSWER)
        finally:
            stream.cancel()
