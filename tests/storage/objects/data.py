"""Bytes to keep, and how they come."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator

from caravan_storage.objects import Objects

MUCH = 1 << 40
LARGE = 20 * 1024 * 1024 + 321
"""More than two parts of a multipart upload."""


def some(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def pieces(data: bytes, size: int = 100_000) -> AsyncIterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


async def breaking(data: bytes, error: BaseException) -> AsyncIterator[bytes]:
    """All of `data`, and then not an end but `error`."""
    async for piece in pieces(data):
        yield piece
    raise error


async def waiting(data: bytes, come: asyncio.Event, go_on: asyncio.Event) -> AsyncIterator[bytes]:
    """`data`, a pause, and its end."""
    async for piece in pieces(data):
        yield piece
    come.set()
    await go_on.wait()
    yield b"the end"


async def put(objects: Objects, key: str, data: bytes) -> None:
    stored = await objects.put(key, pieces(data), MUCH)
    assert (stored.size, stored.sha256) == (len(data), digest(data))


async def read(objects: Objects, key: str, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([piece async for piece in objects.get(key, start, end)])


async def listed(objects: Objects, prefix: str = "") -> list[str]:
    return sorted([key async for key, _age in objects.keys(prefix)])
