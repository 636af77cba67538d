"""aiohttp, for what is off the hot path: an upstream behind a proxy, and lists of models."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from caravan_inference.providers.openai_compatible.answer import Answer, Sink
from caravan_inference.providers.openai_compatible.pace import Pace


def proxy_of_environment(url: str) -> str | None:
    """What HTTP_PROXY, HTTPS_PROXY and NO_PROXY say for `url`; read once, at start."""
    parts = urlsplit(url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)


class _Response:
    """aiohttp's response as an :class:`Answer`."""

    def __init__(self, response: aiohttp.ClientResponse, flush: float) -> None:
        self._response = response
        self._flush = flush
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def finished(self) -> bool:
        return self._response.content.at_eof()

    async def read(self) -> bytes:
        try:
            return await self._response.content.readany()
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error

    async def feed(self, sink: Sink) -> None:
        """See :class:`Answer`."""
        pace = Pace(self._flush)
        while not sink.done and (data := await self.read()):
            if not self.finished and (pause := pace.pause()):
                await asyncio.sleep(pause)
                data += self._response.content.read_nowait()
            if not sink.take(data):
                await sink.room()

    def close(self) -> None:
        self._response.close()


class ProxiedClient:
    """One session. aiohttp's own trust_env is not used: it reads .netrc in a thread for every request."""

    def __init__(
        self,
        base_url: str,
        proxy: str | None,
        tls: ssl.SSLContext | bool,
        connect: float,
        read: float,
        limit: int,
        flush: float = 0.0,
    ) -> None:
        self._base_url = base_url
        self._flush = flush
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=tls, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read),
            proxy=proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """See :class:`Client`."""
        try:
            response = await self._session.post(
                self._base_url + path, data=body, headers=headers, allow_redirects=False
            )
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error
        return _Response(response, self._flush)

    async def get(self, path: str, headers: Mapping[str, str], timeout: float) -> tuple[int, Mapping[str, str], bytes]:
        """``(status, headers, body)`` of a GET. Raises OSError, TimeoutError."""
        limit = aiohttp.ClientTimeout(total=timeout)
        try:
            async with self._session.get(self._base_url + path, headers=headers, timeout=limit) as response:
                return response.status, response.headers, await response.read()
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error

    def release(self, answer: Answer) -> None:
        """See :class:`Client`: aiohttp keeps a connection whose body was read to its end by itself."""
        if not answer.finished:
            answer.close()

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()
