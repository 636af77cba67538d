"""Wires and starts a safety service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack

from caravan_bus import logs, process, tracing
from caravan_bus.control import broker as brokers
from caravan_bus.control import verbs
from caravan_bus.control.entries import Entries
from caravan_bus.control.messages import Counts
from caravan_bus.discovery import Discovery, Endpoint
from caravan_bus.model_line import ModelLine
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.settings import instance_id
from caravan_bus.tasks import before, cancel_and_wait
from caravan_bus.verdicts import VerdictLog
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts import subjects
from caravan_contracts.errors import CaravanError
from caravan_contracts.users import SAFETY
from caravan_contracts.work import VERDICTS
from caravan_storage import migrations
from caravan_storage.blobs import RedisClaims
from caravan_storage.postgres import Postgres, PostgresOptions
from pydantic import ValidationError

from caravan_safety import handlers, recording
from caravan_safety.recording import Recorder
from caravan_safety.service import SafetyService
from caravan_safety.settings import Settings
from caravan_safety.sharing import Sharing
from caravan_safety.store import Store

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_DAY = 86_400.0
_QUEUE = "queue-verdicts"


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then answer what was asked and leave. Raises CaravanError when it cannot begin."""
    instance = settings.instance or instance_id("safety")
    logs.configure(settings.log_level, settings.log_format, SAFETY, instance)
    tracing.configure(SAFETY, instance)
    async with AsyncExitStack() as leave:
        leave.callback(tracing.shutdown)
        options = NatsOptions(settings.nats_url, SAFETY, settings.nats_nkey_seed, instance)
        nats = await before(stop, connect(options))
        if nats is None:
            return
        leave.push_async_callback(nats.close)
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        claims = RedisClaims.from_url(settings.redis_url) if settings.redis_url else None
        if claims is not None:
            leave.push_async_callback(claims.close)
        jetstream = JetStream(nats, SAFETY, instance)
        await jetstream.start()
        leave.push_async_callback(jetstream.close)
        queue = JetStreamQueue(jetstream, VERDICTS)
        line = ModelLine(nats, SAFETY, instance, claims)
        store = Store(postgres)
        sharing = Sharing(line.view, line.client, settings.allowed_hosts, os.environ, settings.at_once)
        leave.push_async_callback(sharing.close)
        told = VerdictLog(nats, queue)
        leave.push_async_callback(told.close, 5.0)
        recorder = Recorder(store, settings.keep_days * _DAY, settings.sweep_seconds)
        consumer = Consumer(queue, recorder.keep, ConsumerOptions(at_once=recording.AT_ONCE))
        counts = Counts()
        service = SafetyService(sharing.shields, store, told, sharing.tried, settings.moderation_shield)
        broker = brokers.make(options, counts)
        verbs.install(broker, SAFETY, service, handlers.VERBS)
        discovery = Discovery(
            nats,
            "caravan-safety",
            instance,
            "shields: what is in a text that should not be there",
            [*verbs.endpoints(SAFETY, handlers.VERBS), Endpoint(_QUEUE, VERDICTS.subject, "", {"mode": "work queue"})],
            lambda verb: consumer.stats if verb == _QUEUE else counts.of(subjects.request(SAFETY, verb)),
        )
        ready = asyncio.Event()

        def not_ready() -> str:
            if stop.is_set():
                return "draining"
            if not (nats.connected and brokers.connected(broker)):
                return "NATS is gone"
            return consumer.problem if ready.is_set() else "waiting for PostgreSQL"

        if settings.ops_port:
            ops = OpsServer(settings.ops_host, settings.ops_port, not_ready)
            ops.start()
            leave.callback(ops.stop)
        prepared = await before(stop, migrations.migrate_once_there(postgres, SAFETY, "caravan_safety.migrations"))
        if not prepared:
            return
        await line.start()
        leave.push_async_callback(line.close)
        if not await before(stop, brokers.start(broker)):
            return
        leave.push_async_callback(brokers.stop, broker)
        for work in (_look(consumer), recorder.sweep()):
            leave.push_async_callback(cancel_and_wait, asyncio.create_task(work))
        entries = Entries(nats, SAFETY, service, handlers.ENTRIES)
        leave.push_async_callback(entries.close)
        await entries.start()
        await consumer.start()
        await discovery.start()
        ready.set()
        log.info("safety %s is up", instance)
        await stop.wait()
        log.info("draining")
        await discovery.stop()
        await brokers.drain(broker, settings.drain_seconds, counts)
        await consumer.drain(settings.drain_seconds)


async def _look(consumer: Consumer) -> None:
    """Keep the numbers of the queue fresh for metrics and discovery."""
    while True:
        try:
            await consumer.refresh()
        except CaravanError as error:
            log.debug("the queue cannot be looked at now: %s", error.message)
        await asyncio.sleep(_LOOK_SECONDS)


def main() -> None:
    """``python -m caravan_safety``."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(process.settings_problem(SAFETY, error))
    sys.exit(process.run(SAFETY, lambda stop: serve(settings, stop)))
