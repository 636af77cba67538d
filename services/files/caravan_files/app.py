"""Wires and starts a files service; nothing else."""

from __future__ import annotations

import asyncio
import logging
import os

from caravan_bus import process
from caravan_bus.control import verbs
from caravan_bus.control.standing import Standing
from caravan_bus.discovery import Discovery
from caravan_bus.tasks import before, cancel_and_wait
from caravan_contracts import subjects
from caravan_contracts.users import FILES
from caravan_storage import migrations, objects
from caravan_storage.postgres import Postgres, PostgresOptions

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
    async with Standing(settings, FILES, stop) as standing:
        leave = standing.leave
        kept = objects.from_url(settings.objects_url, os.environ)
        leave.push_async_callback(kept.close)
        nats = await standing.connect()
        if nats is None:
            return
        postgres = Postgres(PostgresOptions(settings.database_url))
        leave.push_async_callback(postgres.close)
        room = Room(settings.file_bytes, settings.tenant_bytes)
        store = Store(postgres, room, settings.upload_seconds)
        files = FileService(
            store, kept, room, lambda gone: nats.publish(subjects.FILE_REMOVED, gone.model_dump_json().encode())
        )
        parts = UploadStore(postgres, store, room, settings.upload_seconds)
        verbs.install(standing.broker, FILES, files, handlers.FILES)
        verbs.install(standing.broker, FILES, UploadService(parts, store, files, kept), handlers.UPLOADS)
        discovery = Discovery(
            nats,
            "caravan-files",
            standing.instance,
            "what clients have uploaded",
            verbs.endpoints(FILES, [*handlers.FILES, *handlers.UPLOADS]),
            lambda verb: standing.counts.of(subjects.request(FILES, verb)),
        )
        standing.watch(lambda: "")
        prepared = await before(stop, migrations.migrate_once_there(postgres, FILES, "caravan_files.migrations"))
        if not prepared or not await standing.answer():
            return
        sweeper = Sweeper(postgres, kept, settings.sweep_seconds, settings.orphan_seconds)
        sweeping = asyncio.create_task(sweeper.run(), name="sweeper")
        leave.push_async_callback(cancel_and_wait, sweeping)
        await standing.announce(discovery)
        await stop.wait()
        log.info("draining")
        await standing.drain()


def main() -> None:
    """``python -m caravan_files``."""
    process.serve(FILES, Settings, serve)
