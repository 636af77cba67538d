"""Wires and starts an agents service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack

from caravan_bus import logs, process, tracing
from caravan_bus.control import broker as brokers
from caravan_bus.control.messages import Counts
from caravan_bus.discovery import Discovery, Endpoint
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.settings import instance_id
from caravan_bus.tasks import before, cancel_and_wait
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts.channels import AGENTS
from caravan_contracts.errors import CaravanError, DependencyDown
from caravan_contracts.work import COMPLETIONS
from caravan_storage import migrations
from caravan_storage.backoff import pauses
from caravan_storage.postgres import Postgres, PostgresOptions
from pydantic import ValidationError

from caravan_agents import verbs
from caravan_agents.completions import handlers as completions
from caravan_agents.completions.service import CompletionService
from caravan_agents.completions.store import Store
from caravan_agents.completions.sweeping import Sweeper
from caravan_agents.conversations import handlers as conversations
from caravan_agents.conversations import store as conversation_store
from caravan_agents.conversations.service import ConversationService
from caravan_agents.prompts import handlers as prompts
from caravan_agents.prompts import store as prompt_store
from caravan_agents.prompts.service import PromptService
from caravan_agents.responses.store import ResponseStore
from caravan_agents.serving import Serving
from caravan_agents.settings import Settings

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_QUEUE = "queue-completions"


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then finish what is under way and leave. Raises CaravanError when it cannot begin."""
    instance = settings.instance or instance_id("agents")
    logs.configure(settings.log_level, settings.log_format, AGENTS, instance)
    tracing.configure(AGENTS, instance)
    async with AsyncExitStack() as leave:
        leave.callback(tracing.shutdown)
        options = NatsOptions(settings.nats_url, AGENTS, settings.nats_nkey_seed, instance)
        nats = await before(stop, connect(options))
        if nats is None:
            return
        leave.push_async_callback(nats.close)
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        jetstream = JetStream(nats, AGENTS, instance)
        await jetstream.start()
        leave.push_async_callback(jetstream.close)
        queue = JetStreamQueue(jetstream, COMPLETIONS)
        service = CompletionService(Store(postgres), queue)
        consumer = Consumer(queue, service.keep, ConsumerOptions(at_once=settings.at_once))
        counts = Counts()
        broker = brokers.make(options, counts)
        verbs.install(broker, service, completions.VERBS)
        kept = _conversations(postgres, settings)
        templates = prompt_store.Store(postgres, settings.prompt_versions)
        verbs.install(broker, ConversationService(kept, settings.item_bytes), conversations.VERBS)
        verbs.install(broker, PromptService(templates, settings.prompt_bytes), prompts.VERBS)
        serving = Serving(nats, instance, settings, ResponseStore(postgres, kept, settings.item_bytes), templates)
        leave.push_async_callback(serving.close)
        asked = verbs.endpoints([*completions.VERBS, *conversations.VERBS, *prompts.VERBS])
        discovery = Discovery(
            nats,
            "caravan-agents",
            instance,
            "what is remembered of conversations with models, and what is said to them",
            [*asked, *serving.endpoints(), Endpoint(_QUEUE, COMPLETIONS.subject, "", {"mode": "work queue"})],
            lambda verb: consumer.stats if verb == _QUEUE else serving.stats(verb) or counts.of(verbs.subject(verb)),
        )
        ready = asyncio.Event()

        def not_ready() -> str:
            if stop.is_set():
                return "draining"
            if not (nats.connected and brokers.connected(broker)):
                return "NATS is gone"
            return consumer.problem if ready.is_set() else "waiting for PostgreSQL"

        if settings.ops_port:
            ops = OpsServer(settings.ops_host, settings.ops_port, not_ready, serving.refresh)
            ops.start()
            leave.callback(ops.stop)
        prepared = await before(stop, _prepare(postgres))
        if not prepared or not await before(stop, brokers.start(broker)):
            return
        leave.push_async_callback(brokers.stop, broker)
        sweeper = Sweeper(postgres, settings.completions_days, settings.completions_max)
        for task in (
            asyncio.create_task(sweeper.run(), name="sweeper"),
            asyncio.create_task(_look(consumer), name="look"),
        ):
            leave.push_async_callback(cancel_and_wait, task)
        await consumer.start()
        await serving.start()
        await discovery.start()
        ready.set()
        log.info("agents %s is up", instance)
        await stop.wait()
        log.info("draining: %d jobs and %d responses under way", len(consumer), serving.active)
        await discovery.stop()
        await asyncio.gather(
            consumer.drain(settings.drain_seconds),
            brokers.drain(broker, settings.drain_seconds, counts),
            serving.drain(settings.drain_seconds),
        )


def _conversations(postgres: Postgres, settings: Settings) -> conversation_store.Store:
    bounds = conversation_store.Bounds(settings.conversation_items, settings.conversation_bytes)
    return conversation_store.Store(postgres, bounds)


async def _prepare(postgres: Postgres) -> bool:
    """Make the tables, as soon as PostgreSQL is there. Raises MigrationError."""
    files = migrations.load("caravan_agents.migrations")
    for pause in pauses():
        try:
            await migrations.migrate(postgres, AGENTS, files)
        except DependencyDown as error:
            log.info("waiting for PostgreSQL: %s", error.message)
            await asyncio.sleep(pause)
        else:
            break
    return True


async def _look(consumer: Consumer) -> None:
    """Keep the numbers of the queue fresh for metrics and discovery."""
    while True:
        try:
            await consumer.refresh()
        except CaravanError as error:
            log.debug("the queue cannot be looked at now: %s", error.message)
        await asyncio.sleep(_LOOK_SECONDS)


def main() -> None:
    """``python -m caravan_agents``."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(process.settings_problem(AGENTS, error))
    sys.exit(process.run(AGENTS, lambda stop: serve(settings, stop)))
