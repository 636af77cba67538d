"""The text of a whole document on disk, to look at any part of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.process import Document

_CODEC: Final = "utf-32-le"
_WIDTH: Final = 4
"""Bytes of a character: where one begins needs no search."""


class Spool:
    """Of one document."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.length = 0
        """Characters."""

    async def fill(self, pool: ParserPool, document: Document) -> None:
        """Read the document to its end. Raises what :meth:`ParserPool.read` raises."""
        with self._path.open("wb") as out:
            async with pool.read(document) as pieces:
                async for piece in pieces:
                    self.length += len(piece.text)
                    await asyncio.to_thread(out.write, piece.text.encode(_CODEC, "replace"))

    async def around(self, place: int, characters: int) -> str:
        """So many characters of it, with `place` in their middle where there is enough on both sides."""
        start = max(0, min(place - characters // 2, self.length - characters))
        return await asyncio.to_thread(self._read, start, characters)

    def _read(self, start: int, characters: int) -> str:
        with self._path.open("rb") as file:
            file.seek(start * _WIDTH)
            return file.read(characters * _WIDTH).decode(_CODEC)
