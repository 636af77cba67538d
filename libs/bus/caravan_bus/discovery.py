"""NATS service discovery (ADR-32): ``$SRV.PING``, ``INFO`` and ``STATS`` for every process of the mesh."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
from caravan_contracts import VERSION

from caravan_bus.transport import Message, Subscription, Transport

_VERBS = ("PING", "INFO", "STATS")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One subject a service answers."""

    name: str
    subject: str
    queue: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class EndpointStats:
    """Honest counts, since the start; times in nanoseconds."""

    requests: int = 0
    errors: int = 0
    last_error: str = ""
    processing_ns: int = 0
    data: dict[str, Any] = field(default_factory=dict)


StatsOf = Callable[[str], EndpointStats]
"""The counts of one endpoint, by its name."""


class Discovery:
    """Answers for one process."""

    def __init__(
        self,
        transport: Transport,
        name: str,
        instance: str,
        description: str,
        endpoints: list[Endpoint],
        stats: StatsOf,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self._transport = transport
        self._base = {
            "name": name,
            "id": instance,
            "version": VERSION,
            "metadata": metadata or {},
        }
        self._description = description
        self._endpoints = endpoints
        self._stats = stats
        self._started = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Answer every form of the three questions."""
        name, instance = self._base["name"], self._base["id"]
        for verb in _VERBS:
            answer = {"PING": self._ping, "INFO": self._info, "STATS": self._stats_all}[verb]
            for tail in ("", f".{name}", f".{name}.{instance}"):
                self._subscriptions.append(
                    await self._transport.subscribe(f"$SRV.{verb}{tail}", self._answering(answer))
                )

    async def stop(self) -> None:
        """Disappear."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    def _answering(self, answer: Callable[[], dict[str, Any]]) -> Callable[[Message], None]:
        def on_message(message: Message) -> None:
            if message.reply:
                self._transport.publish(message.reply, orjson.dumps(answer()))

        return on_message

    def _ping(self) -> dict[str, Any]:
        return {"type": "io.nats.micro.v1.ping_response", **self._base}

    def _info(self) -> dict[str, Any]:
        return {
            "type": "io.nats.micro.v1.info_response",
            **self._base,
            "description": self._description,
            "endpoints": [
                {
                    "name": e.name,
                    "subject": e.subject,
                    "queue_group": e.queue,
                    "metadata": e.metadata,
                }
                for e in self._endpoints
            ],
        }

    def _stats_response(self, endpoint: Endpoint) -> dict[str, Any]:
        stats = self._stats(endpoint.name)
        return {
            "name": endpoint.name,
            "subject": endpoint.subject,
            "queue_group": endpoint.queue,
            "num_requests": stats.requests,
            "num_errors": stats.errors,
            "last_error": stats.last_error,
            "processing_time": stats.processing_ns,
            "average_processing_time": stats.processing_ns // stats.requests if stats.requests else 0,
            "data": stats.data,
        }

    def _stats_all(self) -> dict[str, Any]:
        return {
            "type": "io.nats.micro.v1.stats_response",
            **self._base,
            "started": self._started,
            "endpoints": [self._stats_response(e) for e in self._endpoints],
        }
