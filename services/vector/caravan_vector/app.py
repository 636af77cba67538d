"""Wires and starts a vector service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from contextlib import AsyncExitStack

from caravan_bus import logs, process, tracing
from caravan_bus.control import broker as brokers
from caravan_bus.control import verbs
from caravan_bus.control.messages import Counts
from caravan_bus.discovery import Discovery, Endpoint
from caravan_bus.model_line import ModelLine
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.settings import instance_id
from caravan_bus.tasks import before, cancel_and_wait
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts import subjects
from caravan_contracts.errors import CaravanError
from caravan_contracts.users import VECTOR
from caravan_contracts.work import INGEST
from caravan_storage import objects
from caravan_storage.blobs import RedisClaims
from caravan_storage.postgres import Postgres, PostgresOptions
from pydantic import ValidationError

from caravan_vector import handlers
from caravan_vector.indexes.pgvector import SETTINGS
from caravan_vector.indexes.setup import prepare_once_there
from caravan_vector.serving import Serving
from caravan_vector.settings import Settings

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_QUEUE = "queue-ingest"


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then leave what is under way to others. Raises CaravanError when it cannot begin."""
    instance = settings.instance or instance_id("vector")
    logs.configure(settings.log_level, settings.log_format, VECTOR, instance)
    tracing.configure(VECTOR, instance)
    async with AsyncExitStack() as leave:
        leave.callback(tracing.shutdown)
        kept = objects.from_url(settings.objects_url, os.environ)
        leave.push_async_callback(kept.close)
        options = NatsOptions(settings.nats_url, VECTOR, settings.nats_nkey_seed, instance)
        nats = await before(stop, connect(options))
        if nats is None:
            return
        leave.push_async_callback(nats.close)
        postgres = Postgres(PostgresOptions(settings.database_url, settings.at_once + 12, settings=SETTINGS))
        leave.push_async_callback(postgres.close)
        claims = RedisClaims.from_url(settings.redis_url) if settings.redis_url else None
        if claims is not None:
            leave.push_async_callback(claims.close)
        jetstream = JetStream(nats, VECTOR, instance)
        await jetstream.start()
        leave.push_async_callback(jetstream.close)
        queue = JetStreamQueue(jetstream, INGEST)
        line = ModelLine(nats, VECTOR, instance, claims)
        serving = Serving(settings, postgres, kept, queue, line, nats)
        leave.push_async_callback(serving.close)
        consumer = Consumer(queue, serving.worker.work, ConsumerOptions(at_once=settings.at_once))
        counts = Counts()
        broker = brokers.make(options, counts)
        serving.install(broker)
        discovery = Discovery(
            nats,
            "caravan-vector",
            instance,
            "vector stores: reads files into them, and finds what is in them",
            [*verbs.endpoints(VECTOR, handlers.VERBS), Endpoint(_QUEUE, INGEST.subject, "", {"mode": "work queue"})],
            lambda verb: consumer.stats if verb == _QUEUE else counts.of(subjects.request(VECTOR, verb)),
        )
        ready = asyncio.Event()

        def not_ready() -> str:
            if stop.is_set():
                return "draining"
            if not (nats.connected and brokers.connected(broker)):
                return "NATS is gone"
            if not ready.is_set():
                return "waiting for PostgreSQL"
            return consumer.problem

        if settings.ops_port:
            ops = OpsServer(settings.ops_host, settings.ops_port, not_ready)
            ops.start()
            leave.callback(ops.stop)
        prepared = await before(stop, prepare_once_there(postgres))
        if not prepared:
            return
        await line.start()
        leave.push_async_callback(line.close)
        if not await before(stop, brokers.start(broker)):
            return
        leave.push_async_callback(brokers.stop, broker)
        await serving.start()
        look = asyncio.create_task(_look(consumer), name="look")
        leave.push_async_callback(cancel_and_wait, look)
        await consumer.start()
        await discovery.start()
        ready.set()
        log.info("vector %s is up", instance)
        await stop.wait()
        log.info("draining: %d files under way go on elsewhere", len(consumer))
        await discovery.stop()
        # a file goes on where it was, so nobody waits for it
        await asyncio.gather(consumer.drain(0.0), brokers.drain(broker, settings.drain_seconds, counts))


async def _look(consumer: Consumer) -> None:
    """Keep the numbers of the queue fresh for metrics and discovery."""
    while True:
        try:
            await consumer.refresh()
        except CaravanError as error:
            log.debug("the queue cannot be looked at now: %s", error.message)
        await asyncio.sleep(_LOOK_SECONDS)


def main() -> None:
    """``python -m caravan_vector``."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(process.settings_problem(VECTOR, error))
    sys.exit(process.run(VECTOR, lambda stop: serve(settings, stop)))
