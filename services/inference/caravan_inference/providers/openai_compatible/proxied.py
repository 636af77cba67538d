"""aiohttp, for an upstream behind a proxy. Imported only then: it costs each process 14 MB and a quarter second."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping

import aiohttp

from caravan_inference.providers.openai_compatible.answer import Answer, Sink
from caravan_inference.providers.openai_compatible.pace import Pace


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
        proxy: str,
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
        return await self._send("POST", path, body, headers)

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """See :class:`Client`."""
        return await self._send("GET", path, None, headers)

    async def _send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            response = await self._session.request(
                method, self._base_url + path, data=body, headers=headers, allow_redirects=False
            )
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error
        return _Response(response, self._flush)

    def release(self, answer: Answer) -> None:
        """See :class:`Client`: aiohttp keeps a connection whose body was read to its end by itself."""
        if not answer.finished:
            answer.close()

    async def close(self) -> None:
        """Close the session."""
        await self._session.close()
