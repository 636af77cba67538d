"""A replay as a worker of the mesh: slots, presence and streams like an inference worker's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from caravan_bus.discovery import Discovery, Endpoint, EndpointStats
from caravan_bus.inference import Claims
from caravan_bus.presence import PresenceBeacon, PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.slots import Slots
from caravan_bus.stream.server import StreamServer
from caravan_bus.transport import Transport
from caravan_contracts import subjects as s
from caravan_contracts.inference import SERVICE
from caravan_contracts.users import REPLAY

from caravan_recorder.library import Library
from caravan_recorder.options import ReplayOptions
from caravan_recorder.provider import ReplayProvider
from caravan_recorder.service import ReplayService

log = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 10.0


class Replay:
    """One run."""

    def __init__(self, options: ReplayOptions, worker: str, library: Library) -> None:
        self.options = options
        self.worker = worker
        self.library = library

    async def run(
        self, transport: Transport, claims: Claims | None, stop: asyncio.Event, on_ready: Callable[[], None]
    ) -> None:
        """Serve until `stop` is set. Raises Conflict, DependencyDown."""
        options, worker = self.options, self.worker
        requester = Requester(transport, REPLAY, worker)
        view = RegistryView(transport, requester)
        table = PresenceTable(transport, SERVICE, s.inbox_prefix(REPLAY, f"{worker}-probe"))
        slots = Slots()
        service = ReplayService(self.library, options.speed, claims)
        server = StreamServer(transport, SERVICE, worker, slots, service.serve, user=REPLAY)
        beacon = PresenceBeacon(transport, SERVICE, worker, slots)
        provider = ReplayProvider(options.provider, worker, self.library.models(), view, requester, table)

        def stats(name: str) -> EndpointStats:
            counted = server.stats[name.removeprefix("at-")]
            counted.data = {"active": server.active, "resends": server.resends}
            return counted

        endpoints = [Endpoint(f"at-{verb}", at, "", {"mode": "frames"}) for verb, at in server.subjects.items()]
        discovery = Discovery(transport, "caravan-replay", worker, "answers from recordings", endpoints, stats)
        for part in (requester, view, table, server, discovery):
            await part.start()
        try:
            await provider.start()
            slots.offer(options.provider, options.slots)
            await beacon.start()
            log.info("worker %s answers as provider %s", worker, options.provider)
            on_ready()
            await stop.wait()
            beacon.drain()
            server.refuse_new()
        finally:
            await discovery.stop()
            await server.drain(DRAIN_SECONDS)
            await provider.close()
            await table.close()
            await beacon.leave()
            await view.close()
            await requester.close()
