"""The parts of the service, and what they need of each other."""

from __future__ import annotations

import asyncio
import logging

from caravan_bus.control import verbs
from caravan_bus.model_line import ModelLine
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport
from caravan_bus.work.queue import WorkQueue
from caravan_contracts import subjects as s
from caravan_contracts.errors import CaravanError
from caravan_contracts.files import FilesRemoved
from caravan_contracts.users import VECTOR
from caravan_storage.objects import Objects
from caravan_storage.postgres import Postgres
from faststream.nats import NatsBroker
from pydantic import ValidationError

from caravan_vector import handlers
from caravan_vector.attached.service import FileService
from caravan_vector.attached.store import FileTable
from caravan_vector.attached.telling import Telling
from caravan_vector.cleaning import Cleaner
from caravan_vector.indexes.opened import Indexes
from caravan_vector.ingest import scratch
from caravan_vector.ingest.claims import Claims
from caravan_vector.ingest.fetching import Fetcher
from caravan_vector.ingest.keeper import Keeper
from caravan_vector.ingest.pipeline import Pipeline
from caravan_vector.ingest.queueing import Queueing
from caravan_vector.ingest.worker import Worker
from caravan_vector.models.choosing import Models
from caravan_vector.models.embedding import Embedder
from caravan_vector.models.reranking import Reranker
from caravan_vector.models.writing import Writer
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.raw import RawService
from caravan_vector.searching.service import SearchService
from caravan_vector.settings import Settings
from caravan_vector.stores.removing import Remover
from caravan_vector.stores.service import StoreService
from caravan_vector.stores.store import StoreTable
from caravan_vector.sweeping import Sweeper

log = logging.getLogger(__name__)


class Serving:
    """One per process."""

    def __init__(
        self,
        settings: Settings,
        postgres: Postgres,
        objects: Objects,
        queue: WorkQueue,
        line: ModelLine,
        transport: Transport,
    ) -> None:
        self._transport = transport
        self._indexes = indexes = Indexes(postgres)
        limits = settings.limits()
        self._pool = ParserPool(settings.parsers, settings.parser_documents, limits, settings.extra_parsers)
        stores, files, claims = StoreTable(postgres), FileTable(postgres), Claims(postgres)
        embedder = Embedder(line.client, settings.embed_at_once)
        writer = Writer(line.client)
        models = Models(line.view, embedder, settings.embedding_model, settings.writing_model)
        cleaner = Cleaner(claims, indexes)
        queueing = Queueing(queue, files, claims)
        remover = Remover(stores, indexes)
        self._keeper = Keeper(claims)
        pipeline = Pipeline(
            claims,
            Fetcher(line.requester, objects, limits.file_bytes),
            self._pool,
            embedder,
            writer,
            models,
            settings.embed_batch,
        )
        telling = Telling(files, indexes)
        self.worker = Worker(claims, self._keeper, pipeline, indexes, cleaner, telling, settings.patience)
        self._files = FileService(stores, files, queueing, indexes, cleaner, telling, line.requester)
        self._stores = StoreService(stores, self._files, files, indexes, models, embedder, remover, settings.index)
        self._search = SearchService(
            stores, files, indexes, models, embedder, writer, Reranker(line.client), settings.search_mode
        )
        self._raw = RawService(stores, files, indexes, embedder)
        self._sweeper = Sweeper(
            postgres, stores, queueing, cleaner, remover, indexes, line.requester, settings.sweep_seconds
        )
        self._subscription: Subscription | None = None
        self._forgetting: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []

    def install(self, broker: NatsBroker) -> None:
        """Subscribe to the verbs."""
        verbs.install(broker, VECTOR, self._stores, handlers.STORES)
        verbs.install(broker, VECTOR, self._files, handlers.ATTACHED)
        verbs.install(broker, VECTOR, self._search, handlers.SEARCHES)
        verbs.install(broker, VECTOR, self._raw, handlers.RAW)

    async def start(self) -> None:
        """Begin to keep leases and to sweep; what killed processes left of documents on this machine is removed."""
        if left := await asyncio.to_thread(scratch.clear):
            log.info("removed %d folders of processes that were killed", left)
        self._subscription = await self._transport.subscribe(s.FILE_REMOVED, self._on_removed, VECTOR)
        self._tasks = [
            asyncio.create_task(self._keeper.run(), name="keeper"),
            asyncio.create_task(self._sweeper.run(), name="sweeper"),
        ]

    async def close(self) -> None:
        """Stop, and end the processes that read documents."""
        if self._subscription is not None:
            await self._subscription.unsubscribe()
        for task in (*self._tasks, *self._forgetting):
            await cancel_and_wait(task)
        await self._pool.close()
        await self._indexes.close()

    def _on_removed(self, message: Message) -> None:
        try:
            gone = FilesRemoved.model_validate_json(message.data)
        except ValidationError as error:
            log.warning("a fact about files cannot be read: %s", error)
            return
        task = asyncio.create_task(self._forget(gone), name="forget-files")
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)

    async def _forget(self, gone: FilesRemoved) -> None:
        try:
            await self._sweeper.forget(gone)
        except CaravanError as error:
            log.info("files are taken out of stores later: %s", error.message)
