"""The tables of uploads and their parts. Every statement names the tenant, or an id that was found by it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from caravan_contracts.errors import InvalidRequest
from caravan_contracts.files import (
    LARGEST_PART,
    MOST_PARTS,
    UPLOAD_SECONDS,
    CreateUpload,
    ExpiresAfter,
    File,
    FinishFile,
    FinishPart,
    Place,
    Upload,
    UploadPart,
)
from caravan_storage.postgres import Connection, Postgres

from caravan_files import rows
from caravan_files.errors import UploadClosed, no_upload, too_large
from caravan_files.keys import key_of, known, new_id
from caravan_files.room import Room
from caravan_files.store import Store

_SPARE: Final = 2
"""The parts of an upload may have so many times its bytes: a part may be sent again under a new id."""
_UPLOAD: Final = "SELECT *, expires <= now() AS over FROM files_uploads WHERE tenant = $1 AND id = $2 FOR UPDATE"
_CREATE: Final = """
INSERT INTO files_uploads (tenant, id, purpose, filename, media_type, bytes, expires_after, expires)
VALUES ($1, $2, $3, $4, $5, $6, $7, now() + make_interval(secs => $8)) RETURNING *, false AS over
"""
_BEGIN_PART: Final = """
INSERT INTO files_parts (tenant, id, upload, key, lease) VALUES ($1, $2, $3, $4, now() + make_interval(secs => $5))
"""
_FINISH_PART: Final = """
UPDATE files_parts p SET state = 'ready', bytes = $3, sha256 = $4, created = now()
FROM files_uploads u WHERE p.tenant = $1 AND p.id = $2 AND p.state = 'uploading' AND p.lease > now()
    AND u.id = p.upload AND u.status = 'pending' AND u.expires > now()
