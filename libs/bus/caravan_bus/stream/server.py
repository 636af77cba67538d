"""All streams of a worker: who is let in, who may still ask for what was sent, and when the worker may go."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    ClientGone,
    DeadlineExceeded,
    InvalidRequest,
    WorkerLost,
)
from caravan_contracts.inference import CallSpec, Verb

from caravan_bus.discovery import EndpointStats
from caravan_bus.slots import Slots
from caravan_bus.stream.lingering import Lingering
from caravan_bus.stream.outlet import Outlet
from caravan_bus.stream.sender import StreamSender
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 1.0
ACCEPT_TICK: Final = 0.05
"""A request that has said nothing for this long is told that it was accepted; a quick answer needs no such frame."""
LAST_SECONDS: Final = 5.0
"""How long a worker that leaves waits for callers that lost the ends of its streams with the line."""
PROBE_SECONDS: Final = 2.0
UNHEARD_LIMIT: Final = 3
"""A caller that died is noticed after so many probes; one that is only reconnecting is back before."""
_SWEEP: Final = 0.5
_BUSY: Final = f.encode(f.Kind.BUSY, 0)


@dataclass(frozen=True, slots=True)
class Inbound:
    """A request that was let in; `slot` is held until its handler returns."""

    verb: str
    spec: CallSpec
    message: Message
    context: RequestContext


Handler = Callable[[Inbound, StreamSender], Awaitable[None]]
"""Serves one request: writes to the sender and ends it. An exception becomes an ERROR frame."""


@dataclass(slots=True)
class _Active:
    sender: StreamSender
    task: asyncio.Task[None]
    inbound: Inbound
    began: int
    probed: float
    said: float
    """When a heartbeat was sent, or a frame was seen to have been."""
    seq: int = 0
    """The last frame that was seen."""
    unheard: int = 0
    """Probes in a row that found nobody at the reply inbox."""
    unheard_at: float = 0.0


class StreamServer:
    """The serving end of a process: its private subject, its control subject, its slots."""

    def __init__(
        self,
        transport: Transport,
        service: str,
        worker: str,
        slots: Slots,
        handler: Handler,
        verbs: Sequence[str] = tuple(Verb),
        user: str = "",
    ) -> None:
        """`user` is the bus user whose inbox hears that a caller is gone; "" = the one named like the service."""
        self._transport = transport
        self._service = service
        self._worker = worker
        self._probe = s.prober_prefix(user or service, worker) + "."
        self._slots = slots
        self._handler = handler
        self._verbs = verbs
        self._active: dict[str, _Active] = {}
        self._silent: set[StreamSender] = set()
        self._linger = Lingering()
        self._subscriptions: list[Subscription] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._accept_timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._broke = float("-inf")
        self._resends = 0
        self._outlet = Outlet(transport)
        self.stats = {str(verb): EndpointStats() for verb in verbs}

    async def start(self) -> None:
        """Serve."""
        subscribe = self._transport.subscribe
        self._subscriptions = [
            await subscribe(s.control_wildcard(self._worker), self._on_control),
            await subscribe(self._probe + "*", self._on_nobody),
            *[await subscribe(subject, self._on_request) for subject in self.subjects.values()],
        ]
        await self._transport.flush()
        self._transport.on_disconnect(self._line_broke)
        self._transport.on_reconnect(self._beat_all)
        self._tasks = [asyncio.create_task(self._sweep(), name="stream-heartbeats")]

    @property
    def subjects(self) -> dict[str, str]:
        """Verb -> this worker's private subject for it."""
        return {verb: s.at_worker(self._service, self._worker, verb) for verb in self._verbs}

    @property
    def active(self) -> int:
        """Requests under way."""
        return len(self._active)

    @property
    def resends(self) -> int:
        """Frames sent again since the start."""
        active = list(self._active.values())  # at once: the thread of /metrics asks, too
        return self._resends + sum(a.sender.resends for a in active)

    def refuse_new(self) -> None:
        """From here on every request is answered with BUSY."""
        self._draining = True

    async def drain(self, timeout: float) -> None:
        """Take nothing more, finish what is under way within `timeout` seconds, cancel the rest, leave."""
        self.refuse_new()
        running = [a.task for a in self._active.values()]
        if running:
            _, late = await asyncio.wait(running, timeout=timeout)
            for task in late:
                task.cancel()
            if late:
                log.warning("%d requests were cut off by the shutdown", len(late))
                await asyncio.wait(late, timeout=5.0)
        self._outlet.flush()
        broken = asyncio.get_running_loop().time() < self._broke + LAST_SECONDS or not self._transport.connected
        if broken and len(self._linger):
            await self._hand_over()
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        for task in self._tasks:
            await cancel_and_wait(task)
        if self._accept_timer is not None:
            self._accept_timer.cancel()

    async def _hand_over(self) -> None:
        """The line broke while the last streams ended: their callers ask for what was lost, and nobody else has it."""
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self._transport.wait_connected(LAST_SECONDS)
                while len(self._linger):  # whoever has all of its stream answers with a cancel
                    for stream, sender in self._linger.streams():
                        sender.heartbeat(self._probe + stream)
                    await asyncio.sleep(_SWEEP / 2)
        except TimeoutError:
            log.info("%d callers did not say that they have the ends of the last streams", len(self._linger))
        self._outlet.flush()

    def _line_broke(self) -> None:
        self._broke = asyncio.get_running_loop().time()

    def _on_request(self, message: Message) -> None:
        if not message.reply:
            return
        try:
            inbound = self._read(message)
        except CaravanError as error:
            StreamSender(self._transport, message.reply).fail(error)
            return
        stream = s.stream_of(message.reply)
        if stream in self._active:
            log.warning("a request names the inbox of one that is under way; it is not served")
            return
        if self._draining or not self._slots.take(inbound.spec.provider):
            self._transport.publish(message.reply, _BUSY)
            return
        self.stats[inbound.verb].requests += 1
        window, bundles = f.decode_window(message.headers.get(h.WINDOW, ""))
        sender = StreamSender(self._transport, message.reply, window, self._outlet if bundles else None)
        loop = asyncio.get_running_loop()
        task = loop.create_task(self._serve(inbound, sender), name=stream)
        now = loop.time()
        active = self._active[stream] = _Active(sender, task, inbound, time.perf_counter_ns(), now, now)
        # not at the end of `_serve`: a task that is cancelled before its first step never gets there
        task.add_done_callback(partial(self._over, stream, active))
        self._silent.add(sender)
        if self._accept_timer is None:
            self._accept_timer = loop.call_later(ACCEPT_TICK, self._accept_silent)

    def _read(self, message: Message) -> Inbound:
        headers = message.headers
        spec = headers.get(h.CALL)
        if spec is None:
            raise InvalidRequest(f"a request to a worker carries the header {h.CALL}")
        verb = message.subject.rpartition(".")[2]
        return Inbound(verb, CallSpec.decode(spec), message, RequestContext.from_headers(headers))

    async def _serve(self, inbound: Inbound, sender: StreamSender) -> None:
        try:
            await self._handler(inbound, sender)
            if not sender.ended:
                sender.fail(CaravanError("the worker ended without an answer"))
        except CaravanError as error:
            self._note(inbound.verb, error)
            sender.fail(error)
        except asyncio.CancelledError:
            # by the receiver, the deadline or the shutdown; each leaves a frame that says so
            if not sender.cancelled:
                sender.fail(_why_cancelled(inbound.context, self._draining))
        except Exception as error:
            log.exception("a request failed", extra={"request_id": inbound.context.request_id})
            self._note(inbound.verb, error)
            sender.fail(CaravanError(f"the worker failed: {type(error).__name__}"))

    def _over(self, stream: str, active: _Active, task: asyncio.Task[None]) -> None:
        inbound, sender = active.inbound, active.sender
        self._active.pop(stream, None)
        self._silent.discard(sender)
        self._slots.give_back(inbound.spec.provider)
        self.stats[inbound.verb].processing_ns += time.perf_counter_ns() - active.began
        if not sender.ended and not sender.cancelled:
            sender.fail(_why_cancelled(inbound.context, self._draining))
        self._resends += sender.resends
        self._linger.keep(stream, sender)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a request ended without a word", exc_info=error)

    def _note(self, verb: str, error: Exception) -> None:
        if not isinstance(error, ClientGone):
            self.stats[verb].errors += 1
            self.stats[verb].last_error = f"{type(error).__name__}: {error}"[:200]

    def _on_control(self, message: Message) -> None:
        if len(message.data) < f.HEADER_SIZE:
            return
        kind, seq, _ = f.decode(message.data)
        stream = message.subject.rpartition(".")[2]
        active = self._active.get(stream)
        if active is not None:
            sender = active.sender
            active.unheard = 0
            if kind == f.Control.CANCEL:
                sender.cancel()
                active.task.cancel()
                return
        else:
            ended = self._linger.get(stream)
            if ended is None:
                return
            sender = ended
            if kind == f.Control.CANCEL:
                self._linger.forget(stream)
        if kind == f.Control.ACK:
            sender.acknowledged(seq)
        elif kind == f.Control.RESEND:
            sender.resend(seq)

    def _on_nobody(self, message: Message) -> None:
        active = self._active.get(message.subject.rpartition(".")[2])
        if active is None or not message.no_responders:
            return
        now = asyncio.get_running_loop().time()
        # only in a row: a caller may lose its line now and then, for a moment
        active.unheard = active.unheard + 1 if now - active.unheard_at < 2 * (PROBE_SECONDS + _SWEEP) else 1
        active.unheard_at = now
        if active.unheard >= UNHEARD_LIMIT:
            log.info("the caller of a request is gone; its slot is free again")
            active.sender.cancel()
            active.task.cancel()

    def _accept_silent(self) -> None:
        self._accept_timer = None
        for sender in self._silent:
            sender.accept()
        self._silent.clear()

    def _beat_all(self) -> None:
        for active in self._active.values():
            active.sender.heartbeat()
        for _, sender in self._linger.streams():
            if sender.kept:
                sender.heartbeat()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            now = loop.time()
            clock = time.monotonic()
            for stream, active in list(self._active.items()):
                if clock > active.inbound.context.deadline + _SWEEP:
                    active.task.cancel()
                elif now - active.probed >= PROBE_SECONDS:
                    active.probed = active.said = now
                    active.sender.heartbeat(self._probe + stream)
                elif active.sender.seq != active.seq:
                    active.seq, active.said = active.sender.seq, now
                elif now - active.said >= HEARTBEAT_SECONDS:
                    active.said = now
                    active.sender.heartbeat()
            self._linger.expire(now)


def _why_cancelled(context: RequestContext, draining: bool) -> CaravanError:
    if context.remaining <= 0:
        return DeadlineExceeded("the request's time is over")
    if draining:
        # the caller knows whether anything was passed on: if not, another worker is asked
        return WorkerLost("the worker was shut down before it had finished")
    return CaravanError("the worker gave the request up")
