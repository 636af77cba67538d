"""Wires and starts a vector service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os

from caravan_bus import process
from caravan_bus.control import verbs
from caravan_bus.control.standing import Standing
from caravan_bus.discovery import Discovery, Endpoint
from caravan_bus.model_line import ModelLine
from caravan_bus.tasks import before
from caravan_bus.work.api import JetStream
from caravan_bus.work.consumer import Consumer, ConsumerOptions
from caravan_bus.work.jetstream import JetStreamQueue
from caravan_contracts import subjects
from caravan_contracts.users import VECTOR
from caravan_contracts.work import INGEST
from caravan_storage import objects
from caravan_storage.blobs import RedisClaims
from caravan_storage.postgres import Postgres, PostgresOptions

from caravan_vector import handlers
from caravan_vector.indexes.pgvector import SETTINGS
from caravan_vector.indexes.setup import prepare_once_there
from caravan_vector.serving import Serving
from caravan_vector.settings import Settings

log = logging.getLogger(__name__)

_QUEUE = "queue-ingest"


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then leave what is under way to others. Raises CaravanError when it cannot begin."""
    async with Standing(settings, VECTOR, stop) as standing:
        leave = standing.leave
        kept = objects.from_url(settings.objects_url, os.environ)
        leave.push_async_callback(kept.close)
        nats = await standing.connect()
        if nats is None:
            return
        postgres = Postgres(PostgresOptions(settings.database_url, settings.at_once + 12, settings=SETTINGS))
        leave.push_async_callback(postgres.close)
        claims = RedisClaims.from_url(settings.redis_url) if settings.redis_url else None
        if claims is not None:
            leave.push_async_callback(claims.close)
        jetstream = JetStream(nats, VECTOR, standing.instance)
        await jetstream.start()
        leave.push_async_callback(jetstream.close)
        queue = JetStreamQueue(jetstream, INGEST)
        line = ModelLine(nats, VECTOR, standing.instance, claims)
        serving = Serving(settings, postgres, kept, queue, line, nats)
        leave.push_async_callback(serving.close)
        consumer = Consumer(queue, serving.worker.work, ConsumerOptions(at_once=settings.at_once))
        serving.install(standing.broker)
        discovery = Discovery(
            nats,
            "caravan-vector",
            standing.instance,
            "vector stores: reads files into them, and finds what is in them",
            [*verbs.endpoints(VECTOR, handlers.VERBS), Endpoint(_QUEUE, INGEST.subject, "", {"mode": "work queue"})],
            lambda verb: consumer.stats if verb == _QUEUE else standing.counts.of(subjects.request(VECTOR, verb)),
        )
        standing.watch(lambda: consumer.problem)
        prepared = await before(stop, prepare_once_there(postgres))
        if not prepared:
            return
        await line.start()
        leave.push_async_callback(line.close)
        if not await standing.answer():
            return
        await serving.start()
        await consumer.start()
        await standing.announce(discovery)
        await stop.wait()
        log.info("draining: %d files under way go on elsewhere", len(consumer))
        # a file goes on where it was, so nobody waits for it
        await asyncio.gather(consumer.drain(0.0), standing.drain())


def main() -> None:
    """``python -m caravan_vector``."""
    process.serve(VECTOR, Settings, serve)
