"""The door for foreign NATS clients: any language, no header needed.

A request on ``caravan.v1.<service>.<verb>.<tenant>.<user>`` is OpenAI's JSON. The answer comes to its reply inbox, in
one of two ways. Plain: SSE events (or one JSON body) as plain messages, an empty message as the end, an error as one
message with the headers of the NATS service protocol; an event that nobody hears is the end, too. With the header
``Caravan-Window``: frames, as the mesh itself uses them, with credit, resend, heartbeats and cancel
(:mod:`caravan_bus.foreign.streams`).

Who asks is said by the subject: the credentials of the bus user allow no other. The worker that hears the request
forwards it to one with a free slot, itself or another.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections import Counter
from typing import Final

from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import (
    CaravanError,
    ClientGone,
    DeadlineExceeded,
    Overloaded,
    PermissionDenied,
    StreamInterrupted,
    Unavailable,
)
from caravan_contracts.inference import Summary

from caravan_bus.discovery import EndpointStats
from caravan_bus.foreign.answering import Desk, Question
from caravan_bus.foreign.streams import ForeignStream, ForeignStreams
from caravan_bus.stream.sender import StreamSender
from caravan_bus.transport import Message, Subscription, Transport, encode_headers

log = logging.getLogger(__name__)

LIMIT: Final = 2048
"""Foreign requests one worker relays at once; most of them wait in line for a slot."""
USER_LIMIT: Final = 1024
"""Those of one bus user among them: nobody keeps the others out."""
MAX_SECONDS: Final = 3600.0
"""The farthest deadline of a foreign request: it holds a place here until then, whether it is read or not."""
MAX_MESSAGE: Final = 256 * 1024
MAX_ANSWER: Final = 64 * 1024 * 1024
RECONNECT_SECONDS: Final = 10.0
"""How long the last word of an answer is held back while the bus is gone."""
_REPEAT_SECONDS: Final = 0.5
_HOLE: Final = "the bus was gone for a while: parts of the answer are missing; ask again"
_BUSY: Final = f.encode(f.Kind.BUSY, 0)


class ForeignEntry:
    """Relays foreign requests."""

    def __init__(self, transport: Transport, service: str, worker: str, desk: Desk) -> None:
        """`service` is the bus user whose inbox hears that a client of plain mode is gone."""
        self._transport = transport
        self._service = service
        self._desk = desk
        self._streams = ForeignStreams(transport, worker, self._give_up)
        self._tasks: set[asyncio.Task[None]] = set()
        self._asking: Counter[str] = Counter()
        """Requests under way, by bus user."""
        self._by_stream: dict[ForeignStream, asyncio.Task[None]] = {}
        self._plain: dict[str, asyncio.Task[None]] = {}
        """Relays of plain answers, by their number."""
        self._last_words: dict[str, tuple[str, CaravanError]] = {}
        """Where to say what, of plain answers that broke: said again while nobody hears it."""
        self._repeating: set[str] = set()
        """Those of them that are to be said again: once, however many events reached nobody."""
        self._numbers = itertools.count(1)
        self._unheard = s.inbox_prefix(service, f"{worker}-unheard") + "."
        self._breaks = 0
        """How often the line came back: plain messages have no numbers, so what was lost meanwhile is lost."""
        self._draining = False
        self._subscriptions: list[Subscription] = []
        self.stats = {verb: EndpointStats() for verb in desk.verbs}

    def __len__(self) -> int:
        """Requests under way."""
        return len(self._tasks)

    def subjects(self) -> dict[str, str]:
        """Verb -> where it is asked for."""
        return {verb: s.entry_wildcard(self._service, verb) for verb in self._desk.verbs}

    async def start(self) -> None:
        """Open the door."""
        self._transport.on_reconnect(self._came_back)
        await self._streams.start()
        self._subscriptions.append(await self._transport.subscribe(self._unheard + "*", self._on_unheard))
        for verb in self._desk.verbs:
            self._subscriptions.append(
                await self._transport.subscribe(s.entry_wildcard(self._service, verb), self._on_request, self._service)
            )

    async def drain(self, timeout: float) -> None:
        """Close it, and finish what is under way."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=timeout)
            self._draining = True
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=5.0)
        await self._streams.close()
        self._last_words.clear()

    def _on_request(self, message: Message) -> None:
        tenant, user = s.entry_identity(message.subject)
        owner = s.owner_of(message.reply)
        if owner != user:
            # answering would let one bus user write into the inbox of another
            log.warning("a request of bus user %s named an inbox that is not its own", user)
            return
        framed = h.WINDOW in message.headers
        if len(self._tasks) >= LIMIT or self._asking[user] >= USER_LIMIT:
            if framed:
                self._transport.publish(message.reply, _BUSY)
            else:
                self._refuse(message.reply, Overloaded("too many requests are under way here", retry_after=1))
            return
        stream: ForeignStream | None = None
        if framed:
            try:
                stream = self._streams.open(message)
            except CaravanError as error:
                StreamSender(self._transport, message.reply).fail(error)
                return
        number = str(next(self._numbers))
        task = asyncio.create_task(self._relay(message, Principal(tenant, user, ("user",)), stream, number))
        self._tasks.add(task)
        self._asking[user] += 1
        if stream is not None:
            self._by_stream[stream] = task
        else:
            self._plain[number] = task
        task.add_done_callback(lambda done: self._done(done, user, stream, number))

    def _done(self, task: asyncio.Task[None], user: str, stream: ForeignStream | None, number: str) -> None:
        """Also of a task that was cancelled before its first step, which ran nothing of :meth:`_relay`."""
        self._tasks.discard(task)
        self._plain.pop(number, None)
        if stream is not None:
            self._by_stream.pop(stream, None)
            self._streams.done(stream)
        self._asking[user] -= 1
        if not self._asking[user]:
            del self._asking[user]

    def _give_up(self, stream: ForeignStream) -> None:
        task = self._by_stream.get(stream)
        if task is not None:
            task.cancel()

    def _on_unheard(self, message: Message) -> None:
        """NATS says that an event of a plain answer reached nobody: a client that is back has a hole in its answer, and
        hears so when it is."""
        if not message.no_responders:
            return
        number = message.subject.rpartition(".")[2]
        task = self._plain.get(number)
        if task is not None:
            task.cancel()
        elif number in self._last_words and number not in self._repeating:
            self._repeating.add(number)
            asyncio.get_running_loop().call_later(_REPEAT_SECONDS, self._say_last, number)

    def _say_last(self, number: str) -> None:
        self._repeating.discard(number)
        word = self._last_words.get(number)
        if word is not None:
            self._refuse(*word, self._unheard + number)

    def _keep_saying(self, number: str, reply: str, error: CaravanError) -> None:
        if len(self._last_words) >= LIMIT:
            self._refuse(reply, error)
            return
        self._last_words[number] = reply, error
        asyncio.get_running_loop().call_later(RECONNECT_SECONDS, self._last_words.pop, number, None)
        self._say_last(number)

    async def _relay(self, message: Message, principal: Principal, stream: ForeignStream | None, number: str) -> None:
        verb = message.subject.split(".")[3]
        stats = self.stats[verb]
        stats.requests += 1
        began = time.perf_counter_ns()
        try:
            context = _context(message, principal)
            if stream is None:
                await self._answer(verb, message, context, self._unheard + number)
            else:
                await self._fill(verb, message, context, stream)
        except CaravanError as error:
            self._failed(message, stream, number, stats, error, error.message[:200])
        except asyncio.CancelledError:
            # by the client, the deadline or the shutdown; each leaves a word that says so
            self._failed(message, stream, number, stats, self._why_cancelled(stream), "cancelled")
        except Exception as error:
            log.exception("a foreign request failed")
            told = CaravanError(f"the worker failed: {type(error).__name__}")
            self._failed(message, stream, number, stats, told, type(error).__name__)
        finally:
            stats.processing_ns += time.perf_counter_ns() - began

    async def _fill(self, verb: str, message: Message, context: RequestContext, stream: ForeignStream) -> None:
        """Answer in frames."""
        stream.deadline = context.deadline
        sender = stream.sender
        body = await stream.body.whole() if stream.body is not None else message.data
        answer = await self._desk.ask(Question(verb, body, context, message.headers))
        try:
            if answer.streams:
                data = await answer.read()
                while data and answer.summary is None:
                    if not sender.write(data):
                        await sender.room()
                    data = await answer.read()
            else:
                data = await answer.read_all(MAX_ANSWER)
                while len(data) > f.MAX_DATA:
                    if not sender.write(data[: f.MAX_DATA]):
                        await sender.room()
                    data = data[f.MAX_DATA :]
            sender.end(answer.summary or Summary(), data)
        except asyncio.CancelledError:
            if self._draining:
                answer.leave()
            raise
        finally:
            await answer.finish()

    async def _answer(self, verb: str, message: Message, context: RequestContext, unheard: str) -> None:
        """Answer in plain messages; NATS says at `unheard` when nobody listens to the events of a stream."""
        breaks = self._breaks
        answer = await self._desk.ask(Question(verb, message.data, context, message.headers))
        try:
            if answer.streams:
                while data := await answer.read():
                    self._send(message.reply, data, unheard)
                await self._transport.wait_connected(RECONNECT_SECONDS)
            else:
                body = await answer.read_all(MAX_ANSWER)
                await self._transport.wait_connected(RECONNECT_SECONDS)
                self._send(message.reply, body)
        except asyncio.CancelledError:
            if self._draining:
                answer.leave()
            raise
        finally:
            await answer.finish()
        if answer.streams and self._breaks != breaks:
            raise StreamInterrupted(_HOLE)
        self._transport.publish(message.reply, b"")

    def _came_back(self) -> None:
        self._breaks += 1

    def _send(self, reply: str, data: bytes, unheard: str = "") -> None:
        for start in range(0, len(data), MAX_MESSAGE):
            self._transport.publish(reply, data[start : start + MAX_MESSAGE], unheard)

    def _why_cancelled(self, stream: ForeignStream | None) -> CaravanError:
        if self._draining:
            return Unavailable("the worker was shut down before it had finished", code=f.SHUTDOWN)
        if stream is None:
            return StreamInterrupted(_HOLE)
        if time.monotonic() >= stream.deadline:
            return DeadlineExceeded("the request's time is over")
        return ClientGone("the client gave the request up")

    def _failed(
        self,
        message: Message,
        stream: ForeignStream | None,
        number: str,
        stats: EndpointStats,
        error: CaravanError,
        told: str,
    ) -> None:
        if not isinstance(error, ClientGone):
            stats.errors += 1
            stats.last_error = told
        if stream is not None:
            stream.sender.fail(error)
        elif isinstance(error, StreamInterrupted):
            self._keep_saying(number, message.reply, error)
        else:
            self._refuse(message.reply, error)

    def _refuse(self, reply: str, error: CaravanError, unheard: str = "") -> None:
        headers = {h.SERVICE_ERROR_CODE: str(error.status), h.SERVICE_ERROR: " ".join(error.message.split())[:500]}
        self._transport.publish(reply, error.to_json(), unheard, encode_headers(headers))


def _context(message: Message, principal: Principal) -> RequestContext:
    if message.headers.get(h.PRINCIPAL):
        raise PermissionDenied(f"the header {h.PRINCIPAL} is for services; your credentials say who you are")
    if named := message.headers.get(h.GUARDRAILS):
        principal = principal.naming(named)
    given = RequestContext.from_headers(message.headers)
    latest = time.monotonic() + MAX_SECONDS
    return RequestContext(
        given.request_id or s.stream_of(message.reply),
        principal,
        min(latest, given.deadline),
        given.traceparent,
        given.tracestate,
        given.idempotency_key,
        anthropic_version=given.anthropic_version,
        anthropic_beta=given.anthropic_beta,
    )
