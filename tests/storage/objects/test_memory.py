"""What a large object costs in memory: the same as a small one."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.storage.objects.seaweed import KEYS, Seaweed

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(400)]

GROWTH = 60
"""MB, while 300 are put, read and joined."""

THROUGH = """
import asyncio, hashlib, os, resource, sys
from caravan_storage.objects import from_url

PIECE = os.urandom(64 * 1024)

async def data(count):
    for _ in range(count):
        yield PIECE

async def there_and_back(objects, key, count):
    stored = await objects.put(key, data(count), 1 << 40)
    digest = hashlib.sha256()
    async for piece in objects.get(key):
        digest.update(piece)
    assert (stored.size, stored.sha256) == (count * len(PIECE), digest.hexdigest())

def most():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

async def main():
    objects = from_url(sys.argv[1], os.environ)
    await there_and_back(objects, "small", 160)
    before = most()
    await there_and_back(objects, "large", 4800)
    await objects.join("joined", ["small", "large"])
    print(int(most() - before))
    for key in ("small", "large", "joined"):
        await objects.delete(key)
    await objects.close()

asyncio.run(main())
"""


async def growth(url: str) -> int:
    """MB a process grew by."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", THROUGH, url, stdout=asyncio.subprocess.PIPE, env={**os.environ, **KEYS}
    )
    said, _ = await asyncio.wait_for(process.communicate(), 380)
    assert process.returncode == 0
    return int(said)


async def test_a_folder_takes_large_objects_in_little_memory(tmp_path: Path) -> None:
    assert await growth((tmp_path / "objects").as_uri()) < GROWTH


async def test_a_bucket_takes_large_objects_in_little_memory(seaweed: Seaweed) -> None:
    assert await growth(seaweed.url("memory")) < GROWTH
