"""What one may ask about files, each for the tenant who asks."""

from __future__ import annotations

import logging
from collections.abc import Callable

from caravan_contracts import files as f
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import DependencyDown
from caravan_storage.objects import Objects

from caravan_files.errors import too_large
from caravan_files.room import Room
from caravan_files.store import Store

log = logging.getLogger(__name__)

Tell = Callable[[f.FilesRemoved], None]
"""Says on the bus that files are gone; it is not waited for, and whoever has to know looks again by himself."""


class FileService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(self, store: Store, objects: Objects, room: Room, tell: Tell) -> None:
        self._store = store
        self._objects = objects
        self._room = room
        self._tell = tell

    async def begin(self, asked: f.BeginFile, context: RequestContext) -> f.Place:
        """A place for a new file. Raises RequestTooLarge, StorageFull."""
        if asked.length > self._room.file:
            raise too_large(self._room.file)
        return await self._store.begin(context.principal.tenant, asked.length)

    async def finish(self, asked: f.FinishFile, context: RequestContext) -> f.File:
        """The file. Raises InvalidRequest, StorageFull."""
        f.check_purpose(asked.purpose)
        named = asked.model_copy(
            update={"filename": f.plain_name(asked.filename), "media_type": f.plain_media_type(asked.media_type)}
        )
        return await self._store.finish(context.principal.tenant, named)

    async def abandon(self, asked: f.Abandon, context: RequestContext) -> f.Abandoned:
        """Take away what lies at a place; nothing, when there is none."""
        key = await self._store.give_up(context.principal.tenant, asked.id)
        if key is not None:
            await self._remove(key)
        return f.Abandoned(id=asked.id)

    async def list(self, asked: f.ListFiles, context: RequestContext) -> f.FilePage:
        """A page."""
        return await self._store.page(context.principal.tenant, asked)

    async def get(self, asked: f.GetFile, context: RequestContext) -> f.File:
        """One."""
        return await self._store.get(context.principal.tenant, asked.id)

    async def locate(self, asked: f.LocateFile, context: RequestContext) -> f.LocatedFile:
        """One, and where its bytes lie."""
        return await self._store.locate(context.principal.tenant, asked.id)

    async def locate_many(self, asked: f.LocateFiles, context: RequestContext) -> f.LocatedFiles:
        """Those that are there."""
        return f.LocatedFiles(data=await self._store.locate_many(context.principal.tenant, asked.ids))

    async def delete(self, asked: f.DeleteFile, context: RequestContext) -> f.FileDeleted:
        """Nobody sees it from now on."""
        key = await self._store.hide(context.principal.tenant, asked.id)
        self._tell(f.FilesRemoved(tenant=context.principal.tenant, ids=[asked.id]))
        await self._remove(key)
        return f.FileDeleted(id=asked.id)

    async def _remove(self, key: str) -> None:
        """The bytes, then the row; the sweeper does what fails here."""
        try:
            await self._objects.delete(key)
            await self._store.gone(key)
        except DependencyDown as error:
            log.info("a file is removed later: %s", error.message)
