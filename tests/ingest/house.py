"""The vector service in this process, over a real PostgreSQL and a real folder of objects. Models and the files service
are stood in for: both are other services."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from caravan_bus.work.memory import MemoryQueue, MemoryServer
from caravan_bus.work.queue import Job, TryLater
from caravan_contracts import files as f
from caravan_contracts import vectors as v
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import CaravanError, NotFound
from caravan_storage.objects import Objects
from caravan_storage.postgres import Postgres
from caravan_vector.attached.service import FileService
from caravan_vector.attached.store import FileTable
from caravan_vector.attached.telling import Telling
from caravan_vector.cleaning import Cleaner
from caravan_vector.indexes.base import Mode
from caravan_vector.indexes.opened import Indexes
from caravan_vector.ingest.claims import Claims
from caravan_vector.ingest.fetching import Fetcher
from caravan_vector.ingest.keeper import Keeper
from caravan_vector.ingest.pipeline import Pipeline
from caravan_vector.ingest.queueing import Queueing
from caravan_vector.ingest.worker import Worker
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.raw import RawService
from caravan_vector.searching.service import SearchService
from caravan_vector.stores.removing import Remover
from caravan_vector.stores.service import StoreService
from caravan_vector.stores.store import StoreTable
from caravan_vector.sweeping import Sweeper

from benchmarks.corpus import hashed

DIMENSION = 64
MODEL = "hashing"


class Embedding:
    """Vectors by the words of a text; counts what it is asked, and can be away."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.failure: CaravanError | None = None
        self.before: Callable[[Sequence[str]], Any] = lambda texts: None

    async def documents(
        self, model: str, dimension: int, texts: Sequence[str], principal: Principal, name: str
    ) -> list[list[float]]:
        return await self.query(model, dimension, texts, principal, name)

    async def query(
        self,
        model: str,
        dimension: int,
        texts: Sequence[str],
        principal: Principal,
        name: str,
        seconds: float = 0.0,
    ) -> list[list[float]]:
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        waited = self.before(texts)
        if waited is not None:
            await waited
        self.texts += texts
        return [hashed(text, DIMENSION) for text in texts]


class Writing:
    """Words of a model: the question in capitals."""

    def __init__(self) -> None:
        self.failures: list[CaravanError] = []
        self.asked: list[str] = []

    async def rewrite(self, model: str, query: str, principal: Principal, name: str, seconds: float) -> str:
        return query.replace("please", "").strip()

    async def write(
        self, model: str, messages: list[dict[str, Any]], principal: Principal, name: str, seconds: float
    ) -> str:
        self.asked.append(messages[0]["content"])
        if self.failures:
            raise self.failures.pop()
        return "From the handbook."


class Choice:
    async def embedding(self, named: str, tenant: str) -> str:
        return named or MODEL

    async def writing(self, named: str, tenant: str) -> str:
        return named or "writer"

    async def dimension(self, model: str, tenant: str) -> int:
        return DIMENSION if model == MODEL else 0


class Ranking:
    """The longest passage first."""

    async def order(self, ranking: Any, query: str, hits: Any, context: RequestContext, seconds: float) -> Any:
        return sorted(hits, key=lambda hit: -len(hit.text))


@dataclass
class Shelf:
    """What the files service knows, by tenant."""

    objects: Objects
    files: dict[tuple[str, str], f.LocatedFile] = field(default_factory=dict)

    async def add(self, tenant: str, data: bytes, filename: str = "notes.txt", media_type: str = "text/plain") -> str:
        name = f"file-{hashlib.sha256(data + filename.encode() + tenant.encode()).hexdigest()[:32]}"
        key = f"files/{tenant}/{name}"

        async def pieces() -> AsyncIterator[bytes]:
            yield data

        stored = await self.objects.put(key, pieces(), 1 << 30)
        file = f.File(id=name, bytes=len(data), created_at=1, filename=filename, purpose="assistants")
        self.files[tenant, name] = f.LocatedFile(file=file, key=key, sha256=stored.sha256, media_type=media_type)
        return name

    async def ask(
        self, service: str, verb: str, request: Any, reply: Any, context: RequestContext, timeout: float = 5.0
    ) -> Any:
        tenant = context.principal.tenant
        if verb == "locate_files":
            found = [self.files[tenant, each] for each in request.ids if (tenant, each) in self.files]
            return f.LocatedFiles(data=found)
        if (tenant, request.id) not in self.files:
            raise NotFound("there is no file")
        return self.files[tenant, request.id]


