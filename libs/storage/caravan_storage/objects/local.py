"""Objects in a folder, which several processes of one machine may share.

The object `a/b` is the file `a/b~`: no key has a `~`, so no object stands in the way of a folder. What is not whole
yet lies in `.drafts`, where no key leads.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from caravan_contracts.errors import NotFound

from caravan_storage.objects.bounds import check_range, gathered, one_after_the_other
from caravan_storage.objects.draft import Draft, sweep, sync_folder
from caravan_storage.objects.names import check_key, check_prefix
from caravan_storage.objects.protocol import PIECE, Stored
from caravan_storage.objects.reading import Reading
from caravan_storage.objects.threads import Threads
from caravan_storage.objects.walk import Walk

AT_A_TIME: Final = 1024 * 1024
"""Bytes written or read in one turn of a thread."""
SWEEP_SECONDS: Final = 3600.0
_DRAFTS: Final = ".drafts"
_SUFFIX: Final = "~"


class LocalObjects:
    """:class:`~caravan_storage.objects.protocol.Objects` in `folder`, which is made at the first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = Threads()
        self._swept = -SWEEP_SECONDS

    async def put(self, key: str, data: AsyncIterator[bytes], most: int) -> Stored:
        path = self._path(key)
        await self._sweep()
        turns = self._threads.turns()
        draft = Draft(self._folder / _DRAFTS)
        try:
            await turns.run(draft.open)
            async with aclosing(gathered(data, most, AT_A_TIME)) as parts:
                async for part in parts:
                    await turns.run(draft.write, part)
            return await turns.run(draft.become, path)
        finally:
            await asyncio.shield(turns.run(draft.drop))

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes]:
        check_range(start, end)
        turns = self._threads.turns()
        reading = Reading(self._path(key))
        try:
            if not await turns.run(reading.open):
                raise NotFound(f"there is no object {key}")
            while end is None or start < end:
                read = await turns.run(reading.read, start, AT_A_TIME if end is None else min(AT_A_TIME, end - start))
                if not read:
                    return
                start += len(read)
                for at in range(0, len(read), PIECE):
                    yield read[at : at + PIECE]
        finally:
            await asyncio.shield(turns.run(reading.close))

    async def join(self, key: str, parts: Sequence[str]) -> Stored:
        async with aclosing(one_after_the_other(self.get, parts)) as data:
            return await self.put(key, data, most=sys.maxsize)

    async def delete(self, key: str) -> None:
        await self._threads.turns().run(_remove, self._path(key), self._folder)

    async def keys(self, prefix: str) -> AsyncGenerator[tuple[str, float]]:
        walk = Walk(self._folder, check_prefix(prefix), _SUFFIX)
        turns = self._threads.turns()
        try:
            while batch := await turns.run(walk.batch):
                for found in batch:
                    yield found
        finally:
            await asyncio.shield(turns.run(walk.close))

    async def close(self) -> None:
        self._threads.close()

    def _path(self, key: str) -> Path:
        return self._folder / (check_key(key) + _SUFFIX)

    async def _sweep(self) -> None:
        if time.monotonic() - self._swept >= SWEEP_SECONDS:
            self._swept = time.monotonic()
            await self._threads.turns().run(sweep, self._folder / _DRAFTS)


def _remove(path: Path, root: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_folder(path.parent)
    for folder in path.parents:
        if folder == root:
            return
        try:
            folder.rmdir()
        except OSError:  # there is more in it, or another was first
            return
