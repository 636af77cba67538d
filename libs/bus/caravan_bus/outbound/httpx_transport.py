"""A guarded transport of httpx2: what it connects to was judged, and what it reads is counted."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from functools import lru_cache
from types import TracebackType
from typing import Final, Self

import httpx2

from caravan_bus.outbound.guard import Address, Guard

_ORIGINS: Final = 8
"""Servers that one transport talks to: redirects lead to few."""
_PLAIN: Final = frozenset({"", "identity"})


class TooLong(httpx2.ReadError):
    """An answer is longer than it may be."""


class GuardedTransport(httpx2.AsyncBaseTransport):
    """For one :class:`httpx2.AsyncClient`, which must have ``trust_env=False``: a proxy would go around it.

    The name of a server is resolved once in the transport's life and all connections go to the address that was found
    then. Refusals are raised as they are: InvalidRequest, UpstreamFailed. The body of an answer may have `most` bytes;
    behind them :class:`TooLong` is raised. Compression is refused, since it hides how long a body is.
    """

    def __init__(self, guard: Guard, most: int, param: str | None = None) -> None:
        self._guard = guard
        self.most = most
        """Bytes of a body."""
        self._param = param
        self._origins: dict[str, tuple[Address, httpx2.AsyncHTTPTransport]] = {}
        self.marks = 0
        """How often :meth:`restart` was called."""
        self.too_long = False
        """Whether an answer was cut off since the last :meth:`restart`."""

    async def pin(self, url: str) -> Address:
        """Judge a URL before anything is sent there. Raises as :meth:`Guard.resolve`."""
        return (await self._at(url))[0]

    def restart(self, most: int | None = None) -> None:
        """Count anew what comes from now on, also of answers under way, up to `most` bytes if that is given: for
        streams that serve many calls."""
        self.most = most or self.most
        self.marks += 1
        self.too_long = False

    def take(self, size: int) -> None:
        """Raises TooLong when an answer has come to more than it may be."""
        if size > self.most:
            self.too_long = True
            raise TooLong(f"the answer is longer than {self.most} bytes")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        address, inner = await self._at(str(request.url))
        request.headers["Accept-Encoding"] = "identity"
        response = await _send(request, address, inner)
        assert isinstance(response.stream, httpx2.AsyncByteStream)
        stream = _Counted(self, response.stream)
        if response.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
            await stream.aclose()
            raise httpx2.RemoteProtocolError("the answer is compressed, which was not asked for")
        length = response.headers.get("Content-Length", "")
        if length.isdecimal() and len(length) < 20:
            try:
                self.take(int(length))
            except TooLong:
                await stream.aclose()
                raise
        return httpx2.Response(
            response.status_code, headers=response.headers, stream=stream, extensions=response.extensions
        )

    async def _at(self, url: str) -> tuple[Address, httpx2.AsyncHTTPTransport]:
        place = self._guard.check(url, self._param)
        origin = f"{place.tls} {place.host}:{place.port}"
        known = self._origins.get(origin)
        if known is None:
            if len(self._origins) >= _ORIGINS:
                raise httpx2.TooManyRedirects(f"more than {_ORIGINS} servers")
            address = await self._guard.resolve(url, self._param)
            # one for each name: connections are kept by address, and one that was checked for a name is no other's
            inner = httpx2.AsyncHTTPTransport(verify=_tls(), trust_env=False)
            known = self._origins.setdefault(origin, (address, inner))
        return known

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        for _, inner in self._origins.values():
            await inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    def __init__(self, transport: GuardedTransport, stream: httpx2.AsyncByteStream) -> None:
        self._transport = transport
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, mark = 0, self._transport.marks
        async for piece in self._stream:
            if mark != self._transport.marks:
                size, mark = 0, self._transport.marks
            size += len(piece)
            self._transport.take(size)
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()


async def _send(request: httpx2.Request, address: Address, inner: httpx2.AsyncHTTPTransport) -> httpx2.Response:
    """To an address, but in the name of the host: the header Host stays, and TLS asks for the host's certificate."""
    *first, last = (address.ip, *address.others)
    for ip in first:
        try:
            return await inner.handle_async_request(_to(request, address, ip))
        except (httpx2.ConnectError, httpx2.ConnectTimeout):
            continue  # nothing was sent: the next address of the same server
    return await inner.handle_async_request(_to(request, address, last))


def _to(request: httpx2.Request, address: Address, ip: str) -> httpx2.Request:
    return httpx2.Request(
        request.method,
        request.url.copy_with(host=ip),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": address.host},
    )


@lru_cache(maxsize=1)
def _tls() -> ssl.SSLContext:
    """The system's authorities; reading them takes too long to be done for every connection."""
    return ssl.create_default_context()
