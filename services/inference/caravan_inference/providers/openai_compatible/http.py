"""A byte-forwarding HTTP/1.1 client for one upstream: httptools parses, nothing is copied that need not be.

A general client costs more per request than the rest of a worker, and again for every HTTP chunk (a token is one).
This one does what forwarding needs: POST, keep-alive, chunked or sized answers, TLS, back-pressure, timeouts. What
goes through a proxy, and everything off the hot path, is left to aiohttp.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httptools
from caravan_contracts.errors import InvalidRequest

from caravan_inference.providers.openai_compatible.answer import Answer

_HIGH: Final = 256 * 1024
"""Bytes read ahead per exchange before the upstream is held back."""
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f]")
_IDLE: Final = 64
"""Idle connections kept."""


class UpstreamGone(OSError):
    """The upstream closed the connection, or answered something that is no HTTP."""


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Seconds, and how to check a certificate."""

    base_url: str
    connect_timeout: float
    read_timeout: float
    """Longest silence of the upstream."""
    tls: ssl.SSLContext | None = None


class Exchange(asyncio.Protocol):
    """A connection, and the answer that is being read from it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._held = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard = 0.0
        self._timeout = 0.0
        self._error: BaseException | None = None
        self._keep = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self.finished = False
        self.fresh = True
        """Whether no request was sent on this connection before."""
        self.silent = True
        """Whether not one byte of the answer arrived yet."""

    # --- what the provider uses ------------------------------------------------------------------

    def send(self, head: bytes, body: bytes, timeout: float) -> None:
        """Begin an exchange: write the request, wait at most `timeout` seconds between two reads."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._parts, self._held, self._error = [], 0, None
        self.status, self.headers, self.finished, self.silent = 0, {}, False, True
        self._timeout = timeout
        self._heard = self._loop.time()
        self._timer = self._loop.call_later(timeout, self._check_silence)
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
                return self.read_nowait()
            if self.finished:
                return b""
            await self._wait()

    def read_nowait(self) -> bytes:
        """All that has arrived, possibly nothing."""
        parts, self._parts, self._held = self._parts, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def hold(self) -> None:
        """Read nothing before the next :meth:`read_nowait`: what arrives meanwhile is one read then, not many."""
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def close(self) -> None:
        """Give the connection up: an upstream stops working for one that is gone."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent on it."""
        return (
            self.finished
            and self._error is None
            and self._transport is not None
            and not self._transport.is_closing()
            and self._keep
        )

    @property
    def alive(self) -> bool:
        """Whether an idle connection is still open."""
        return self._error is None and self._transport is not None and not self._transport.is_closing()

    # --- asyncio and httptools call these --------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        self.silent = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(UpstreamGone(f"no HTTP answer: {error}"))
            self.close()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if not self.finished:
            self._fail(exc if isinstance(exc, OSError) else UpstreamGone("the connection was closed"))
        else:
            self._error = self._error or UpstreamGone("the connection was closed")
        self._wake()

    def eof_received(self) -> bool:
        # an answer without a length ends with its connection
        if self.status and not self.finished and not self.headers.keys() & {"content-length", "transfer-encoding"}:
            self.on_message_complete()
        return False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._held += len(body)
        if self._held > _HIGH and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self.status and self.status < 200:
            self.status, self.headers = 0, {}  # an interim answer: the real one follows
            return
        self.finished = True
        self._keep = bool(self._parser.should_keep_alive())  # the parser forgets it after this call
        self._stop_timer()

    def _check_silence(self) -> None:
        left = self._heard + self._timeout - self._loop.time()
        if left > 0 or self._paused:
            self._timer = self._loop.call_later(max(left, 1.0), self._check_silence)
            return
        self._fail(TimeoutError(f"silent for {self._timeout:g} s"))
        self.close()
        self._wake()

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


class HttpClient:
    """Keep-alive connections to one upstream."""

    def __init__(self, options: ClientOptions) -> None:
        parts = urlsplit(options.base_url)
        self._options = options
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._prefix = parts.path.rstrip("/")
        self._netloc = parts.netloc.rpartition("@")[2]
        self._idle: deque[Exchange] = deque()
        self._loop = asyncio.get_running_loop()

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Exchange:
        """Send and wait for status and headers. Raises OSError, TimeoutError."""
        head = self._head(path, len(body), headers)
        while True:
            exchange = self._from_pool() or await self._connect()
            try:
                exchange.send(head, body, self._options.read_timeout)
                await exchange.answered()
            except UpstreamGone:
                # an idle connection that the upstream closed in this very moment: nothing was answered on it
                if exchange.fresh or not exchange.silent:
                    raise
                continue
            except BaseException:
                exchange.close()
                raise
            return exchange

    def release(self, exchange: Answer) -> None:
        """An exchange is over: keep its connection if it can serve again."""
        if isinstance(exchange, Exchange) and exchange.reusable and len(self._idle) < _IDLE:
            exchange.fresh = False
            self._idle.append(exchange)
        else:
            exchange.close()

    async def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop().close()

    def _from_pool(self) -> Exchange | None:
        while self._idle:
            exchange = self._idle.pop()
            if exchange.alive:
                return exchange
        return None

    async def _connect(self) -> Exchange:
        async with asyncio.timeout(self._options.connect_timeout):
            _, exchange = await self._loop.create_connection(
                lambda: Exchange(self._loop), self._host, self._port, ssl=self._options.tls
            )
        return exchange

    def _head(self, path: str, length: int, headers: Mapping[str, str]) -> bytes:
        lines = [
            f"POST {self._prefix}{path} HTTP/1.1\r\nHost: {self._netloc}\r\nContent-Length: {length}\r\nAccept: */*"
        ]
        for name, value in headers.items():
            if _UNSAFE.search(value) or _UNSAFE.search(name):
                raise InvalidRequest(f"the header {name!r} for the provider holds a control character")
            lines.append(f"{name}: {value}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
