"""Asks a search engine, within a time and a size."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

import aiohttp
import orjson

from caravan_agents.retry_after import retry_after
from caravan_agents.tools.search.question import Provider, Question, Request, Result, kept

log = logging.getLogger(__name__)

_MAX_BYTES: Final = 2 * 1024**2
_AT_ONCE: Final = 32
"""Searches of this process; more wait, within their time."""
_AGAIN: Final = frozenset({429, 500, 502, 503, 504})
_PAUSES: Final = (0.2, 0.6)
_CONNECT_SECONDS: Final = 5.0
_LEFT: Final = 0.5
"""Seconds that a second try needs at least."""


class SearchFailed(Exception):
    """A search that brought nothing; says why in words that may be shown to anybody."""

    def __init__(self, message: str, again: float | None = None) -> None:
        """`again` is how long to wait before a second try; None when that is no use."""
        super().__init__(message)
        self.again = again


class SearchClient:
    """One per process; its connections are made with the first search."""

    def __init__(self, provider: Provider, seconds: float) -> None:
        self._provider = provider
        self._seconds = seconds
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Leave the engine."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def search(self, question: Question) -> list[Result]:
        """What it finds, within the question's bounds. Raises SearchFailed."""
        request = self._provider.request(question)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._seconds
        try:
            async with asyncio.timeout_at(until):
                try:
                    answer = await self._ask(request)
                except SearchFailed as error:
                    if error.again is None or loop.time() + error.again + _LEFT > until:
                        raise
                    log.info("the search engine is asked again in %.1f s: %s", error.again, error)
                    await asyncio.sleep(error.again)
                    answer = await self._ask(request)
        except TimeoutError as error:
            raise SearchFailed(f"the search engine did not answer within {self._seconds:g} s") from error
        try:
            found = self._provider.results(orjson.loads(answer))
            return kept(found, question)
        except (KeyError, TypeError, AttributeError, ValueError) as error:  # JSONDecodeError is a ValueError
            raise SearchFailed("the search engine's answer has another shape than its API's") from error

    async def _ask(self, request: Request) -> bytes:
        """The body of a good answer."""
        method = "GET" if request.body is None else "POST"
        body = None if request.body is None else orjson.dumps(request.body)
        headers = dict(request.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self._connections().request(
                method, request.url, data=body, headers=headers, allow_redirects=False
            ) as response:
                if response.status == 200:
                    return await _bounded(response)
                raise _refused(response)
        except (aiohttp.ClientError, OSError) as error:
            raise SearchFailed(f"the search engine could not be reached ({type(error).__name__})", _pause()) from error

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_AT_ONCE),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),  # the whole has one already
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Caravan", "Accept": "application/json"},
                trust_env=True,
            )
        return self._session


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    pieces = bytearray()
    async for piece in response.content.iter_chunked(64 * 1024):
        pieces += piece
        if len(pieces) > _MAX_BYTES:
            response.close()
            raise SearchFailed("the search engine's answer is too large")
    return bytes(pieces)


def _refused(response: aiohttp.ClientResponse) -> SearchFailed:
    text = f"the search engine answered with status {response.status}"
    if 300 <= response.status < 400:
        return SearchFailed(f"{text}: redirects are not followed")
    if response.status not in _AGAIN:
        return SearchFailed(text)
    return SearchFailed(text, max(retry_after(response.headers) or 0.0, _pause()))


def _pause() -> float:
    return random.uniform(*_PAUSES)
