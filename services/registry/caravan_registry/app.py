"""Wires and starts a registry; nothing else."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from typing import TypeVar

from caravan_bus import logs, process, tracing
from caravan_bus.control import broker as brokers
from caravan_bus.control.messages import Counts
from caravan_bus.discovery import Discovery
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.settings import instance_id
from caravan_bus.tasks import before, cancel_and_wait
from caravan_contracts.users import REGISTRY
from caravan_storage import migrations
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_storage.redis import Redis
from pydantic import ValidationError

from caravan_registry import handlers, stack
from caravan_registry.facts import Facts
from caravan_registry.follower import Follower
from caravan_registry.seeding import seed
from caravan_registry.service import RegistryService
from caravan_registry.settings import Settings
from caravan_registry.snapshots import Snapshots
from caravan_registry.store import Store

log = logging.getLogger(__name__)

T = TypeVar("T")


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then answer what was asked and leave. Raises CaravanError when it cannot begin."""
    instance = settings.instance or instance_id("reg")
    logs.configure(settings.log_level, settings.log_format, REGISTRY, instance)
    tracing.configure(REGISTRY, instance)
    wanted = stack.load(settings.stack)
    files = migrations.load("caravan_registry.migrations")
    async with AsyncExitStack() as leave:
        leave.callback(tracing.shutdown)
        options = NatsOptions(settings.nats_url, REGISTRY, settings.nats_nkey_seed, instance)
        nats = await before(stop, connect(options))
        if nats is None:
            return
        leave.push_async_callback(nats.close)
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        snapshots = Snapshots(Redis(settings.redis_url) if settings.redis_url else None)
        leave.push_async_callback(snapshots.close)
        store, facts = Store(postgres), Facts(nats)

        async def prepare() -> None:
            await migrations.migrate(postgres, REGISTRY, files)
            fact = await seed(store, wanted)
            if fact is not None:
                log.info("stack %s: %d put, %d removed", wanted.source, len(fact.changed), len(fact.removed))
                facts.changed(fact)

        follower = Follower(store, snapshots, prepare, facts)
        counts = Counts()
        broker = brokers.make(options, counts)
        handlers.install(broker, RegistryService(store, follower))
        discovery = Discovery(
            nats,
            "caravan-registry",
            instance,
            "which providers and models there are",
            handlers.endpoints(),
            lambda verb: counts.of(handlers.subject(verb), {"revision": follower.mirror.revision}),
        )

        def not_ready() -> str:
            if stop.is_set():
                return "draining"
            if not (nats.connected and brokers.connected(broker)):
                return "NATS is gone"
            return "" if follower.mirror.loaded else follower.problem

        if settings.ops_port:
            ops = OpsServer(settings.ops_host, settings.ops_port, not_ready)
            ops.start()
            leave.callback(ops.stop)
        snapshots.start()
        following = asyncio.create_task(follower.run(), name="follower")
        leave.push_async_callback(cancel_and_wait, following)  # raises what ended it, if it was not us
        await before(stop, follower.tried.wait())
        if following.done() or not await before(stop, brokers.start(broker)):
            return
        leave.push_async_callback(brokers.stop, broker)
        await discovery.start()
        log.info("registry %s is up", instance)
        await before(stop, asyncio.wait({following}))
        log.info("draining")
        await discovery.stop()
        await brokers.drain(broker, settings.drain_seconds)


def main() -> None:
    """``python -m caravan_registry``."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(process.settings_problem(REGISTRY, error))
    sys.exit(process.run(REGISTRY, lambda stop: serve(settings, stop)))
