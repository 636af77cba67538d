"""Wires and starts a files service; nothing else."""

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
from caravan_bus.discovery import Discovery
from caravan_bus.nats import NatsOptions, connect
from caravan_bus.ops import OpsServer
from caravan_bus.settings import instance_id
from caravan_bus.tasks import before, cancel_and_wait
from caravan_contracts import subjects
from caravan_contracts.users import FILES
from caravan_storage import migrations, objects
from caravan_storage.postgres import Postgres, PostgresOptions
from pydantic import ValidationError

from caravan_files import handlers
from caravan_files.joining import UploadService
from caravan_files.room import Room
from caravan_files.service import FileService
from caravan_files.settings import Settings
from caravan_files.store import Store
from caravan_files.sweeping import Sweeper
from caravan_files.uploads import UploadStore

log = logging.getLogger(__name__)


async def serve(settings: Settings, stop: asyncio.Event) -> None:
    """Run until `stop` is set; then answer what was asked and leave. Raises CaravanError when it cannot begin."""
    instance = settings.instance or instance_id("files")
    logs.configure(settings.log_level, settings.log_format, FILES, instance)
    tracing.configure(FILES, instance)
    async with AsyncExitStack() as leave:
        leave.callback(tracing.shutdown)
        kept = objects.from_url(settings.objects_url, os.environ)
        leave.push_async_callback(kept.close)
        options = NatsOptions(settings.nats_url, FILES, settings.nats_nkey_seed, instance)
        nats = await before(stop, connect(options))
        if nats is None:
            return
        leave.push_async_callback(nats.close)
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        counts = Counts()
        broker = brokers.make(options, counts)
        room = Room(settings.file_bytes, settings.tenant_bytes)
        store = Store(postgres, room, settings.upload_seconds)
        files = FileService(
            store, kept, room, lambda gone: nats.publish(subjects.FILE_REMOVED, gone.model_dump_json().encode())
        )
        parts = UploadStore(postgres, store, room, settings.upload_seconds)
        verbs.install(broker, FILES, files, handlers.FILES)
        verbs.install(broker, FILES, UploadService(parts, store, files, kept), handlers.UPLOADS)
        discovery = Discovery(
            nats,
            "caravan-files",
            instance,
            "what clients have uploaded",
            verbs.endpoints(FILES, [*handlers.FILES, *handlers.UPLOADS]),
            lambda verb: counts.of(subjects.request(FILES, verb)),
        )
        ready = asyncio.Event()

        def not_ready() -> str:
            if stop.is_set():
                return "draining"
            if not (nats.connected and brokers.connected(broker)):
                return "NATS is gone"
            return "" if ready.is_set() else "waiting for PostgreSQL"

        if settings.ops_port:
            ops = OpsServer(settings.ops_host, settings.ops_port, not_ready)
            ops.start()
            leave.callback(ops.stop)
        prepared = await before(stop, migrations.migrate_once_there(postgres, FILES, "caravan_files.migrations"))
        if not prepared or not await before(stop, brokers.start(broker)):
            return
        leave.push_async_callback(brokers.stop, broker)
        sweeper = Sweeper(postgres, kept, settings.sweep_seconds, settings.orphan_seconds)
        sweeping = asyncio.create_task(sweeper.run(), name="sweeper")
        leave.push_async_callback(cancel_and_wait, sweeping)
        await discovery.start()
        ready.set()
        log.info("files %s is up", instance)
        await stop.wait()
        log.info("draining")
        await discovery.stop()
        await brokers.drain(broker, settings.drain_seconds, counts)


def main() -> None:
    """``python -m caravan_files``."""
    try:
        settings = Settings()
    except ValidationError as error:
        sys.exit(process.settings_problem(FILES, error))
    sys.exit(process.run(FILES, lambda stop: serve(settings, stop)))
