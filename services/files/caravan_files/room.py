"""How many bytes a tenant may still keep."""

from __future__ import annotations

from typing import Final

from caravan_storage.postgres import Connection

from caravan_files.errors import storage_full

_USED: Final = """
SELECT coalesce((SELECT sum(bytes) FROM files_files WHERE tenant = $1 AND state = 'ready'), 0)
     + coalesce((SELECT sum(bytes) FROM files_parts WHERE tenant = $1 AND state = 'ready'), 0)
"""
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('caravan files ' || $1, 0))"


class Room:
    """The bounds, in bytes; `tenant` 0 = none."""

    def __init__(self, file: int, tenant: int) -> None:
        self.file = file
        self._tenant = tenant

    async def left(self, connection: Connection, tenant: str) -> int | None:
        """Bytes; None when there is no bound."""
        if not self._tenant:
            return None
        used: int = await connection.fetchval(_USED, tenant)
        return max(0, self._tenant - used)

    async def offer(self, connection: Connection, tenant: str, most: int, length: int = 0) -> int:
        """How many bytes may come when `most` might. Raises StorageFull when there is no room for `length`, or for
        anything."""
        left = await self.left(connection, tenant)
        if left is None:
            return most
        if left < max(length, 1):
            raise storage_full(self._tenant)
        return min(most, left)

    async def take(self, connection: Connection, tenant: str, bytes: int) -> None:
        """In a transaction: be sure that there is room, until its end. Raises StorageFull."""
        if not self._tenant:
            return
        await connection.execute(_LOCK, tenant)
        left = await self.left(connection, tenant)
        if left is not None and left < bytes:
            raise storage_full(self._tenant)
