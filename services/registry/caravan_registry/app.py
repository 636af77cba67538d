"""Wires and starts a registry; nothing else."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

from caravan_bus import process
from caravan_bus.control.standing import Standing
from caravan_bus.discovery import Discovery
from caravan_bus.tasks import before, cancel_and_wait
from caravan_contracts.users import REGISTRY
from caravan_storage import migrations
from caravan_storage.postgres import Postgres, PostgresOptions
from caravan_storage.redis import Redis

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
    async with Standing(settings, REGISTRY, stop) as standing:
        wanted = stack.load(settings.stack)
        files = migrations.load("caravan_registry.migrations")
        leave = standing.leave
        nats = await standing.connect()
        if nats is None:
            return
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
        handlers.install(standing.broker, RegistryService(store, follower))
        discovery = Discovery(
            nats,
            "caravan-registry",
            standing.instance,
            "which providers and models there are",
            handlers.endpoints(),
            lambda verb: standing.counts.of(handlers.subject(verb), {"revision": follower.mirror.revision}),
        )
        standing.watch(lambda: "" if follower.mirror.loaded else follower.problem)
        snapshots.start()
        following = asyncio.create_task(follower.run(), name="follower")
        leave.push_async_callback(cancel_and_wait, following)  # raises what ended it, if it was not us
        await before(stop, follower.tried.wait())
        if following.done() or not await standing.answer():
            return
        await standing.announce(discovery)
        await before(stop, asyncio.wait({following}))
        log.info("draining")
        await standing.drain()


def main() -> None:
    """``python -m caravan_registry``."""
    process.serve(REGISTRY, Settings, serve)
