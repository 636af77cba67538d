"""The streaming side of an agents service: models it asks, and callers it answers, over frames."""

from __future__ import annotations

import os
import time

from caravan_bus import metrics
from caravan_bus.discovery import Endpoint, EndpointStats
from caravan_bus.foreign.entry import ForeignEntry
from caravan_bus.model_line import ModelLine
from caravan_bus.nats import NatsTransport
from caravan_bus.presence import PresenceBeacon, PresenceTable
from caravan_bus.responses import AgentRuns
from caravan_bus.router import Router
from caravan_bus.settings import read_secret_file
from caravan_bus.slots import Slots
from caravan_bus.stream.server import StreamServer
from caravan_bus.work.queue import WorkQueue
from caravan_contracts import subjects as s
from caravan_contracts.response_operations import ResponseOperation
from caravan_contracts.responses import FOLLOWS, RECALLS, RUNS, ResponseVerb
from caravan_contracts.users import AGENTS
from caravan_storage import objects
from caravan_storage.blobs import RedisClaims
from caravan_storage.postgres import Postgres
from caravan_storage.redis import Redis

from caravan_agents.entry import ResponseDesk
from caravan_agents.prompts.store import Store as Prompts
from caravan_agents.responses.attachments import Attachments
from caravan_agents.responses.compacting import Compactor
from caravan_agents.responses.operations import Operations
from caravan_agents.responses.sealing import Sealing
from caravan_agents.responses.service import ResponseService
from caravan_agents.responses.store import ResponseStore
from caravan_agents.runs.background import Background
from caravan_agents.runs.cancelling import Cancelling
from caravan_agents.runs.journal import Journal
from caravan_agents.runs.keeper import Keeper
from caravan_agents.runs.notices import Notices
from caravan_agents.runs.parts import Parts
from caravan_agents.runs.sweeping import RunSweeper
from caravan_agents.runs.tail import Tail
from caravan_agents.settings import Settings
from caravan_agents.tools.kits import Kits
from caravan_agents.webhooks.service import Webhooks


class Serving:
    """One per process. Parts are started in the order in which they need each other, and closed in the other."""

    def __init__(
        self,
        nats: NatsTransport,
        instance: str,
        settings: Settings,
        postgres: Postgres,
        store: ResponseStore,
        prompts: Prompts,
        queue: WorkQueue,
        webhooks: Webhooks,
    ) -> None:
        redis_url = read_secret_file(settings.redis_url_file) if settings.redis_url_file else settings.redis_url
        self._claims = RedisClaims.from_url(redis_url) if redis_url else None
        self._settings = settings
        line = ModelLine(nats, AGENTS, instance, self._claims)
        client = line.client
        self._objects = objects.from_url(settings.objects_url, os.environ) if settings.objects_url else None
        attachments = Attachments(line.requester, self._objects, settings.input_file_bytes)
        compactor = Compactor(client, Sealing.of(settings.secret), attachments)
        hours = settings.events_hours * 3600
        tools = Kits(settings, line.requester)
        notices = Notices(postgres, webhooks)
        self._tail = Tail(Redis(redis_url) if redis_url else None, hours)
        journal = Journal(postgres)
        self._keeper = Keeper(journal)
        parts = Parts(
            instance,
            client,
            store,
            prompts,
            journal,
            self._tail,
            self._keeper,
            tools,
            compactor,
            attachments,
            notices,
            settings.max_turns,
            settings.background_seconds,
        )
        self.background = Background(parts, queue, settings.background_queued)
        self.sweeper = RunSweeper(postgres, journal, self.background, notices, hours)
        self._cancelling = Cancelling(parts, self.background, nats)
        service = ResponseService(parts, self.background, self._cancelling, self._claims)
        operations = Operations(store, self._claims, compactor, attachments, service.serve)
        self._slots = Slots()
        verbs = (*ResponseVerb, *ResponseOperation)
        self._server = StreamServer(nats, AGENTS, instance, self._slots, operations.serve, verbs)
        self._beacon = PresenceBeacon(nats, AGENTS, instance, self._slots)
        self._others = PresenceTable(nats, AGENTS, s.inbox_prefix(AGENTS, f"{instance}-agents-probe"))
        others = Router(nats, line.inbox, self._others)
        self._entry = ForeignEntry(nats, AGENTS, instance, ResponseDesk(AgentRuns(others, self._claims)))
        self._parts = (line, self._others, others)
        self._own = (self._tail, self._keeper, self._cancelling, tools)

    @property
    def active(self) -> int:
        """Requests under way."""
        return self._server.active + len(self._entry)

    def endpoints(self) -> list[Endpoint]:
        """For discovery."""
        own = [Endpoint(f"at-{verb}", at, "", {"mode": "frames"}) for verb, at in self._server.subjects.items()]
        mode = {"mode": "plain or frames"}
        return own + [Endpoint(verb, at, AGENTS, mode) for verb, at in self._entry.subjects().items()]

    def stats(self, name: str) -> EndpointStats | None:
        """Of one of :meth:`endpoints`; None when it is none of them."""
        if name.startswith("at-"):
            return self._server.stats.get(name.removeprefix("at-"))
        return self._entry.stats.get(name)

    def refresh(self) -> None:
        """Say in metrics what is under way."""
        for name, load in self._slots.loads().items():
            metrics.SLOTS.labels(name).set(load.slots)
            metrics.SLOTS_USED.labels(name).set(load.used)
        metrics.REQUESTS_OPEN.set(len(self._entry))
        metrics.STREAMS_OPEN.set(self._server.active)
        metrics.RESENDS.set(self._server.resends)
        metrics.RUNS_HELD.set(len(self._keeper))

    async def start(self) -> None:
        """Ask and answer from here on."""
        for part in (*self._parts, *self._own):
            await part.start()
        await self._server.start()
        self._slots.offer(RUNS, self._settings.responses_at_once)
        self._slots.offer(RECALLS, self._settings.recalls_at_once)
        self._slots.offer(FOLLOWS, self._settings.follows_at_once)
        await self._beacon.start()
        await self._entry.start()

    async def drain(self, seconds: float) -> None:
        """Take nothing more, and finish what is under way within `seconds`."""
        self._beacon.drain()
        self._server.refuse_new()
        # what is relayed first: what is cut off there goes on elsewhere only as long as nobody gave it up here
        until = time.monotonic() + seconds
        await self._entry.drain(seconds)
        await self._server.drain(max(0.0, until - time.monotonic()))
        await self._beacon.leave()

    async def close(self) -> None:
        """After :meth:`drain`, or instead of :meth:`start`."""
        for part in reversed((*self._parts, *self._own)):
            await part.close()
        if self._claims is not None:
            await self._claims.close()
        if self._objects is not None:
            await self._objects.close()
