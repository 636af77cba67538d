"""What every service has that answers verbs: its logs, its place on the bus, its broker, and what operators ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from caravan_bus import logs, tracing
from caravan_bus.control import broker as brokers
from caravan_bus.control.messages import Counts
from caravan_bus.discovery import Discovery
from caravan_bus.nats import NatsOptions, NatsTransport, connect
from caravan_bus.ops import OpsServer
from caravan_bus.settings import ServiceSettings, instance_id
from caravan_bus.tasks import before

log = logging.getLogger(__name__)


class Standing:
    """One process of a service, from its first line of log to its last: an asynchronous context manager.

    :meth:`connect`, :meth:`watch`, :meth:`answer`, :meth:`announce`, then wait for `stop`, and :meth:`drain`.
    """

    def __init__(self, settings: ServiceSettings, service: str, stop: asyncio.Event) -> None:
        """`service` is its user on the bus."""
        self._settings = settings
        self._stop = stop
        self._service = service
        self._nats: NatsTransport | None = None
        self._discovery: Discovery | None = None
        self.instance = settings.instance or instance_id(service)
        self._options = NatsOptions(settings.nats_url, service, settings.nats_nkey_seed, self.instance)
        self.leave = AsyncExitStack()
        """What is closed at the end, last first."""
        self.counts = Counts()
        self.broker = brokers.make(self._options, self.counts)
        self.waiting = "waiting for PostgreSQL"
        """What keeps it from being announced; "" from then on."""

    async def __aenter__(self) -> Self:
        logs.configure(self._settings.log_level, self._settings.log_format, self._service, self.instance)
        tracing.configure(self._service, self.instance)
        self.leave.callback(tracing.shutdown)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return await self.leave.__aexit__(kind, error, trace)

    async def connect(self) -> NatsTransport | None:
        """The connection for all but verbs; None when `stop` came first."""
        self._nats = await before(self._stop, connect(self._options))
        if self._nats is not None:
            self.leave.push_async_callback(self._nats.close)
        return self._nats

    def watch(self, problem: Callable[[], str], refresh: Callable[[], None] = lambda: None) -> None:
        """Answer operators from here on, if they have a port. `problem` is why no work can be taken, when neither the
        bus nor what is waited for is the reason; `refresh` brings gauges up to date. Raises CaravanError."""

        def not_ready() -> str:
            if self._stop.is_set():
                return "draining"
            if self._nats is None or not (self._nats.connected and brokers.connected(self.broker)):
                return "NATS is gone"
            return self.waiting or problem()

        if self._settings.ops_port:
            ops = OpsServer(self._settings.ops_host, self._settings.ops_port, not_ready, refresh)
            ops.start()
            self.leave.callback(ops.stop)

    async def answer(self) -> bool:
        """Let the broker take requests; whether it came to that before `stop`."""
        if not await before(self._stop, brokers.start(self.broker)):
            return False
        self.leave.push_async_callback(brokers.stop, self.broker)
        return True

    async def announce(self, discovery: Discovery) -> None:
        """Everything runs: be found, and be ready."""
        self._discovery = discovery
        await discovery.start()
        self.waiting = ""
        log.info("%s %s is up", self._service, self.instance)

    async def drain(self) -> None:
        """Be found no more, take no further verbs, and answer those that were taken."""
        if self._discovery is not None:
            await self._discovery.stop()
        await brokers.drain(self.broker, self._settings.drain_seconds, self.counts)
