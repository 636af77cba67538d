"""Wires and starts an agents service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os

from caravan_bus import process
from caravan_bus.control.standing import Standing
from caravan_bus.discovery import Discovery, Endpoint
from caravan_bus.tasks import before, cancel_and_wait
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts.users import AGENTS
from caravan_contracts.work import COMPLETIONS, RESPONSES, WEBHOOKS
from caravan_storage import migrations
from caravan_storage.postgres import Postgres, PostgresOptions

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
from caravan_agents.webhooks import endpoints as webhook_endpoints
from caravan_agents.webhooks.service import Webhooks

log = logging.getLogger(__name__)

_HAND_OVER_SECONDS = 10.0
"""A response in the background that is not finished by then goes on elsewhere, or after the next start."""
_COMPLETIONS = "queue-completions"
_RESPONSES = "queue-responses"
_WEBHOOKS = "queue-webhooks"
_QUEUES = {_COMPLETIONS: COMPLETIONS.subject, _RESPONSES: RESPONSES.subject, _WEBHOOKS: WEBHOOKS.subject}
_WORK = {"mode": "work queue"}


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then finish what is under way and leave. Raises CaravanError when it cannot begin."""
    async with Standing(settings, AGENTS, stop) as standing:
        endpoints = webhook_endpoints.load(settings.stack, os.environ)
        leave = standing.leave
        nats = await standing.connect()
        if nats is None:
            return
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        jetstream = JetStream(nats, AGENTS, standing.instance)
        await jetstream.start()
        leave.push_async_callback(jetstream.close)
        queue = JetStreamQueue(jetstream, COMPLETIONS)
        service = CompletionService(Store(postgres), queue)
        consumer = Consumer(queue, service.keep, ConsumerOptions(at_once=settings.at_once))
        webhooks = Webhooks(JetStreamQueue(jetstream, WEBHOOKS), endpoints)
        leave.push_async_callback(webhooks.close)
        verbs.install(standing.broker, service, completions.VERBS)
        kept = _conversations(postgres, settings)
        templates = prompt_store.Store(postgres, settings.prompt_versions)
        verbs.install(standing.broker, ConversationService(kept, settings.item_bytes), conversations.VERBS)
        verbs.install(standing.broker, PromptService(templates, settings.prompt_bytes), prompts.VERBS)
        runs = JetStreamQueue(jetstream, RESPONSES)
        store = ResponseStore(postgres, kept, settings.item_bytes)
        serving = Serving(nats, standing.instance, settings, postgres, store, templates, runs, webhooks)
        leave.push_async_callback(serving.close)
        making = Consumer(runs, serving.background.work, ConsumerOptions(at_once=settings.background_at_once))
        asked = verbs.endpoints([*completions.VERBS, *conversations.VERBS, *prompts.VERBS])
        stats_of = {
            _COMPLETIONS: consumer.stats,
            _RESPONSES: making.stats,
            _WEBHOOKS: webhooks.consumer.stats,
        }
        discovery = Discovery(
            nats,
            "caravan-agents",
            standing.instance,
            "what is remembered of conversations with models, and what is said to them",
            [*asked, *serving.endpoints(), *[Endpoint(name, at, "", _WORK) for name, at in _QUEUES.items()]],
            lambda verb: stats_of.get(verb) or serving.stats(verb) or standing.counts.of(verbs.subject(verb)),
        )
        standing.watch(lambda: consumer.problem or making.problem, serving.refresh)
        prepared = await before(stop, migrations.migrate_once_there(postgres, AGENTS, "caravan_agents.migrations"))
        if not prepared or not await standing.answer():
            return
        sweeper = Sweeper(postgres, settings.completions_days, settings.completions_max)
        for task in (
            asyncio.create_task(sweeper.run(), name="sweeper"),
            asyncio.create_task(serving.sweeper.run(), name="run-sweeper"),
        ):
            leave.push_async_callback(cancel_and_wait, task)
        await consumer.start()
        await webhooks.start()
        await serving.start()
        await making.start()
        await standing.announce(discovery)
        await stop.wait()
        log.info("draining: %d jobs and %d responses under way", len(consumer), serving.active + len(making))
        await asyncio.gather(
            consumer.drain(settings.drain_seconds),
            making.drain(min(settings.drain_seconds, _HAND_OVER_SECONDS)),
            webhooks.drain(settings.drain_seconds),
            standing.drain(),
            serving.drain(settings.drain_seconds),
        )


def _conversations(postgres: Postgres, settings: Settings) -> conversation_store.Store:
    bounds = conversation_store.Bounds(settings.conversation_items, settings.conversation_bytes)
    return conversation_store.Store(postgres, bounds)


def main() -> None:
    """``python -m caravan_agents``."""
    process.serve(AGENTS, Settings, serve)
