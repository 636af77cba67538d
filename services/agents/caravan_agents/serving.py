"""The streaming side of an agents service: models it asks, and callers it answers, over frames."""

from __future__ import annotations

from caravan_bus import metrics
from caravan_bus.discovery import Endpoint, EndpointStats
from caravan_bus.inference import InferenceClient
from caravan_bus.nats import NatsTransport
from caravan_bus.presence import PresenceBeacon, PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.router import Router
from caravan_bus.routing.state import RoutingState
from caravan_bus.settings import read_secret_file
from caravan_bus.slots import Slots
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.server import StreamServer
from caravan_contracts import subjects as s
from caravan_contracts.channels import AGENTS, INFERENCE
from caravan_contracts.responses import RECALLS, RUNS, ResponseVerb
from caravan_storage.blobs import RedisClaims

from caravan_agents.prompts.store import Store as Prompts
from caravan_agents.responses.run import Parts
from caravan_agents.responses.service import ResponseService
from caravan_agents.responses.store import ResponseStore
from caravan_agents.settings import Settings


class Serving:
    """One per process. Parts are started in the order in which they need each other, and closed in the other."""

    def __init__(
        self, nats: NatsTransport, instance: str, settings: Settings, store: ResponseStore, prompts: Prompts
    ) -> None:
        redis_url = read_secret_file(settings.redis_url_file) if settings.redis_url_file else settings.redis_url
        self._claims = RedisClaims.from_url(redis_url) if redis_url else None
        self._settings = settings
        self._requester = Requester(nats, AGENTS, instance)
        self._view = RegistryView(nats, self._requester)
        self._inbox = StreamInbox(nats, nats, AGENTS, instance)
        self._table = PresenceTable(nats, INFERENCE, s.inbox_prefix(AGENTS, f"{instance}-probe"))
        self._routing = RoutingState(nats, instance)
        self._router = Router(nats, self._inbox, self._table)
        client = InferenceClient(self._view, self._router, self._claims, state=self._routing)
        service = ResponseService(Parts(client, store, prompts), self._claims)
        self._slots = Slots()
        self._server = StreamServer(nats, AGENTS, instance, self._slots, service.serve, tuple(ResponseVerb))
        self._beacon = PresenceBeacon(nats, AGENTS, instance, self._slots)
        self._parts = (self._requester, self._view, self._inbox, self._table, self._routing, self._router)

    @property
    def active(self) -> int:
        """Requests under way."""
        return self._server.active

    def endpoints(self) -> list[Endpoint]:
        """For discovery."""
        return [Endpoint(f"at-{verb}", at, "", {"mode": "frames"}) for verb, at in self._server.subjects.items()]

    def stats(self, name: str) -> EndpointStats | None:
        """Of one of :meth:`endpoints`; None when it is none of them."""
        return self._server.stats.get(name.removeprefix("at-")) if name.startswith("at-") else None

    def refresh(self) -> None:
        """Say in metrics what is under way."""
        for name, load in self._slots.loads().items():
            metrics.SLOTS.labels(name).set(load.slots)
            metrics.SLOTS_USED.labels(name).set(load.used)
        metrics.STREAMS_OPEN.set(self._server.active)
        metrics.RESENDS.set(self._server.resends)

    async def start(self) -> None:
        """Ask and answer from here on."""
        for part in self._parts:
            await part.start()
        await self._server.start()
        self._slots.offer(RUNS, self._settings.responses_at_once)
        self._slots.offer(RECALLS, self._settings.recalls_at_once)
        await self._beacon.start()

    async def drain(self, seconds: float) -> None:
        """Take nothing more, and finish what is under way within `seconds`."""
        self._beacon.drain()
        await self._server.drain(seconds)
        await self._beacon.leave()

    async def close(self) -> None:
        """After :meth:`drain`, or instead of :meth:`start`."""
        for part in reversed(self._parts):
            await part.close()
        if self._claims is not None:
            await self._claims.close()
