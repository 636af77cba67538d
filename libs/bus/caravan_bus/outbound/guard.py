"""Judges a URL that a user named, and gives the addresses to connect to."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from caravan_contracts.errors import InvalidRequest, UpstreamFailed

from caravan_bus.outbound.addresses import IPAddress, is_public, plain
from caravan_bus.outbound.allowed import Allowed
from caravan_bus.outbound.hosts import Place, place_of, read_host

Lookup = Callable[[str, int], Awaitable[list[str]]]
"""The addresses of a name, best first. Raises OSError."""
REFUSED: Final = "address_not_allowed"
"""The code of a refusal."""
_LOOKUP_SECONDS: Final = 5.0
_THREADS: Final = 8
"""Names looked up at once; a slow name server keeps nobody else's threads."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: to `ip` (or one of `others`), speaking to `host`."""

    ip: str
    port: int
    host: str
    """For the header Host, and for TLS."""
    tls: bool
    others: tuple[str, ...] = ()
    """More addresses of the same host that were judged as well."""


class Guard:
    """One per process. What is neither public nor allowed is refused, the same way whether anything is there or not."""

    def __init__(self, allowed: Allowed | str | Iterable[str] = (), lookup: Lookup | None = None) -> None:
        """Raises ValueError for an entry of `allowed` that cannot be read."""
        self._allowed = allowed if isinstance(allowed, Allowed) else Allowed(allowed)
        self._lookup = lookup or _Threads().look_up

    async def resolve(self, url: str, param: str | None = None) -> Address:
        """Where the URL leads. The connection must go to an address that stands in the answer, and every redirect
        through here again.

        Raises InvalidRequest naming `param` for a URL or an address that is not served, and UpstreamFailed when its
        name cannot be resolved now.
        """
        place = self.check(url, param)
        ips = [str(plain(place.address))] if place.address else await self._judged(place.host, place.port, param)
        return Address(ips[0], place.port, place.host, place.tls, tuple(ips[1:]))

    def check(self, url: str, param: str | None = None) -> Place:
        """What can be said without asking for the addresses of a name. Raises InvalidRequest."""
        try:
            place = place_of(url)
        except ValueError as error:
            raise InvalidRequest(f"this URL is not taken: {error}", param=param, code="invalid_url") from error
        if place.address is not None:
            self._judge(place.host, place.port, [place.address], param)
        return place

    async def addresses(self, host: str, port: int, param: str | None = None) -> list[str]:
        """Of a host as a client's own parser read it: those that may be connected to. Raises as :meth:`resolve`."""
        try:
            name, address = read_host(host)
        except ValueError as error:
            raise InvalidRequest(f"this host is not taken: {error}", param=param, code="invalid_url") from error
        if address is not None:
            return self._judge(name, port, [address], param)
        return await self._judged(name, port, param)

    async def _judged(self, host: str, port: int, param: str | None) -> list[str]:
        try:
            async with asyncio.timeout(_LOOKUP_SECONDS):
                found = await self._lookup(host, port)
        except (OSError, TimeoutError, UnicodeError) as error:
            raise UpstreamFailed(f"{host}: its address cannot be found", param=param, code="host_not_found") from error
        return self._judge(host, port, [ip_address(one) for one in found], param)

    def _judge(self, host: str, port: int, found: list[IPAddress], param: str | None) -> list[str]:
        free = self._allowed.host(host, port)
        good = [str(plain(one)) for one in found if free or is_public(one) or self._allowed.address(one, port)]
        if not good:
            raise InvalidRequest(f"{host}:{port} may not be connected to from here", param=param, code=REFUSED)
        return good


class _Threads:
    """The system's resolver, in threads of its own."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    async def look_up(self, host: str, port: int) -> list[str]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="outbound-dns")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _look_up, host, port)


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
