"""The bytes of a file, from the object store into a file of this machine that its reader can seek in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Final

from caravan_bus.requests import Requester
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import NotFound
from caravan_contracts.files import LocatedFile, LocateFile
from caravan_contracts.users import FILES
from caravan_storage.objects import Objects

from caravan_vector.ingest import scratch
from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.process import Document

_ASK_SECONDS: Final = 10.0
_FLUSH: Final = 4 * 1024 * 1024
"""Bytes that are collected before they are written, in a thread."""


class Fetcher:
    """One per process."""

    def __init__(self, requester: Requester, objects: Objects, most: int) -> None:
        """`most`: bytes of a file that is read into a store."""
        self._requester = requester
        self._objects = objects
        self._most = most

    @asynccontextmanager
    async def fetch(self, file: str, principal: Principal, name: str) -> AsyncIterator[Document]:
        """The file, for the time of the block. Raises InvalidFile when it is gone or too large, DependencyDown and
        what :meth:`Requester.ask` raises."""
        located = await self._locate(file, principal, name)
        if located.file.bytes > self._most:
            raise InvalidFile(
                f"the file has {located.file.bytes} bytes; {self._most} can be read into a vector store",
                bound="file_bytes",
            )
        with scratch.folder() as folder:
            path = folder / "document"
            await self._download(located.key, path)
            yield Document(path, located.file.filename, located.media_type)

    async def _locate(self, file: str, principal: Principal, name: str) -> LocatedFile:
        context = RequestContext(name, principal)
        try:
            return await self._requester.ask(
                FILES, "locate_file", LocateFile(id=file), LocatedFile, context, _ASK_SECONDS
            )
        except NotFound as error:
            raise InvalidFile("the file was deleted before it was read") from error

    async def _download(self, key: str, path: Path) -> None:
        waiting = bytearray()
        with path.open("wb") as out:
            try:
                async with aclosing(self._objects.get(key)) as pieces:
                    async for piece in pieces:
                        waiting += piece
                        if len(waiting) >= _FLUSH:
                            await asyncio.to_thread(out.write, waiting)
                            waiting = bytearray()
            except NotFound as error:
                raise InvalidFile("the file was deleted before it was read") from error
            await asyncio.to_thread(out.write, waiting)
