"""Indexes that search copies of the vectors: the truth stays in PostgreSQL, and a copy is brought up to its revision
before it is searched, so every process answers alike."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeVar

import numpy as np
from caravan_contracts.errors import Unavailable
from caravan_storage.postgres import Connection, Postgres
from numpy.typing import NDArray

from caravan_vector.indexes import statements
from caravan_vector.indexes.base import MODES, Hit, Mode, Query, check, unit
from caravan_vector.indexes.pgvector import run
from caravan_vector.indexes.statements import Search
from caravan_vector.indexes.tables import Head, Tables, count, find, matching
from caravan_vector.indexes.words import count_common

log = logging.getLogger(__name__)

Result = TypeVar("Result")
Numbers = NDArray[np.int64]
Vectors = NDArray[np.float16]
_BATCH: Final = 5_000
_LOAD_SECONDS: Final = 120.0
"""Longest wait for a copy to be up to date."""
_LIVE: Final = "SELECT number FROM vector_chunks WHERE store = $1"
_CHANGED: Final = """
SELECT number, file, halfvec_send(embedding) AS sent FROM vector_chunks WHERE store = $1 AND revision > $2
"""


class Copy(Protocol):
    """Vectors of one store in memory. Called from threads, by one at a time."""

    def add(self, numbers: Numbers, files: Numbers, vectors: Vectors) -> None:
        """Rows that are not there yet: chunk, file and vector (n, dimension) of each."""
        ...

    def discard(self, numbers: Numbers) -> None:
        """Take out chunks; those that are not there are passed over."""
        ...

    def numbers(self) -> Numbers:
        """All chunks there are."""
        ...

    def nearest(self, vector: Sequence[float], limit: int, files: Sequence[int] | None) -> list[int]:
        """The chunks with the largest inner product, of these files only when they are given."""
        ...


@dataclass
class _Held:
    """A copy, and what it knows."""

    copy: Copy
    revision: int = -1
    bytes: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Copied(Tables):
    """An :class:`caravan_vector.indexes.base.Index`, but for its name and :meth:`_make`.

    Copies have `most_bytes` together: the one that was unused longest goes first, and a store that is larger by itself
    is searched in PostgreSQL.
    """

    name = ""
    modes: frozenset[Mode] = MODES
    bytes_per_number = 2

    def __init__(
        self, postgres: Postgres, others: Mapping[str, frozenset[Mode]] | None = None, most_bytes: int = 1024**3
    ) -> None:
        super().__init__(postgres)
        self._others = others or {}
        self._most_bytes = most_bytes
        self._held: OrderedDict[int, _Held] = OrderedDict()

    def _make(self, dimension: int) -> Copy:
        raise NotImplementedError

    @property
    def held_bytes(self) -> int:
        """Of all copies."""
        return sum(held.bytes for held in self._held.values())

    async def drop(self, tenant: str, store: str) -> int | None:
        """With the copy of this process; others forget theirs when they need the room."""
        number = await super().drop(tenant, store)
        if number is not None:
            self._held.pop(number, None)
        return number

    async def search(self, tenant: str, store: str, query: Query) -> list[Hit]:
        """Near vectors out of the copy; words, fusion and texts out of PostgreSQL, as it was in the same moment."""
        async with self.postgres.acquire() as connection:
            head = await find(connection, tenant, store)
            check(query, head.dimension, self.name, self.modes, self._others)
        if query.mode == "keyword" or not await self._fits(head):
            return await self._without_copy(tenant, store, query)
        vector = unit(query.vector or (), head.dimension, "query")
        held = self._use(head)
        try:
            async with asyncio.timeout(_LOAD_SECONDS):
                await held.lock.acquire()
        except TimeoutError as error:
            raise Unavailable(f"the vectors of {store!r} are still being loaded", retry_after=5) from error
        locked = True
        try:  # the moment begins inside the lock: nobody brings the copy beyond it
            async with (
                self.postgres.acquire() as connection,
                connection.transaction(isolation="repeatable_read", readonly=True),
            ):
                head = await find(connection, tenant, store)
                left = await matching(connection, head, query.filter) if query.filter else None
                if left is not None and not left.chunks:
                    return []
                await self._catch_up(connection, head, held)
                search = Search(head, query, vector, left.files if left else None)
                numbers = await _aside(held.copy.nearest, vector, search.depth, search.files)
                held.lock.release()
                locked = False
                return await run(connection, search, statements.given(search, numbers))
        finally:
            if locked:
                held.lock.release()

    async def settle(self, tenant: str, store: str) -> None:
        """Count common words; copies are made by searches."""
        async with self.postgres.acquire() as connection:
            head = await find(connection, tenant, store)
            await count_common(connection, head, await count(connection, head))

    async def close(self) -> None:
        """Forget every copy."""
        self._held.clear()

    async def _without_copy(self, tenant: str, store: str, query: Query) -> list[Hit]:
        async with self.postgres.acquire() as connection:
            head = await find(connection, tenant, store)
            left = await matching(connection, head, query.filter) if query.filter else None
            if query.mode == "keyword":
                search = Search(head, query, [], left.files if left else None)
                return await run(connection, search)
            search = Search(
                head, query, unit(query.vector or (), head.dimension, "query"), left.files if left else None
            )
            return await run(connection, search, statements.exact(search))

    async def _fits(self, head: Head) -> bool:
        """Whether there is room for the whole store, after others were forgotten."""
        async with self.postgres.acquire() as connection:
            wanted = await count(connection, head) * head.dimension * self.bytes_per_number
        if wanted > self._most_bytes:
            log.info("store %s has %s bytes of vectors: too many for a copy", head.number, wanted)
            self._held.pop(head.number, None)
            return False
        others = sum(held.bytes for number, held in self._held.items() if number != head.number)
        for number in list(self._held):
            if others + wanted <= self._most_bytes:
                break
            if number != head.number:
                others -= self._held.pop(number).bytes
        return True

    def _use(self, head: Head) -> _Held:
        held = self._held.get(head.number)
        if held is None:
            held = self._held[head.number] = _Held(self._make(head.dimension))
        self._held.move_to_end(head.number)
        return held

    async def _catch_up(self, connection: Connection, head: Head, held: _Held) -> None:
        """Bring the copy to the revision of `head`. Cut off in the middle, it begins again behind what it knew."""
        if held.revision == head.revision:
            return
        if held.revision < head.removed:
            rows = await connection.fetch(_LIVE, head.number, timeout=_LOAD_SECONDS)
            live = np.fromiter((row["number"] for row in rows), np.int64, len(rows))
            held.copy.discard(np.setdiff1d(held.copy.numbers(), live))
        statement = await connection.prepare(_CHANGED)
        rows = []
        async for row in statement.cursor(head.number, held.revision, prefetch=_BATCH, timeout=_LOAD_SECONDS):
            rows.append(row)
            if len(rows) == _BATCH:
                await _aside(_replace, held.copy, rows, head.dimension)
                rows = []
        if rows:
            await _aside(_replace, held.copy, rows, head.dimension)
        held.revision = head.revision
        held.bytes = len(held.copy.numbers()) * head.dimension * self.bytes_per_number


async def _aside(function: Callable[..., Result], *args: Any) -> Result:
    """In a thread. It ends before this does, also when this is cancelled: nobody else may touch the copy meanwhile."""
    running = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _replace(copy: Copy, rows: Sequence[Any], dimension: int) -> None:
    numbers = np.fromiter((row["number"] for row in rows), np.int64, len(rows))
    files = np.fromiter((row["file"] for row in rows), np.int64, len(rows))
    # as pgvector sends it: the dimension and an unused number, two bytes each, in front of the halves
    sent = np.frombuffer(b"".join(row["sent"] for row in rows), ">f2").reshape(len(rows), dimension + 2)
    copy.discard(numbers)
    copy.add(numbers, files, sent[:, 2:].astype(np.float16))
