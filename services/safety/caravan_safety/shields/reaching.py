"""Addresses that an operator or a tenant named, asked over HTTP: through the outbound guard, so far and no further."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import orjson
from caravan_bus.outbound import Allowed, Guard
from caravan_contracts.errors import CaravanError, DeadlineExceeded, UpstreamFailed

from caravan_safety.shields.base import Passage

_MOST: Final = 1024 * 1024
"""Bytes of an answer."""
_LONGEST: Final = 120.0


class Reaching:
    """One per process."""

    def __init__(self, allowed: str = "") -> None:
        """`allowed`: beside the public Internet. Raises ValueError."""
        self._guard = Guard(Allowed(allowed))
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Leave every address."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], passage: Passage) -> Any:
        """The JSON of the answer. Raises UpstreamFailed, DeadlineExceeded, and InvalidRequest for an address that may
        not be called; their words name the host alone."""
        from caravan_bus.outbound import aiohttp_client  # with all of aiohttp, for those who have such shields

        if self._session is None:
            self._session = aiohttp_client.session(self._guard, _LONGEST)
        seconds = min(_LONGEST, passage.until - time.monotonic())
        if seconds <= 0:
            raise DeadlineExceeded(f"there was no time left to ask {_host(url)}")
        sent = {"Content-Type": "application/json", "User-Agent": "Caravan-Safety", **headers}
        try:
            async with self._session.post(
                url, data=body, headers=sent, allow_redirects=False, timeout=aiohttp.ClientTimeout(total=seconds)
            ) as response:
                status, answer = response.status, await aiohttp_client.read(response, _MOST)
        except TimeoutError as error:
            raise DeadlineExceeded(f"{_host(url)} gave no verdict in {seconds:.1f} s") from error
        except (aiohttp.ClientError, CaravanError, OSError, ValueError) as error:
            refused = aiohttp_client.reason(error)
            if refused is not None:
                raise refused from error
            raise UpstreamFailed(f"{_host(url)} could not be reached: {type(error).__name__}") from error
        if status != 200:
            raise UpstreamFailed(f"{_host(url)} answered with status {status}")
        try:
            return orjson.loads(answer)
        except orjson.JSONDecodeError as error:
            raise UpstreamFailed(f"{_host(url)} answered something that is no JSON") from error


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).hostname or "the address"
