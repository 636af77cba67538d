"""A document as batches of chunks, made as they are wanted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from caravan_vector.chunking.chunker import Chunk, Chunker
from caravan_vector.chunking.strategy import Sizes
from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.pieces import Piece
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.process import Document
from caravan_vector.texts import storable


async def batches(pool: ParserPool, document: Document, sizes: Sizes, size: int) -> AsyncGenerator[list[Chunk]]:
    """Up to `size` chunks at a time; the next are made once they are asked for. Chunks without words are passed over.
    Raises what :meth:`ParserPool.read` raises, and InvalidFile when there is no text at all."""
    chunker = Chunker(sizes)
    waiting: list[Chunk] = []
    empty = True
    async with pool.read(document) as pieces:
        async for piece in pieces:
            waiting += await asyncio.to_thread(_fed, chunker, piece)
            while len(waiting) >= size:
                empty = False
                yield waiting[:size]
                waiting = waiting[size:]
    waiting += await asyncio.to_thread(_ended, chunker)
    for start in range(0, len(waiting), size):
        empty = False
        yield waiting[start : start + size]
    if empty:
        raise InvalidFile(
            "no text was found in the file; in pictures it is found by OCR, the extra ocr of caravan-vector"
        )


def _fed(chunker: Chunker, piece: Piece) -> list[Chunk]:
    return [chunk for chunk in chunker.feed(piece) if _says_something(chunk)]


def _ended(chunker: Chunker) -> list[Chunk]:
    return [chunk for chunk in chunker.end() if _says_something(chunk)]


def _says_something(chunk: Chunk) -> bool:
    return bool(chunk.text.strip()) and storable(chunk.text)