RETURNING p.id, p.upload, p.created
"""
_CLOSE_PARTS: Final = "UPDATE files_parts SET state = 'removing', lease = now() WHERE upload = $1 AND state = 'ready'"


@dataclass(frozen=True, slots=True)
class Parts:
    """What an upload is to be made of."""

    filename: str
    media_type: str
    purpose: str
    expires_after: ExpiresAfter | None
    keys: list[str]
    """In order."""


class UploadStore:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for what is not the
    tenant's."""

    def __init__(self, postgres: Postgres, files: Store, room: Room, part_seconds: float) -> None:
        self._postgres = postgres
        self._files = files
        self._room = room
        self._seconds = part_seconds

    async def create(self, tenant: str, asked: CreateUpload) -> Upload:
        """A new one. Raises RequestTooLarge, StorageFull."""
        if asked.bytes > self._room.file:
            raise too_large(self._room.file)
        life = asked.expires_after.seconds if asked.expires_after is not None else None
        async with self._postgres.acquire() as connection:
            await self._room.offer(connection, tenant, asked.bytes, asked.bytes)
            row = await connection.fetchrow(
                _CREATE,
                tenant,
                new_id("upload_"),
                asked.purpose,
                asked.filename,
                asked.mime_type,
                asked.bytes,
                life,
                float(UPLOAD_SECONDS),
            )
        return rows.upload(row)

    async def begin_part(self, tenant: str, upload: str, length: int) -> Place:
        """A row that belongs to the upload. Raises UploadClosed, InvalidRequest, StorageFull."""
        name = new_id("part_")
        key = key_of(tenant, name)
        async with self._postgres.transaction() as connection:
            row = await _row(connection, tenant, upload)
            _check_open(row)
            count, kept = await connection.fetchrow(
                "SELECT count(*), coalesce(sum(bytes), 0) FROM files_parts WHERE upload = $1 AND state <> 'removing'",
                upload,
            )
            if count >= MOST_PARTS:
                raise InvalidRequest(f"an upload may have {MOST_PARTS} parts", param="upload_id", code="too_many_parts")
            if kept >= _SPARE * row["bytes"] + LARGEST_PART:
                raise InvalidRequest(
                    "the parts of this upload have far more bytes than it is to have", code="too_many_parts"
                )
            most = await self._room.offer(connection, tenant, LARGEST_PART, length)
            await connection.execute(_BEGIN_PART, tenant, name, upload, key, self._seconds)
        return Place(id=name, key=key, most=most, seconds=self._seconds)

    async def finish_part(self, tenant: str, asked: FinishPart) -> UploadPart:
        """Its bytes count from now on. Raises StorageFull."""
        async with self._postgres.transaction() as connection:
            await self._room.take(connection, tenant, asked.bytes)
            row = await connection.fetchrow(_FINISH_PART, tenant, asked.id, asked.bytes, asked.sha256)
            if row is None:
                row = await connection.fetchrow(
                    "SELECT id, upload, created FROM files_parts "
                    "WHERE tenant = $1 AND id = $2 AND state = 'ready' AND sha256 = $3",
                    tenant,
                    asked.id,
                    asked.sha256,
                )
        if row is None:
            raise UploadClosed("the upload was closed while the part came", param="upload_id")
        return UploadPart(id=row["id"], created_at=rows.seconds(row["created"]), upload_id=row["upload"])

    async def give_up_part(self, tenant: str, id: str) -> str | None:
        """Its key; None when there is none."""
        async with self._postgres.acquire() as connection:
            key: str | None = await connection.fetchval(
                "UPDATE files_parts SET state = 'removing', lease = now() "
                "WHERE tenant = $1 AND id = $2 AND state <> 'removing' RETURNING key",
                tenant,
                id,
            )
        return key

    async def part_gone(self, key: str) -> None:
        """Its bytes are removed."""
        async with self._postgres.acquire() as connection:
            await connection.execute("DELETE FROM files_parts WHERE key = $1 AND state = 'removing'", key)

    async def parts(self, tenant: str, id: str, part_ids: list[str]) -> Parts | Upload:
        """What it is to be made of; the upload itself when it was made of just these before. Raises UploadClosed, and
        InvalidRequest when the parts are not its own, or are not as many bytes as it is to have."""
        async with self._postgres.transaction() as connection:
            row = await _row(connection, tenant, id)
            if row["status"] == "completed" and row["parts"] == part_ids:
                return rows.upload(row, await _file_of(connection, tenant, row["file"]))
            _check_open(row)
            found = await connection.fetch(
                "SELECT id, key, bytes FROM files_parts WHERE upload = $1 AND state = 'ready' AND id = ANY($2)",
                id,
                [name for name in part_ids if known(name)],
            )
        known_parts = {part["id"]: part for part in found}
        for place, name in enumerate(part_ids):
            if name not in known_parts:
                raise InvalidRequest(
                    f"the upload has no part {name[:100]!r}", param=f"part_ids[{place}]", code="unknown_part"
                )
        if len(known_parts) != len(part_ids):
            raise InvalidRequest("a part is named twice", param="part_ids", code="unknown_part")
        total = sum(part["bytes"] for part in found)
        if total != row["bytes"]:
            raise InvalidRequest(
                f"the parts have {total} bytes together, and the upload is to have {row['bytes']}",
                param="part_ids",
                code="wrong_size",
            )
        life = row["expires_after"]
        expires = ExpiresAfter(anchor="created_at", seconds=life) if life is not None else None
        keys = [known_parts[name]["key"] for name in part_ids]
        return Parts(row["filename"], row["media_type"], row["purpose"], expires, keys)

    async def complete(self, tenant: str, id: str, part_ids: list[str], made: FinishFile) -> Upload | None:
        """The file `made` is what became of it; None when another was faster, or the upload is over. Raises
        StorageFull, and UploadClosed when the file's own time was over."""
        async with self._postgres.transaction() as connection:
            row = await connection.fetchrow(
                "UPDATE files_uploads SET status = 'completed', file = $3, parts = $4 "
                "WHERE tenant = $1 AND id = $2 AND status = 'pending' AND expires > now() "
                "RETURNING *, false AS over",
                tenant,
                id,
                made.id,
                part_ids,
            )
            if row is None:
                return None
            await connection.execute(_CLOSE_PARTS, id)
            await self._room.take(connection, tenant, made.bytes)
            file = await self._files.publish(connection, tenant, made)
            if file is None:
                raise UploadClosed("it took too long to put the parts together", param="upload_id")
            return rows.upload(row, rows.file(file))

    async def cancel(self, tenant: str, id: str) -> Upload:
        """No parts any more. Cancelled once more, it is the same. Raises UploadClosed."""
        async with self._postgres.transaction() as connection:
            row = await _row(connection, tenant, id)
            if row["status"] != "cancelled":
                _check_open(row)
                await connection.execute("UPDATE files_uploads SET status = 'cancelled' WHERE id = $1", id)
                await connection.execute(_CLOSE_PARTS, id)
            return rows.upload({**row, "status": "cancelled"})


async def _row(connection: Connection, tenant: str, id: str) -> Any:
    """Locked until the end of the transaction."""
    row = await connection.fetchrow(_UPLOAD, tenant, id) if known(id) else None
    if row is None:
        raise no_upload(id)
    return row


def _check_open(row: Any) -> None:
    if row["status"] != "pending":
        raise UploadClosed(f"the upload is {row['status']}", param="upload_id")
    if row["over"]:
        raise UploadClosed("the upload's time is over: it has an hour", param="upload_id")


async def _file_of(connection: Connection, tenant: str, id: str) -> File | None:
    """None when it was deleted meanwhile."""
    row = await connection.fetchrow(
        f"SELECT {rows.FILE} FROM files_files WHERE tenant = $1 AND id = $2 AND {rows.SEEN}",  # noqa: S608 - literals of ours
        tenant,
        id,
    )
    return rows.file(row) if row is not None else None
