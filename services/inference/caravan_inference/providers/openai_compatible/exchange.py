"""One connection to an upstream, and the answer that is being read from it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

from caravan_inference.providers.openai_compatible.answer import DeadlinePassed, Sink
from caravan_inference.providers.openai_compatible.chunked import ends_chunk, whole_chunk
from caravan_inference.providers.openai_compatible.parsed import Parsed
from caravan_inference.providers.openai_compatible.ticks import Ticks

_HIGH: Final = 256 * 1024
"""Bytes read ahead per exchange before the upstream is held back."""
_DRAIN_SECONDS: Final = 0.5
"""How long the end of a body that nobody wants may take."""
_MAX_HEAD: Final = 128 * 1024
"""Most bytes before the end of an answer's headers."""


class UpstreamGone(OSError):
    """The upstream closed the connection, or answered something that is no HTTP."""


class Exchange(Parsed, asyncio.Protocol):
    """Made by :class:`HttpClient`; used by one task at a time."""

    __slots__ = (
        "_between", "_ends", "_error", "_fd", "_full", "_heard", "_idle", "_last_read", "_left", "_loop", "_paused",
        "_reads", "_refused", "_sink", "_size", "_ticked", "_ticks", "_timeout", "_timer", "_transport", "_waiter",
        "fresh", "is_left", "silent",
    )  # fmt: skip

    def __init__(self, loop: asyncio.AbstractEventLoop, ticks: Ticks) -> None:
        super().__init__()
        self._loop = loop
        self._ticks = ticks
        self._transport: asyncio.Transport | None = None
        self._fd = -1
        """The socket, when it may be read past the transport (not with TLS)."""
        self._size = 0
        self._paused = False
        """Whether the event loop leaves the socket alone."""
        self._ticked = False
        self._full = False
        self._between = False
        """Whether the parser has seen the end of a chunk, and nothing of the next."""
        self._sink: Sink | None = None
        self._reads = 0
        """Those that brought something of the body."""
        self._last_read = 0.0
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._timeout = 0.0
        self._ends = 0.0
        """When the whole exchange has to be over, by the loop's clock."""
        self._left: Callable[[Exchange], None] | None = None
        """Who gets the connection of an answer that was left, once it was read to its end."""
        self.is_left = False
        """Whether nobody wants what is left of the answer."""
        self._error: BaseException | None = None
        self._refused: Exception | None = None
        """What the sink raised."""
        self._idle = True
        self.fresh = True
        """Whether no request was sent on this connection before."""
        self.silent = True
        """Whether not one byte of the answer arrived yet."""

    # --- what the client and the provider use ----------------------------------------------------

    def send(self, head: bytes, body: bytes, timeout: float, within: float) -> None:
        """Begin an exchange: write the request, wait at most `timeout` seconds between two reads, and `within` seconds
        for all of it."""
        assert self._transport is not None
        self.expect()
        self._size = 0
        self._error = self._refused = None
        self._idle = self._full = self._between = self.is_left = False
        self.silent = True
        self._timeout = timeout
        self._heard = self._loop.time()
        self._ends = self._heard + within
        self._timer = self._loop.call_later(min(timeout, within), self._check_silence)
        self._transport.write(head + body if len(body) < 65536 else head)
        if len(body) >= 65536:
            self._transport.write(body)

    async def answered(self) -> None:
        """Wait for status and headers. Raises UpstreamGone, TimeoutError."""
        while not self.status:
            await self._wait()

    async def read(self) -> bytes:
        """All that has arrived of the body, at least one byte; b"" at its end. Raises UpstreamGone, TimeoutError."""
        while True:
            if self._parts:
                data = self._take_parts()
                self.resume()
                return data
            if self.finished:
                return b""
            await self._wait()

    async def feed(self, sink: Sink) -> None:
        """See :class:`Answer`."""
        self._sink = sink
        self._reads = 1 if self._parts else 0
        self._ticks.streams += 1
        try:
            self._deliver()
            while not (sink.done or (self.finished and not self._parts)) or self._refused is not None:
                if self._refused is not None:
                    raise self._refused
                if self._full:
                    await sink.room()
                    self._full = False
                    self._heard = self._loop.time()
                    self.resume()
                    self._deliver()
                else:
                    await self._wait()
        finally:
            self._ticks.streams -= 1
            self._sink = None
            self.resume()

    def end_within(self, seconds: float) -> None:
        """See :class:`Answer`."""
        if not self.finished:
            self._stop_timer()
            self._timeout, self._heard = seconds, self._loop.time()
            self._timer = self._loop.call_later(seconds, self._check_silence)

    def leave(self) -> None:
        """See :class:`Answer`."""
        self.is_left = True

    def drain(self, done: Callable[[Exchange], None]) -> None:
        """Read the rest of an answer that was left for nobody; `done` gets the connection when it can serve again, and
        an upstream that lingers loses it."""
        self._left = done
        self.end_within(_DRAIN_SECONDS)

    def resume(self) -> None:
        """Leave the socket to the event loop again."""
        self._leave_ticks()
        if self._paused and not self._full and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def read_ready(self, now: float) -> int:
        """Read at a tick; returns how many bytes there were."""
        ticks = self._ticks
        try:
            size = os.readv(self._fd, ticks.buffers)
        except BlockingIOError:
            return 0
        except OSError:
            size = 0
        if size:
            self._on_stream(bytes(ticks.view[:size]), now)
        else:
            # the transport finds the same, and ends the connection as it should be
            self.resume()
        return size

    def close(self) -> None:
        """Give the connection up: an upstream stops working for one that is gone."""
        self._stop_timer()
        self._leave_ticks()
        if self._transport is not None:
            self._transport.abort()

    def rest(self) -> None:
        """The exchange is over, and the connection waits for another."""
        self.fresh = False
        self._idle = True

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent on it."""
        return self.finished and self._keep and self.alive

    @property
    def alive(self) -> bool:
        """Whether an idle connection is still open."""
        return self._error is None and self._transport is not None and not self._transport.is_closing()

    # --- asyncio and httptools call these --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]
        if transport.get_extra_info("sslcontext") is None:
            connection = transport.get_extra_info("socket")
            self._fd = connection.fileno() if connection is not None else -1

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        now = self._loop.time()
        if self._sink is not None:
            self._on_stream(data, now)
            return
        self._heard = now
        if self._idle:
            self._fail(UpstreamGone("the upstream spoke without being asked"))
            self.close()
            return
        self.silent = False
        self._size += len(data)
        self._parse(data)
        if self._left is not None:
            self._drained(self._left)
            return
        if not self.status and self._size > _MAX_HEAD:
            self._break_off(f"headers of more than {_MAX_HEAD} bytes")
        if self._size > _HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_timer()
        self._leave_ticks()
        self._fail(UpstreamGone(str(exc) if exc else "the connection was closed"))
        self._wake()
        if self._left is not None:
            done, self._left = self._left, None
            done(self)

    def eof_received(self) -> bool:
        """See asyncio.Protocol: an answer without a length ends with its connection."""
        if self.status and not self.finished and not self.headers.keys() & {"content-length", "transfer-encoding"}:
            self.on_message_complete()
            self._keep = False
            self._wake()
        return False

    # --- inside ----------------------------------------------------------------------------------

    def _drained(self, done: Callable[[Exchange], None]) -> None:
        self._parts.clear()
        if self.finished or self._size > _HIGH:
            self._left = None
            done(self)

    def _take_parts(self) -> bytes:
        parts = self._parts
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._size = self._whole = 0
        return data

    def _on_stream(self, data: bytes, now: float) -> None:
        """A read of a body that is being fed to a sink: for each token, so it does no more than it must."""
        body = whole_chunk(data) if self._between else None
        if body is None:
            self._parse(data)
            self._between = not self.finished and ends_chunk(data, self._parts)
            self._deliver()
        elif self._sink is None or self._sink.done or self._parts or self._full:
            self._parts.append(body)
            self._deliver()
        else:
            self._give(self._sink, body)
        self._heard = now
        since, self._last_read = now - self._last_read, now
        if self._ticked:
            if self._ticks.is_slow(since):
                self.resume()
        elif not self._full and not self.finished:
            self._set_pace(since)

    def _deliver(self) -> None:
        """Give the sink what has arrived."""
        sink = self._sink
        if sink is None:
            return
        if self._parts and not self._full and not sink.done:
            self._give(sink, self._take_parts())
        elif self.finished or self._full or sink.done:
            self._wake()

    def _give(self, sink: Sink, data: bytes) -> None:
        try:
            if not sink.take(data):
                self._stop_reading()
        except Exception as error:  # noqa: BLE001  # feed() raises it
            self._refused = error
        if self.finished or self._full or self._refused is not None or sink.done:
            self._wake()

    def _set_pace(self, since: float) -> None:
        """Decide who sees to the next read: the event loop, or a tick."""
        ticks = self._ticks
        self._reads += 1
        if ticks.takes(self._reads, since):
            transport = self._transport
            if transport is None or self._paused or transport.is_closing():
                return
            self._paused = True
            transport.pause_reading()
            if self._fd >= 0 and ticks.watch(self, self._fd):
                self._ticked = True
            else:
                ticks.hold(self)

    def _stop_reading(self) -> None:
        self._full = True
        self._leave_ticks()
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _leave_ticks(self) -> None:
        if self._ticked:
            self._ticked = False
            self._ticks.leave(self._fd)

    def _check_silence(self) -> None:
        now = self._loop.time()
        silence = self._heard + self._timeout - now
        rest = self._ends - now
        if rest > 0 and (silence > 0 or self._full):
            self._timer = self._loop.call_later(min(max(silence, 1.0), rest), self._check_silence)
            return
        if rest > 0:
            self._fail(TimeoutError(f"silent for {self._timeout:g} s"))
        else:
            self._fail(DeadlinePassed("the request's time is over"))
        self.close()
        self._wake()

    def _break_off(self, why: str) -> None:
        if not self.finished:
            self._fail(UpstreamGone(why))
        self._keep = False
        self.close()

    def _fail(self, error: BaseException) -> None:
        if self._error is None:
            self._error = error

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _wait(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
