"""A byte-forwarding HTTP/1.1 client for one upstream: httptools parses, nothing is copied that need not be.

A general client costs more per request than the rest of a worker, and again for every HTTP chunk (a token is one).
This one does what forwarding needs: POST and GET, keep-alive, chunked or sized answers, TLS, back-pressure, timeouts.
What goes through a proxy is left to aiohttp.
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

from caravan_contracts.errors import InvalidRequest

from caravan_inference.providers.openai_compatible.answer import Answer
from caravan_inference.providers.openai_compatible.exchange import Exchange, UpstreamGone
from caravan_inference.providers.openai_compatible.ticks import Ticks

_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Seconds, and how to check a certificate."""

    base_url: str
    connect_timeout: float
    read_timeout: float
    """Longest silence of the upstream."""
    tls: ssl.SSLContext | None = None
    flush: float = 0.0
    """Time between two reads of a quick stream; see :mod:`ticks`."""
    idle: int = 64
    """Idle connections kept."""


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
        self._draining: set[Exchange] = set()
        self._loop = asyncio.get_running_loop()
        self._ticks = Ticks(options.flush)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], within: float) -> Exchange:
        """See :class:`Client`."""
        return await self._send(self._head("POST", path, f"Content-Length: {len(body)}\r\n", headers), body, within)

    async def get(self, path: str, headers: Mapping[str, str]) -> Exchange:
        """See :class:`Client`."""
        return await self._send(self._head("GET", path, "", headers), b"", self._options.read_timeout)

    async def _send(self, head: bytes, body: bytes, within: float) -> Exchange:
        stale = False
        ends = self._loop.time() + within
        while True:
            exchange = (None if stale else self._from_pool()) or await self._connect(within)
            try:
                exchange.send(head, body, self._options.read_timeout, ends - self._loop.time())
                await exchange.answered()
            except UpstreamGone:
                # an idle connection that the upstream closed in this very moment: nothing was answered on it
                if exchange.fresh or not exchange.silent:
                    raise
                stale = True  # the others may be so too: one more try, on a connection of its own
                continue
            except BaseException:
                exchange.close()
                raise
            return exchange

    def release(self, exchange: Answer) -> None:
        """An exchange is over: keep its connection if it can serve again."""
        if not isinstance(exchange, Exchange) or len(self._idle) >= self._options.idle:
            exchange.close()
        elif exchange.reusable:
            exchange.rest()
            self._idle.append(exchange)
        elif exchange.is_left and not exchange.finished and exchange.alive:
            self._draining.add(exchange)
            exchange.drain(self._drained)
        else:
            exchange.close()

    async def close(self) -> None:
        """Close what is idle."""
        for exchange in (*self._idle, *self._draining):
            exchange.close()
        self._idle.clear()
        self._draining.clear()
        self._ticks.close()

    def _from_pool(self) -> Exchange | None:
        while self._idle:
            exchange = self._idle.pop()
            if exchange.alive:
                return exchange
        return None

    def _drained(self, exchange: Exchange) -> None:
        self._draining.discard(exchange)
        exchange.is_left = False
        self.release(exchange)

    async def _connect(self, within: float) -> Exchange:
        async with asyncio.timeout(min(self._options.connect_timeout, within)):
            _, exchange = await self._loop.create_connection(
                lambda: Exchange(self._loop, self._ticks), self._host, self._port, ssl=self._options.tls
            )
        return exchange

    def _head(self, method: str, path: str, length: str, headers: Mapping[str, str]) -> bytes:
        lines = [f"{method} {self._prefix}{path} HTTP/1.1\r\nHost: {self._netloc}\r\n{length}Accept: */*"]
        for name, value in headers.items():
            if _UNSAFE.search(value) or _UNSAFE.search(name):
                raise InvalidRequest(f"the header {name!r} for the provider holds a control character")
            lines.append(f"{name}: {value}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")
