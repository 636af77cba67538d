"""Pools that leave nothing behind, and documents to read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import psutil
import pytest
from caravan_vector.parsing.limits import MIB, Limits
from caravan_vector.parsing.pieces import Piece
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.process import Document

from tests.parsing import misbehaving

SMALL = Limits(
    seconds=40.0, cpu_seconds=20, memory_bytes=600 * MIB, text_bytes=4 * MIB, pages=50, unpacked_bytes=8 * MIB
)
MakePool = Callable[..., ParserPool]


def workers() -> list[psutil.Process]:
    """Worker processes of this one, dead ones that nobody took away included."""
    found = []
    for child in psutil.Process().children():
        try:
            line = child.cmdline()
        except psutil.Error:
            continue
        if "caravan_vector.parsing.worker" in line or child.status() == psutil.STATUS_ZOMBIE:
            found.append(child)
    return found


@pytest.fixture
async def make_pool() -> AsyncIterator[MakePool]:
    pools: list[ParserPool] = []

    def make(workers: int = 2, documents: int = 50, limits: Limits = SMALL) -> ParserPool:
        pools.append(ParserPool(workers, documents, limits, misbehaving.ALL))
        return pools[-1]

    yield make
    for pool in pools:
        await pool.close()
    assert workers() == []


@pytest.fixture
def pool(make_pool: MakePool) -> ParserPool:
    return make_pool()


async def read(
    pool: ParserPool, path: Path, media_type: str = "", filename: str | None = None, patience: float = 50
) -> list[Piece]:
    """All of a document, within `patience` seconds."""
    async with asyncio.timeout(patience):
        async with pool.read(Document(path, path.name if filename is None else filename, media_type)) as pieces:
            return [piece async for piece in pieces]


Text = Callable[[Path], Awaitable[str]]


@pytest.fixture
def text(pool: ParserPool) -> Text:
    async def all_of(path: Path) -> str:
        return "".join(piece.text for piece in await read(pool, path))

    return all_of


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("a small note")
    return path
