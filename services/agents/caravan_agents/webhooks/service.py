"""Webhooks of one process: takes events for the queue, and works on it."""

from __future__ import annotations

import asyncio
import time

from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.queue import WorkQueue

from caravan_agents.webhooks import events
from caravan_agents.webhooks.endpoints import Endpoints
from caravan_agents.webhooks.events import Ended
from caravan_agents.webhooks.posting import Poster

_OPTIONS = ConsumerOptions(at_once=64)


class Webhooks:
    """:meth:`start`, :meth:`drain`, :meth:`close`; :meth:`notify` from the start on."""

    def __init__(self, queue: WorkQueue, endpoints: Endpoints, poster: Poster | None = None) -> None:
        self._queue = queue
        self._endpoints = endpoints
        self._poster = poster or Poster(endpoints)
        self.consumer = Consumer(queue, self._poster.post, _OPTIONS)

    async def notify(self, tenant: str, response_id: str, status: Ended, at: int | None = None) -> None:
        """Tell whoever wants to know that a response has ended; returns when that is kept.

        To be called once the response is stored as ended, and again when this raised or its caller died: the same end
        is the same event, with the same `webhook-id`, and one job for each endpoint if it is told again within an
        hour. `at` is when it ended, in Unix seconds. Raises QueueFull, Unavailable, DependencyDown.
        """
        wanting = self._endpoints.wanting(tenant, f"response.{status}")
        if not wanting:
            return
        event = events.event(tenant, response_id, status, int(time.time()) if at is None else at)
        await asyncio.gather(*(self._queue.send(events.job(endpoint, event)) for endpoint in wanting))

    def wanted(self, tenant: str, status: Ended) -> bool:
        """Whether any endpoint wants to know."""
        return bool(self._endpoints.wanting(tenant, f"response.{status}"))

    async def start(self) -> None:
        """Work on the queue from here on."""
        await self.consumer.start()

    async def drain(self, seconds: float) -> None:
        """Take nothing more, and finish what is under way within `seconds`."""
        await self.consumer.drain(seconds)

    async def close(self) -> None:
        """After :meth:`drain`, or instead of :meth:`start`."""
        await self._poster.close()
