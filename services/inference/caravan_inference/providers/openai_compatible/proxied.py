"""aiohttp, for an upstream behind a proxy. Imported only then: it costs each process 14 MB and a quarter second."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Final

import aiohttp
from caravan_bus.tasks import cancel_and_wait

from caravan_inference.providers.openai_compatible.answer import Answer, Sink
from caravan_inference.providers.openai_compatible.pace import Pace

_DRAIN_SECONDS: Final = 0.5
"""How long the end of a body that nobody wants may take."""


class _Response:
    """aiohttp's response as an :class:`Answer`."""

    def __init__(self, response: aiohttp.ClientResponse, flush: float) -> None:
        self._response = response
        self._flush = flush
        self._patience: float | None = None
        self.is_left = False
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    @property
    def finished(self) -> bool:
        return self._response.content.at_eof()

    async def read(self) -> bytes:
        try:
            async with asyncio.timeout(self._patience):
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

    def end_within(self, seconds: float) -> None:
        self._patience = seconds

    def leave(self) -> None:
        self.is_left = True

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
        self._connect = connect
        self._read = read
        self._draining: set[asyncio.Task[None]] = set()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=limit, ssl=tls, keepalive_timeout=60),
            proxy=proxy,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent",),
        )

    async def post(self, path: str, body: bytes, headers: Mapping[str, str], within: float) -> Answer:
        """See :class:`Client`."""
        return await self._send("POST", path, body, headers, within)

    async def get(self, path: str, headers: Mapping[str, str]) -> Answer:
        """See :class:`Client`."""
        return await self._send("GET", path, None, headers, None)

    async def _send(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], within: float | None
    ) -> Answer:
        limits = aiohttp.ClientTimeout(total=within, sock_connect=self._connect, sock_read=self._read)
        try:
            response = await self._session.request(
                method, self._base_url + path, data=body, headers=headers, allow_redirects=False, timeout=limits
            )
        except aiohttp.ClientError as error:
            raise OSError(str(error) or type(error).__name__) from error
        return _Response(response, self._flush)

    def release(self, answer: Answer) -> None:
        """See :class:`Client`: aiohttp keeps a connection whose body was read to its end by itself."""
        if answer.finished:
            return
        if isinstance(answer, _Response) and answer.is_left:
            task = asyncio.create_task(_drain(answer), name="drain-answer")
            self._draining.add(task)
            task.add_done_callback(self._draining.discard)
        else:
            answer.close()

    async def close(self) -> None:
        """Close the session."""
        for task in tuple(self._draining):
            await cancel_and_wait(task)
        await self._session.close()


async def _drain(answer: _Response) -> None:
    """Read the end of a body that nobody wants, so that its connection serves again."""
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await answer.read():
                pass
    except OSError:  # TimeoutError is one
        answer.close()
