"""The table of files. Every statement names the tenant, or an id that was found by it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from caravan_contracts.files import (
    BATCH_SECONDS,
    ExpiresAfter,
    File,
    FilePage,
    FinishFile,
    ListFiles,
    LocatedFile,
    Place,
)
from caravan_storage.postgres import Connection, Postgres

from caravan_files.errors import no_file
from caravan_files.keys import key_of, known, new_id
from caravan_files.room import Room
from caravan_files.rows import FILE, SEEN, file

_BEGIN: Final = """
INSERT INTO files_files (tenant, id, key, lease) VALUES ($1, $2, $3, now() + make_interval(secs => $4))
"""
_FINISH: Final = f"""
UPDATE files_files SET state = 'ready', purpose = $3, filename = $4, media_type = $5, bytes = $6, sha256 = $7,
    created = now(), expires = now() + make_interval(secs => $8)
WHERE tenant = $1 AND id = $2 AND state = 'uploading' AND lease > now() RETURNING {FILE}
"""  # noqa: S608 - literals of ours
_REMOVE: Final = """
UPDATE files_files SET state = 'removing', lease = now() WHERE tenant = $1 AND id = $2 AND state <> 'removing'
"""
_PLACE: Final = re.compile(r"(-?\d{1,18})\.(\d{1,18})\Z")


class Store:
    """Every method raises DependencyDown when PostgreSQL cannot be reached, and NotFound for what is not the
    tenant's."""

    def __init__(self, postgres: Postgres, room: Room, upload_seconds: float) -> None:
        self._postgres = postgres
        self._room = room
        self._seconds = upload_seconds

    async def begin(self, tenant: str, length: int) -> Place:
        """A row that nobody sees. Raises StorageFull."""
        name = new_id("file-")
        key = key_of(tenant, name)
        async with self._postgres.acquire() as connection:
            most = await self._room.offer(connection, tenant, self._room.file, length)
            await connection.execute(_BEGIN, tenant, name, key, self._seconds)
        return Place(id=name, key=key, most=most, seconds=self._seconds)

    async def finish(self, tenant: str, asked: FinishFile) -> File:
        """Make it a file. Raises StorageFull."""
        async with self._postgres.transaction() as connection:
            await self._room.take(connection, tenant, asked.bytes)
            row = await self.publish(connection, tenant, asked)
            if row is None:  # the answer to the first time was lost
                row = await connection.fetchrow(
                    f"SELECT {FILE} FROM files_files WHERE tenant = $1 AND id = $2 AND sha256 = $3 AND {SEEN}",  # noqa: S608 - literals of ours
                    tenant,
                    asked.id,
                    asked.sha256,
                )
        if row is None:
            raise no_file(asked.id)
        return file(row)

    async def publish(self, connection: Connection, tenant: str, asked: FinishFile) -> Any:
        """In the caller's transaction: the row of the new file; None when its time was over."""
        return await connection.fetchrow(
            _FINISH,
            tenant,
            asked.id,
            asked.purpose,
            asked.filename,
            asked.media_type,
            asked.bytes,
            asked.sha256,
            _life(asked.purpose, asked.expires_after),
        )

    async def get(self, tenant: str, id: str, param: str = "file_id") -> File:
        """One."""
        return file(await self._row(tenant, id, param))

    async def locate(self, tenant: str, id: str) -> LocatedFile:
        """One, with where it lies."""
        return _located(await self._row(tenant, id, "file_id"))

    async def locate_many(self, tenant: str, ids: Sequence[str]) -> list[LocatedFile]:
        """Those of them that are there, with where they lie."""
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(
                f"SELECT {FILE} FROM files_files WHERE tenant = $1 AND id = ANY($2) AND {SEEN}",  # noqa: S608 - literals of ours
                tenant,
                [each for each in ids if known(each)],
            )
        return [_located(row) for row in rows]

    async def page(self, tenant: str, asked: ListFiles) -> FilePage:
        """Those that anybody can see, in the order in which they were made, or against it."""
        values: list[Any] = [tenant]
        where = ["tenant = $1", SEEN]
        if asked.purpose:
            values.append(asked.purpose)
            where.append(f"purpose = ${len(values)}")
        sign, way = (">", "ASC") if asked.order == "asc" else ("<", "DESC")
        if asked.place or asked.after:
            values += await self._after(tenant, asked)
            where.append(f"(created, number) {sign} (${len(values) - 1}, ${len(values)})")
        values.append(asked.limit + 1)
        query = (
            f"SELECT {FILE} FROM files_files WHERE {' AND '.join(where)} "  # noqa: S608 - literals of ours, values as parameters
            f"ORDER BY created {way}, number {way} LIMIT ${len(values)}"
        )
        async with self._postgres.acquire() as connection:
            rows = await connection.fetch(query, *values)
        shown = rows[: asked.limit]
        more = len(rows) > len(shown)
        place = f"{_micro(shown[-1]['created'])}.{shown[-1]['number']}" if more else ""
        return FilePage(data=[file(row) for row in shown], has_more=more, next=place)

    async def hide(self, tenant: str, id: str) -> str:
        """From now on nobody sees it; its key."""
        if not known(id):
            raise no_file(id)
        async with self._postgres.acquire() as connection:
            key: str | None = await connection.fetchval(
                f"UPDATE files_files SET state = 'removing', lease = now() "  # noqa: S608 - literals of ours
                f"WHERE tenant = $1 AND id = $2 AND {SEEN} RETURNING key",
                tenant,
                id,
            )
        if key is None:
            raise no_file(id)
        return key

    async def give_up(self, tenant: str, id: str) -> str | None:
        """The same with a file that its maker says will not be, or has failed to hear of; None when there is none."""
        async with self._postgres.acquire() as connection:
            key: str | None = await connection.fetchval(f"{_REMOVE} RETURNING key", tenant, id)
        return key

    async def gone(self, key: str) -> None:
        """Its bytes are removed."""
        async with self._postgres.acquire() as connection:
            await connection.execute("DELETE FROM files_files WHERE key = $1 AND state = 'removing'", key)

    async def _row(self, tenant: str, id: str, param: str) -> Any:
        row = None
        if known(id):
            async with self._postgres.acquire() as connection:
                row = await connection.fetchrow(
                    f"SELECT {FILE} FROM files_files WHERE tenant = $1 AND id = $2 AND {SEEN}",  # noqa: S608 - literals of ours
                    tenant,
                    id,
                )
        if row is None:
            raise no_file(id, param)
        return row

    async def _after(self, tenant: str, asked: ListFiles) -> tuple[datetime, int]:
        match = _PLACE.match(asked.place)
        if match is not None:
            return datetime.fromtimestamp(int(match[1]) // 10**6, UTC).replace(microsecond=int(match[1]) % 10**6), int(
                match[2]
            )
        row = await self._row(tenant, asked.after, "after")
        return row["created"], row["number"]


def _located(row: Any) -> LocatedFile:
    return LocatedFile(file=file(row), key=row["key"], sha256=row["sha256"], media_type=row["media_type"])


def _life(purpose: str, expires_after: ExpiresAfter | None) -> float | None:
    if expires_after is not None:
        return float(expires_after.seconds)
    return float(BATCH_SECONDS) if purpose == "batch" else None


def _micro(at: datetime) -> int:
    return int(at.timestamp()) * 10**6 + at.microsecond