class House:
    """One process of the service; several may share what is beneath."""

    def __init__(
        self,
        postgres: Postgres,
        shelf: Shelf,
        server: MemoryServer,
        pool: ParserPool,
        *,
        tenant: str = "acme",
        batch: int = 4,
        patience: float = 3600.0,
        mode: Mode = "hybrid",
        provider: str = "pgvector",
    ) -> None:
        self.postgres, self.shelf, self.server = postgres, shelf, server
        self.context = RequestContext("req_t", Principal(tenant, "ada"))
        self.embedding, self.writing = Embedding(), Writing()
        self.indexes = Indexes(postgres)
        self.queue = MemoryQueue(server)
        self.table, self.attached, self.claims = StoreTable(postgres), FileTable(postgres), Claims(postgres)
        line: Any = shelf
        embedder: Any = self.embedding
        writer: Any = self.writing
        models: Any = Choice()
        reranker: Any = Ranking()
        self.cleaner = Cleaner(self.claims, self.indexes)
        queueing = Queueing(self.queue, self.attached, self.claims)
        remover = Remover(self.table, self.indexes)
        fetcher = Fetcher(line, shelf.objects, 1 << 24)
        pipeline = Pipeline(self.claims, fetcher, pool, embedder, writer, models, batch)
        self.telling = telling = Telling(self.attached, self.indexes)
        self.worker = Worker(self.claims, Keeper(self.claims), pipeline, self.indexes, self.cleaner, telling, patience)
        self.files = FileService(self.table, self.attached, queueing, self.indexes, self.cleaner, telling, line)
        self.stores = StoreService(
            self.table, self.files, self.attached, self.indexes, models, embedder, remover, provider
        )
        self.searches = SearchService(self.table, self.attached, self.indexes, models, embedder, writer, reranker, mode)
        self.raw = RawService(self.table, self.attached, self.indexes, embedder)
        self.sweeper = Sweeper(postgres, self.table, queueing, self.cleaner, remover, self.indexes, line, every=60.0)

    async def close(self) -> None:
        await self.indexes.close()

    async def add(self, text: str | bytes, filename: str = "notes.txt", media_type: str = "text/plain") -> str:
        data = text.encode() if isinstance(text, str) else text
        return await self.shelf.add(self.context.principal.tenant, data, filename, media_type)

    async def store(self, **more: Any) -> str:
        return (await self.stores.create(v.CreateStore(**more), self.context)).id

    async def attach(self, store: str, file: str, **more: Any) -> v.StoreFile:
        return await self.files.attach(v.AttachFile(store=store, file=v.NewFile(file_id=file, **more)), self.context)

    async def file(self, store: str, file: str) -> v.StoreFile:
        return await self.files.get(v.GetStoreFile(store=store, file=file), self.context)

    async def batch(self, store: str, *files: str, **more: Any) -> v.FileBatch:
        wanted = [v.NewFile(file_id=file, **more) for file in files]
        return await self.files.create_batch(v.CreateBatch(store=store, files=wanted), self.context)

    async def search(self, store: str, *queries: str, **more: Any) -> v.SearchPage:
        return await self.searches.search(v.SearchStore(store=store, queries=list(queries), **more), self.context)

    async def found(self, store: str, *queries: str, **more: Any) -> list[str]:
        """Ids of the files, best first."""
        return [each.file_id for each in (await self.search(store, *queries, **more)).data]

    async def chunks(self, store: str) -> int:
        """In the index."""
        return await self.indexes.get("pgvector").count(self.context.principal.tenant, store)

    async def jobs(self) -> list[Job]:
        """Those that wait; they are taken."""
        taken = []
        while deliveries := await self.queue.take(100, 0.01):
            for delivery in deliveries:
                taken.append(delivery.job)
                delivery.done()
        return taken

    async def work(self) -> None:
        """Do everything that waits, a few at once; what is put off is left."""
        jobs = await self.jobs()
        results = await asyncio.gather(*(self.worker.work(job) for job in jobs), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, TryLater):
                raise result

    async def sql(self, statement: str, *values: Any) -> Any:
        async with self.postgres.acquire() as connection:
            return await connection.fetchval(statement, *values)
