"""A guarded session of aiohttp. Every hop of a redirect is judged, names where they are resolved."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from caravan_contracts.errors import CaravanError, UpstreamFailed

from caravan_bus.outbound.guard import Guard


class Refused(OSError):
    """An address that may not be connected to; `error` says it to whoever named it."""

    def __init__(self, error: CaravanError) -> None:
        super().__init__(error.message)
        self.error = error


class GuardedResolver(AbstractResolver):
    """Gives aiohttp the addresses that were judged, and no others."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Raises Refused, which aiohttp wraps into a ClientConnectorError."""
        try:
            ips = await self._guard.addresses(host, port)
        except CaravanError as error:
            raise Refused(error) from error
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=socket.AF_INET6 if ":" in ip else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in ips
        ]

    async def close(self) -> None:
        """Nothing is held."""


def session(
    guard: Guard, timeout: float, *, connect: float = 10.0, limit: int = 64, **more: Any
) -> aiohttp.ClientSession:
    """A session that reaches what `guard` lets it reach: no proxy and no secrets from the environment, no cookies, no
    cache of names. `timeout` (seconds) is for a whole request. Needs a running loop; `more` goes to aiohttp.

    Requests raise InvalidRequest for a URL, or the target of a redirect, that is not served; see :func:`reason` for
    what is found out only while connecting.
    """

    async def judge(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        guard.check(str(request.url))  # addresses that are written out never come to the resolver
        return await handler(request)

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            resolver=GuardedResolver(guard), use_dns_cache=False, limit=limit, enable_cleanup_closed=False
        ),
        middlewares=(judge,),
        timeout=aiohttp.ClientTimeout(total=timeout, sock_connect=connect),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        **more,
    )


def reason(error: BaseException) -> CaravanError | None:
    """The refusal behind an error of aiohttp, if that is what it was."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Refused):
            return seen.error
        if isinstance(seen, CaravanError):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


async def read(response: aiohttp.ClientResponse, most: int) -> bytes:
    """The body. Raises UpstreamFailed as soon as it is longer than `most` bytes, unpacked; the connection is closed
    then."""
    pieces: list[bytes] = []
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > most:
            response.close()
            raise UpstreamFailed(f"the answer is longer than {most} bytes", code="answer_too_large")
        pieces.append(piece)
    return b"".join(pieces)
