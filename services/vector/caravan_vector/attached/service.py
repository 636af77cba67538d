"""What one may ask about files in stores, each for the tenant who asks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from caravan_bus.requests import Requester
from caravan_contracts import vectors as v
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import InvalidRequest, NotFound
from caravan_contracts.files import PAGE_ROWS, LocatedFiles, LocateFiles
from caravan_contracts.users import FILES

from caravan_vector.attached.rows import Wanted, store_file
from caravan_vector.attached.store import Added, FileTable
from caravan_vector.attached.telling import Telling
from caravan_vector.attributes import check_attributes
from caravan_vector.cleaning import Cleaner
from caravan_vector.ids import file_name
from caravan_vector.indexes.opened import Indexes
from caravan_vector.ingest.queueing import Queueing
from caravan_vector.stores.rows import Store
from caravan_vector.stores.store import StoreTable
from caravan_vector.strategies import check_strategy

_ASK_SECONDS: Final = 10.0
_CHUNKS: Final = 100


class FileService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(
        self,
        stores: StoreTable,
        table: FileTable,
        queueing: Queueing,
        indexes: Indexes,
        cleaner: Cleaner,
        telling: Telling,
        requester: Requester,
    ) -> None:
        self._stores = stores
        self._table = table
        self._queueing = queueing
        self._indexes = indexes
        self._cleaner = cleaner
        self._telling = telling
        self._requester = requester

    async def attach(self, asked: v.AttachFile, context: RequestContext) -> v.StoreFile:
        """Have a file read; the answer is `in_progress`. Raises InvalidRequest, StoreExpired."""
        store = await self._stores.use(context.principal.tenant, asked.store)
        wanted = await self.check(store.chunking, [asked.file], context)
        added = await self._table.attach(store, wanted, context.principal.encode())
        await self.follow(store, added)
        return store_file(added.rows[0], store.id)

    async def create_batch(self, asked: v.CreateBatch, context: RequestContext) -> v.FileBatch:
        """Have many read. Raises the same."""
        store = await self._stores.use(context.principal.tenant, asked.store)
        files = [_with_common(file, asked) for file in asked.files]
        wanted = await self.check(store.chunking, files, context)
        batch, added = await self._table.make_batch(store, wanted, context.principal.encode())
        await self.follow(store, added)
        return batch

    async def get(self, asked: v.GetStoreFile, context: RequestContext) -> v.StoreFile:
        """One."""
        return await self._table.get(await self._store(asked.store, context), asked.file)

    async def page(self, asked: v.ListStoreFiles, context: RequestContext) -> v.StoreFilePage:
        """A page."""
        return await self._table.page(await self._store(asked.store, context), asked)

    async def update(self, asked: v.UpdateStoreFile, context: RequestContext) -> v.StoreFile:
        """Replace its attributes. Raises InvalidRequest, StoreExpired."""
        attributes = check_attributes(asked.attributes)
        store = await self._stores.use(context.principal.tenant, asked.store)
        row = await self._table.set_attributes(store, asked.file, attributes)
        await self._telling.tell(store, row["number"], attributes)
        return store_file(row, store.id)

    async def detach(self, asked: v.DetachFile, context: RequestContext) -> v.Deleted:
        """Take it out: nothing of it is found from now on."""
        store = await self._store(asked.store, context)
        await self._cleaner.try_clean(store, [await self._table.hide(store, asked.file)])
        return v.Deleted(id=asked.file)

    async def read(self, asked: v.ReadStoreFile, context: RequestContext) -> v.ChunkTexts:
        """Some of its chunks."""
        store = await self._store(asked.store, context)
        row = await self._table.row(store, asked.file)
        name = file_name(row["number"])
        found = await self._indexes.get(store.provider).chunks(store.tenant, store.id, name, asked.after, _CHUNKS)
        room = v.PAGE_BYTES
        texts: list[str] = []
        for passage in found:
            room -= len(passage.text.encode())
            if room < 0 and texts:
                break
            texts.append(passage.text)
        more = len(texts) < len(found) or len(found) == _CHUNKS
        return v.ChunkTexts(data=texts, next=found[len(texts) - 1].position if more else None)

    async def get_batch(self, asked: v.GetBatch, context: RequestContext) -> v.FileBatch:
        """One batch."""
        return await self._table.batch(await self._store(asked.store, context), asked.batch)

    async def cancel_batch(self, asked: v.CancelBatch, context: RequestContext) -> v.FileBatch:
        """Those that are not read yet are cancelled; what came of them so far is taken away."""
        store = await self._store(asked.store, context)
        batch, stopped = await self._table.cancel(store, asked.batch)
        await self._cleaner.try_clean(store, stopped)
        return batch

    async def check(
        self, chunking: dict[str, Any], files: Sequence[v.NewFile], context: RequestContext
    ) -> list[Wanted]:
        """Files that are to be attached, each once; `chunking` is for those that say nothing of it. Raises
        InvalidRequest, NotFound when one is not there."""
        distinct: dict[str, v.NewFile] = {}
        for file in files:
            if distinct.setdefault(file.file_id, file) != file:
                raise InvalidRequest(f"the file {file.file_id[:200]!r} is named twice, differently", param="files")
        names = await self._names(list(distinct), context)
        wanted = []
        for file in distinct.values():
            if file.file_id not in names:
                raise NotFound(f"there is no file {file.file_id[:200]!r}", param="file_id")
            attributes = None if file.attributes is None else check_attributes(file.attributes)
            strategy = chunking if file.chunking_strategy is None else check_strategy(file.chunking_strategy)
            wanted.append(Wanted(file.file_id, names[file.file_id], attributes, strategy))
        return wanted

    async def follow(self, store: Store, added: Added) -> None:
        """What comes after rows were written: jobs, and what the index has to know."""
        await self._queueing.add(store, added.new)
        for number, attributes in added.kept:
            await self._telling.tell(store, number, attributes)
        await self._cleaner.try_clean(store, added.replaced)

    async def _store(self, id: str, context: RequestContext) -> Store:
        return await self._stores.find(context.principal.tenant, id)

    async def _names(self, files: Sequence[str], context: RequestContext) -> dict[str, str]:
        names: dict[str, str] = {}
        for start in range(0, len(files), PAGE_ROWS):
            asked = LocateFiles(ids=list(files[start : start + PAGE_ROWS]))
            found = await self._requester.ask(FILES, "locate_files", asked, LocatedFiles, context, _ASK_SECONDS)
            names |= {each.file.id: each.file.filename for each in found.data}
        return names


def _with_common(file: v.NewFile, asked: v.CreateBatch) -> v.NewFile:
    return v.NewFile(
        file_id=file.file_id,
        attributes=asked.attributes if file.attributes is None else file.attributes,
        chunking_strategy=asked.chunking_strategy if file.chunking_strategy is None else file.chunking_strategy,
    )
