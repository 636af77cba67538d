"""One try of one job: what an endpoint says to it, and what becomes of the job."""

from __future__ import annotations

import logging
import time
from collections import Counter
from typing import Final

import aiohttp
from caravan_bus.outbound import Guard
from caravan_bus.work.queue import Job, JobRefused, TryLater
from caravan_contracts.errors import CaravanError

from caravan_agents.retry_after import retry_after
from caravan_agents.webhooks import events, signing
from caravan_agents.webhooks.endpoints import Endpoint, Endpoints
from caravan_agents.webhooks.events import Told
from caravan_agents.webhooks.pauses import Pauses

log = logging.getLogger(__name__)

AT_ONCE: Final = 8
"""Tries at one endpoint of this process."""
_SECONDS: Final = 15.0
"""Until an endpoint must have answered."""
_GONE: Final = 410


class Poster:
    """The handler of the queue; one per process."""

    def __init__(self, endpoints: Endpoints, pauses: Pauses | None = None, seconds: float = _SECONDS) -> None:
        """`seconds` is for a whole try."""
        self._endpoints, self._pauses, self._seconds = endpoints, pauses or Pauses(), seconds
        self._guard = Guard(endpoints.private)
        self._session: aiohttp.ClientSession | None = None
        self._under_way: Counter[str] = Counter()
        self._off: set[str] = set()

    async def close(self) -> None:
        """Leave every endpoint."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def post(self, job: Job) -> None:
        """Returns when the endpoint took it, or wants no more. Raises TryLater and JobRefused, nothing else."""
        told = events.read(job)
        age = max(0.0, time.time() - told.created_at)
        endpoint = self._endpoints.get(told.endpoint)
        if endpoint is None:
            if age < self._pauses.unknown:
                raise TryLater("no such endpoint is known here", retry_after=self._pauses.failed(age))
            raise JobRefused("there is no such endpoint any more")
        if endpoint.id in self._off:
            return
        if self._under_way[endpoint.id] >= AT_ONCE:
            raise TryLater(f"{endpoint.host} has enough to do", retry_after=self._pauses.passed_on(age))
        self._under_way[endpoint.id] += 1
        try:
            await self._try(endpoint, told, age)
        finally:
            self._under_way[endpoint.id] -= 1

    async def _try(self, endpoint: Endpoint, told: Told, age: float) -> None:
        wished = None
        try:
            status, wished = await self._sent(endpoint, told)
        except (aiohttp.ClientError, CaravanError, OSError, ValueError) as error:
            why = f"it could not be reached ({_reason(error)})"
        else:
            if 200 <= status < 300:
                log.debug("%s took the event %s", endpoint.host, told.id)
                return
            if status == _GONE:
                self._off.add(endpoint.id)
                log.warning("the webhook at %s says that it is gone: it is told nothing more", endpoint.host)
                return
            why = f"it answered with status {status}"
        if age >= self._pauses.give_up:
            raise JobRefused(f"{endpoint.host} did not take the event {told.id} in time: {why}")
        pause = self._pauses.failed(age, wished)
        log.info("%s did not take the event %s: %s; again in %.0f s", endpoint.host, told.id, why, pause)
        raise TryLater(why, retry_after=pause)

    async def _sent(self, endpoint: Endpoint, told: Told) -> tuple[int, float | None]:
        """The status of the answer, and its ``Retry-After``. Its body is not read: a status is all that counts."""
        headers = signing.headers(endpoint.key, told.id, int(time.time()), told.body)
        headers |= {"Content-Type": "application/json", "User-Agent": "Caravan-Webhooks"}
        async with self._connections().post(
            endpoint.url, data=told.body, headers=headers, allow_redirects=False
        ) as response:
            return response.status, retry_after(response.headers)

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            from caravan_bus.outbound import aiohttp_client  # with all of aiohttp, for those who have endpoints

            self._session = aiohttp_client.session(self._guard, self._seconds)
        return self._session


def _reason(error: Exception) -> str:
    """In words that show no address beyond the host."""
    from caravan_bus.outbound import aiohttp_client

    refused = aiohttp_client.reason(error)
    return refused.message if refused is not None else type(error).__name__
