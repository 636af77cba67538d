"""What one may ask about uploads, each for the tenant who asks."""

from __future__ import annotations

import hashlib
import logging

from caravan_contracts import files as f
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import CaravanError, DependencyDown, InvalidRequest, NotFound
from caravan_contracts.file_content import ContentCheck
from caravan_storage.objects import Objects

from caravan_files.errors import UploadClosed
from caravan_files.service import FileService
from caravan_files.store import Store
from caravan_files.uploads import Parts, UploadStore

log = logging.getLogger(__name__)


class UploadService:
    """One per process. Every method raises NotFound for what is not the tenant's, and DependencyDown."""

    def __init__(self, uploads: UploadStore, files: Store, service: FileService, objects: Objects) -> None:
        self._uploads = uploads
        self._files = files
        self._service = service
        self._objects = objects

    async def create(self, asked: f.CreateUpload, context: RequestContext) -> f.Upload:
        """A new one. Raises InvalidRequest, RequestTooLarge, StorageFull."""
        f.check_purpose(asked.purpose)
        named = asked.model_copy(
            update={"filename": f.plain_name(asked.filename), "mime_type": f.plain_media_type(asked.mime_type)}
        )
        return await self._uploads.create(context.principal.tenant, named)

    async def begin_part(self, asked: f.BeginPart, context: RequestContext) -> f.Place:
        """A place for a part. Raises UploadClosed, InvalidRequest, StorageFull."""
        return await self._uploads.begin_part(context.principal.tenant, asked.upload, asked.length)

    async def finish_part(self, asked: f.FinishPart, context: RequestContext) -> f.UploadPart:
        """The part. Raises UploadClosed, StorageFull."""
        return await self._uploads.finish_part(context.principal.tenant, asked)

    async def abandon_part(self, asked: f.Abandon, context: RequestContext) -> f.Abandoned:
        """Take away what lies at the place of a part."""
        key = await self._uploads.give_up_part(context.principal.tenant, asked.id)
        if key is not None:
            await self._remove([key])
        return f.Abandoned(id=asked.id)

    async def cancel(self, asked: f.CancelUpload, context: RequestContext) -> f.Upload:
        """No parts any more; the sweeper takes their bytes. Raises UploadClosed."""
        return await self._uploads.cancel(context.principal.tenant, asked.id)

    async def complete(self, asked: f.CompleteUpload, context: RequestContext) -> f.Upload:
        """Make a file of the parts. Raises UploadClosed, InvalidRequest, StorageFull."""
        tenant = context.principal.tenant
        found = await self._uploads.parts(tenant, asked.id, asked.part_ids)
        if isinstance(found, f.Upload):
            return found
        place = await self._files.begin(tenant, 0)
        done: f.Upload | None = None
        try:
            made = await self._join(place, found, asked.md5)
            done = await self._uploads.complete(tenant, asked.id, asked.part_ids, made)
        except DependencyDown:
            raise  # nobody knows whether it was done: what was not, is swept
        except NotFound as error:
            log.info("parts of an upload went while they were put together: %s", error.message)
        except CaravanError:
            await self._service.abandon(f.Abandon(id=place.id), context)
            raise
        if done is None:
            await self._service.abandon(f.Abandon(id=place.id), context)
            again = await self._uploads.parts(tenant, asked.id, asked.part_ids)
            if isinstance(again, f.Upload):
                return again
            raise UploadClosed("the upload was closed meanwhile", param="upload_id")
        await self._remove(found.keys)
        return done

    async def _join(self, place: f.Place, found: Parts, md5: str | None) -> f.FinishFile:
        stored = await self._objects.join(place.key, found.keys)
        check = ContentCheck(found.filename, found.media_type, found.purpose)
        digest = hashlib.md5(usedforsecurity=False)
        async for piece in self._objects.get(place.key):
            check.feed(piece)
            if md5 is not None:
                digest.update(piece)
        check.end(found.purpose)
        if md5 is not None and digest.hexdigest() != md5.lower():
            raise InvalidRequest("the parts have another MD5 than was named", param="md5", code="wrong_checksum")
        return f.FinishFile(
            id=place.id,
            bytes=stored.size,
            sha256=stored.sha256,
            purpose=found.purpose,
            filename=found.filename,
            media_type=found.media_type,
            expires_after=found.expires_after,
        )

    async def _remove(self, keys: list[str]) -> None:
        """The bytes, then the rows; the sweeper does what fails here."""
        try:
            for key in keys:
                await self._objects.delete(key)
                await self._uploads.part_gone(key)
        except DependencyDown as error:
            log.info("parts are removed later: %s", error.message)
