"""Streams of frames for foreign bus users: what they say back, whether they still listen, what may be sent again.

The first frame (ACCEPT) and a heartbeat each second carry the stream's control subject as their reply subject. So a
client in any language answers a message to acknowledge, to ask again or to cancel; and when it is gone, NATS itself
says so there. A stream is found by its user and its inbox: nobody can touch one of somebody else.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.errors import Conflict, InvalidRequest

from caravan_bus.foreign.body import ForeignBody
from caravan_bus.stream.sender import StreamSender
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS: Final = 1.0
UNHEARD_SECONDS: Final = 6.0
"""Nobody at the inbox for so long: the client is gone. One that only reconnects is back before."""
LINGER_SECONDS: Final = 15.0
LINGER_BYTES: Final = 8 * 1024 * 1024
"""How long, and how much, of ended streams is kept for a client that lost the tail."""
RESEND_SECONDS: Final = 0.1
"""A window is sent again at most so often: five bytes must not make a worker write 256 KiB at any rate one likes. What
is still missing then, the next heartbeat shows."""
_SWEEP: Final = 0.25
_STREAM: Final = re.compile(r"[A-Za-z0-9_-]{1,128}\Z")
_ACCEPT: Final = f.encode(f.Kind.ACCEPT, 0)

Key = tuple[str, str]
"""Bus user and stream id."""


class ForeignStream:
    """One of them, as the relay that fills it sees it."""

    def __init__(self, key: Key, sender: StreamSender, control: str, body: ForeignBody | None) -> None:
        self.key = key
        self.sender = sender
        self.control = control
        self.body = body
        """None when the body came with the request."""
        self.deadline = float("inf")
        """On the monotonic clock; the relay is stopped then, even if it only waits for credit."""
        self.beat = 0.0
        self.unheard_since = 0.0
        self.unheard_last = 0.0
        self._resent = 0.0

    def hears(self, kind: int, seq: int) -> None:
        """ACK or RESEND."""
        if kind == f.Control.ACK:
            self.sender.acknowledged(seq)
        elif kind == f.Control.RESEND:
            now = asyncio.get_running_loop().time()
            if now - self._resent >= RESEND_SECONDS:
                self._resent = now
                self.sender.resend(seq)

    def nobody(self, now: float) -> bool:
        """NATS said that nobody listens; whether it has said so for too long."""
        if now - self.unheard_last > 2.5 * HEARTBEAT_SECONDS:
            self.unheard_since = now
        self.unheard_last = now
        return now - self.unheard_since >= UNHEARD_SECONDS


class ForeignStreams:
    """Those of one worker."""

    def __init__(self, transport: Transport, worker: str, cancel: Callable[[ForeignStream], None]) -> None:
        """`cancel` is called when a client gave up, is gone, or has no time left."""
        self._transport = transport
        self._worker = worker
        self._cancel = cancel
        self._active: dict[Key, ForeignStream] = {}
        self._linger: OrderedDict[Key, tuple[float, int, ForeignStream]] = OrderedDict()
        self._lingering = 0
        self._subscription: Subscription | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen to what clients say back."""
        self._subscription = await self._transport.subscribe(s.foreign_control_wildcard(self._worker), self._on_control)
        self._transport.on_reconnect(self._beat_all)
        self._sweeper = asyncio.create_task(self._sweep(), name="foreign-streams")

    async def close(self) -> None:
        """Stop listening."""
        await cancel_and_wait(self._sweeper)
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    def open(self, message: Message) -> ForeignStream:
        """A stream for a request with a window; its client is told at once. Raises InvalidRequest, Conflict,
        Overloaded."""
        tenant, _ = s.entry_identity(message.subject)
        owner, stream = s.owner_of(message.reply), s.stream_of(message.reply)
        key = (owner, stream)
        if not _STREAM.match(stream):
            raise InvalidRequest("the last two parts of a reply subject are of letters, digits, '-' and '_' here")
        if key in self._active:
            raise Conflict("a request with this reply subject is under way; take a new one for each")
        self._forget(key)
        body = ForeignBody.of(
            message, sum(other.body.size for other in self._active.values() if other.body is not None)
        )
        window, _ = f.decode_window(message.headers.get(h.WINDOW, ""))
        control = s.foreign_control(self._worker, stream, tenant, owner)
        made = ForeignStream(key, StreamSender(self._transport, message.reply, window), control, body)
        made.beat = asyncio.get_running_loop().time()
        self._active[key] = made
        self._transport.publish(message.reply, _ACCEPT, control)
        return made

    def done(self, stream: ForeignStream) -> None:
        """The relay has ended; what the client has not acknowledged can be asked for again for a while."""
        self._active.pop(stream.key, None)
        if stream.body is not None:
            stream.body.release()
        size = stream.sender.kept
        if size:
            until = asyncio.get_running_loop().time() + LINGER_SECONDS
            self._linger[stream.key] = (until, size, stream)
            self._lingering += size
            while self._lingering > LINGER_BYTES:
                self._forget(next(iter(self._linger)))

    def _on_control(self, message: Message) -> None:
        _, name, user = s.foreign_control_parts(message.subject)
        key = (user, name)
        stream = self._active.get(key)
        if message.no_responders:
            if stream is not None and stream.nobody(asyncio.get_running_loop().time()):
                log.info("a foreign client is gone; its request is given up")
                self._cancel(stream)
            return
        if len(message.data) < f.HEADER_SIZE:
            return  # a probe: that it reached somebody is the answer
        kind, seq, payload = f.decode(message.data)
        if stream is None:
            kept = self._linger.get(key)
            if kept is not None and kind == f.Control.CANCEL:
                self._forget(key)
            elif kept is not None:
                kept[2].hears(kind, seq)
            return
        stream.unheard_last = 0.0
        if kind == f.Control.CANCEL:
            stream.sender.cancel()
            self._cancel(stream)
        elif kind == f.Control.BODY and stream.body is not None:
            stream.body.add(seq, payload)
        else:
            stream.hears(kind, seq)

    def _beat_all(self) -> None:
        for stream in self._active.values():
            self._beat(stream)
        for _, _, stream in self._linger.values():
            if stream.sender.kept:
                stream.sender.heartbeat(stream.control)

    def _beat(self, stream: ForeignStream) -> None:
        stream.beat = asyncio.get_running_loop().time()
        stream.sender.heartbeat(stream.control)

    def _forget(self, key: Key) -> None:
        kept = self._linger.pop(key, None)
        if kept is not None:
            self._lingering -= kept[1]

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            now, clock = loop.time(), time.monotonic()
            for stream in list(self._active.values()):
                if clock > stream.deadline + _SWEEP:
                    self._cancel(stream)
                elif now - stream.beat >= HEARTBEAT_SECONDS:
                    self._beat(stream)
            while self._linger and next(iter(self._linger.values()))[0] <= now:
                self._forget(next(iter(self._linger)))
