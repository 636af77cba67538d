"""Wires and starts a safety service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os

from caravan_bus import process
from caravan_bus.control import verbs
from caravan_bus.control.entries import Entries
from caravan_bus.control.standing import Standing
from caravan_bus.discovery import Discovery, Endpoint
from caravan_bus.model_line import ModelLine
from caravan_bus.tasks import before, cancel_and_wait
from caravan_bus.verdicts import VerdictLog
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts import subjects
from caravan_contracts.users import SAFETY
from caravan_contracts.work import VERDICTS
from caravan_storage import migrations
from caravan_storage.blobs import RedisClaims
from caravan_storage.postgres import Postgres, PostgresOptions

from caravan_safety import handlers, recording
from caravan_safety.recording import Recorder
from caravan_safety.service import SafetyService
from caravan_safety.settings import Settings
from caravan_safety.sharing import Sharing
from caravan_safety.store import Store

log = logging.getLogger(__name__)

_DAY = 86_400.0
_QUEUE = "queue-verdicts"


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then answer what was asked and leave. Raises CaravanError when it cannot begin."""
    async with Standing(settings, SAFETY, stop) as standing:
        leave = standing.leave
        nats = await standing.connect()
        if nats is None:
            return
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        claims = RedisClaims.from_url(settings.redis_url) if settings.redis_url else None
        if claims is not None:
            leave.push_async_callback(claims.close)
        jetstream = JetStream(nats, SAFETY, standing.instance)
        await jetstream.start()
        leave.push_async_callback(jetstream.close)
        queue = JetStreamQueue(jetstream, VERDICTS)
        line = ModelLine(nats, SAFETY, standing.instance, claims)
        store = Store(postgres)
        sharing = Sharing(line.view, line.client, settings.allowed_hosts, os.environ, settings.at_once)
        leave.push_async_callback(sharing.close)
        told = VerdictLog(nats, queue)
        leave.push_async_callback(told.close, 5.0)
        recorder = Recorder(store, settings.keep_days * _DAY, settings.sweep_seconds)
        consumer = Consumer(queue, recorder.keep, ConsumerOptions(at_once=recording.AT_ONCE))
        service = SafetyService(sharing.shields, store, told, sharing.tried, settings.moderation_shield)
        verbs.install(standing.broker, SAFETY, service, handlers.VERBS)
        discovery = Discovery(
            nats,
            "caravan-safety",
            standing.instance,
            "shields: what is in a text that should not be there",
            [*verbs.endpoints(SAFETY, handlers.VERBS), Endpoint(_QUEUE, VERDICTS.subject, "", {"mode": "work queue"})],
            lambda verb: consumer.stats if verb == _QUEUE else standing.counts.of(subjects.request(SAFETY, verb)),
        )
        standing.watch(lambda: consumer.problem)
        prepared = await before(stop, migrations.migrate_once_there(postgres, SAFETY, "caravan_safety.migrations"))
        if not prepared:
            return
        await line.start()
        leave.push_async_callback(line.close)
        if not await standing.answer():
            return
        sweeping = asyncio.create_task(recorder.sweep(), name="sweeper")
        leave.push_async_callback(cancel_and_wait, sweeping)
        entries = Entries(nats, SAFETY, service, handlers.ENTRIES)
        leave.push_async_callback(entries.close)
        await entries.start()
        await consumer.start()
        await standing.announce(discovery)
        await stop.wait()
        log.info("draining")
        await standing.drain()
        await consumer.drain(settings.drain_seconds)


def main() -> None:
    """``python -m caravan_safety``."""
    process.serve(SAFETY, Settings, serve)
