"""Wires and starts an inference worker; nothing else."""

from __future__ import annotations

import asyncio
import logging

from caravan_bus import logs, metrics, process, tracing
from caravan_bus.discovery import Discovery, Endpoint, EndpointStats
from caravan_bus.foreign.entry import ForeignEntry
from caravan_bus.guarding.line import GuardLine
from caravan_bus.inference import InferenceClient
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.presence import PresenceBeacon, PresenceTable
from caravan_bus.registry_view import RegistryView
from caravan_bus.requests import Requester
from caravan_bus.router import Router
from caravan_bus.routing.state import RoutingState
from caravan_bus.settings import instance_id, read_secret_file
from caravan_bus.slots import Slots
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.server import StreamServer
from caravan_bus.tasks import before
from caravan_contracts import subjects as s
from caravan_contracts.inference import SERVICE
from caravan_contracts.users import INFERENCE
from caravan_storage.blobs import RedisClaims

from caravan_inference.entry import InferenceDesk
from caravan_inference.pool import ProviderPool
from caravan_inference.service import InferenceService
from caravan_inference.settings import Settings

log = logging.getLogger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then finish what is under way and leave."""
    worker = settings.instance or instance_id("inf")
    logs.configure(settings.log_level, settings.log_format, INFERENCE, worker)
    tracing.configure(INFERENCE, worker)
    nats = await before(stop, connect(NatsOptions(settings.nats_url, INFERENCE, settings.nats_nkey_seed, worker)))
    if nats is None:
        return
    redis_url = read_secret_file(settings.redis_url_file) if settings.redis_url_file else settings.redis_url
    claims = RedisClaims.from_url(redis_url) if redis_url else None

    requester = Requester(nats, INFERENCE, worker)
    view = RegistryView(nats, requester)
    slots = Slots()
    pool = ProviderPool(settings, worker, view, requester, slots)
    service = InferenceService(pool, claims)
    server = StreamServer(nats, SERVICE, worker, slots, service.serve)
    beacon = PresenceBeacon(nats, SERVICE, worker, slots)

    inbox = StreamInbox(nats, nats, INFERENCE, worker)
    table = PresenceTable(nats, SERVICE, s.inbox_prefix(INFERENCE, f"{worker}-probe"))
    routing = RoutingState(nats, worker)
    router = Router(nats, inbox, table)
    guards = GuardLine(nats, requester, INFERENCE, worker)
    client = InferenceClient(view, router, claims, state=routing, guarding=guards.guarding)
    entry = ForeignEntry(nats, SERVICE, worker, InferenceDesk(view, client))

    def stats(name: str) -> EndpointStats:
        if name in entry.stats:
            return entry.stats[name]
        counted = server.stats[name.removeprefix("at-")]
        loads = {provider: [load.slots, load.used] for provider, load in slots.loads().items()}
        counted.data = {"active": server.active, "slots": loads, "resends": server.resends}
        return counted

    endpoints = [Endpoint(f"at-{verb}", at, "", {"mode": "frames"}) for verb, at in server.subjects.items()]
    endpoints += [Endpoint(v, at, SERVICE, {"mode": "plain or frames"}) for v, at in entry.subjects().items()]
    discovery = Discovery(nats, "caravan-inference", worker, "runs models", endpoints, stats)

    def not_ready() -> str:
        if not nats.connected:
            return "NATS is gone"
        return "draining" if stop.is_set() else pool.not_ready()

    ops = (
        OpsServer(settings.ops_host, settings.ops_port, not_ready, lambda: _gauges(slots, server, entry))
        if settings.ops_port
        else None
    )
    if ops is not None:
        ops.start()
    await requester.start()
    await view.start()
    await inbox.start()
    await table.start()
    await routing.start()
    await router.start()
    await guards.start()
    await server.start()
    await pool.start()
    await beacon.start()
    await entry.start()
    await discovery.start()
    log.info("worker %s is up", worker)

    await stop.wait()
    log.info("draining: %d requests under way", server.active)
    await discovery.stop()
    beacon.drain()
    server.refuse_new()
    await entry.drain(settings.drain_seconds)
    await server.drain(settings.drain_seconds)
    await beacon.leave()
    await pool.close()
    await guards.close()
    await router.close()
    await routing.close()
    await table.close()
    await inbox.close()
    await view.close()
    await requester.close()
    await nats.close()
    if claims is not None:
        await claims.close()
    if ops is not None:
        ops.stop()
    tracing.shutdown()


def _gauges(slots: Slots, server: StreamServer, entry: ForeignEntry) -> None:
    metrics.REQUESTS_OPEN.set(len(entry))
    for name, load in slots.loads().items():
        metrics.SLOTS.labels(name).set(load.slots)
        metrics.SLOTS_USED.labels(name).set(load.used)
    metrics.STREAMS_OPEN.set(server.active)
    metrics.RESENDS.set(server.resends)


def main() -> None:
    """``python -m caravan_inference``: configured by the environment alone."""
    process.serve(INFERENCE, Settings, serve)
