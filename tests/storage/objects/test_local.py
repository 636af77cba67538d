"""Objects in a folder."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from caravan_contracts.errors import DependencyDown
from caravan_storage.objects.draft import LEFTOVER_SECONDS
from caravan_storage.objects.local import LocalObjects
from caravan_storage.objects.threads import disk_errors

from tests.storage.objects.contract import ObjectsContract
from tests.storage.objects.data import LARGE, listed, put, read, some


@pytest_asyncio.fixture
async def objects(tmp_path: Path) -> AsyncIterator[LocalObjects]:
    made = LocalObjects(tmp_path / "not made yet" / "objects")
    yield made
    await made.close()


class TestLocalObjects(ObjectsContract):
    """A folder does what every object store does."""


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_kept_is_for_nobody_else(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path / "objects")
    await put(objects, "files/a/b", b"x")
    made = [tmp_path / "objects", *(tmp_path / "objects").rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}
    await objects.close()


async def test_empty_folders_do_not_pile_up(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    await put(objects, "files/a/b", b"x")
    await put(objects, "files/c/d", b"x")
    await objects.delete("files/a/b")
    assert [path.name for path in (tmp_path / "files").iterdir()] == ["c"]
    await objects.delete("files/c/d")
    assert not (tmp_path / "files").exists()
    await objects.close()


async def test_two_processes_may_share_a_folder(tmp_path: Path) -> None:
    one, other = LocalObjects(tmp_path), LocalObjects(tmp_path)
    await put(one, "a", b"x")
    assert await read(other, "a") == b"x"
    await other.delete("a")
    assert await listed(one) == []
    await one.close()
    await other.close()


async def test_an_object_is_read_to_its_end_though_it_is_deleted(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    data = some(LARGE)
    await put(objects, "a", data)
    reading = objects.get("a")
    first = await anext(reading)
    await put(objects, "a", b"another")
    await objects.delete("a")
    assert first + b"".join([piece async for piece in reading]) == data
    await objects.close()


async def test_what_a_dead_process_left_is_swept_by_its_age(tmp_path: Path) -> None:
    drafts = tmp_path / ".drafts"
    drafts.mkdir()
    old, young = drafts / "old", drafts / "young"
    for path in (old, young):
        path.write_bytes(b"half of it")
    long_ago = time.time() - LEFTOVER_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    objects = LocalObjects(tmp_path)
    await put(objects, "a", b"x")
    assert files(drafts) == [young], "somebody may still write to it"
    assert await listed(objects) == ["a"]
    await objects.close()


HALF_A_PUT = """
import asyncio, sys
from pathlib import Path
from caravan_storage.objects.local import LocalObjects

async def data():
    for _ in range(5):
        yield b"new" * 1_000_000
    print("half", flush=True)
    await asyncio.sleep(60)
    yield b"the rest"

asyncio.run(LocalObjects(Path(sys.argv[1])).put("files/a", data(), 1 << 40))
"""


async def test_a_killed_process_leaves_no_half_object(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    await put(objects, "files/a", b"before")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HALF_A_PUT, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"half\n"
    process.send_signal(signal.SIGKILL)
    await process.wait()
    assert [path.stat().st_size for path in files(tmp_path / ".drafts")] == [15_000_000], "it was under way"
    assert await read(objects, "files/a") == b"before"
    assert await listed(objects) == ["files/a"]
    await objects.close()


NO_ROOM = """
import asyncio, resource, signal, sys
from pathlib import Path
from caravan_contracts.errors import DependencyDown
from caravan_storage.objects.local import LocalObjects

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, 3_000_000))

async def data():
    for _ in range(10):
        yield b"x" * 1_000_000

async def main():
    objects = LocalObjects(Path(sys.argv[1]))
    try:
        await objects.put("a", data(), 1 << 40)
    except DependencyDown as error:
        print(error)
    print([key async for key in objects.keys("")])

asyncio.run(main())
"""


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(tmp_path)], check=True, timeout=110, capture_output=True, text=True
    )
    assert done.stdout == "the folder of the object store cannot be used: File too large\n[]\n"
    assert files(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_called_full(number: int) -> None:
    with pytest.raises(DependencyDown, match="the disk of the object store is full"), disk_errors():
        raise OSError(number, os.strerror(number))


async def test_a_folder_that_cannot_be_made_is_a_dependency_that_is_down(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    objects = LocalObjects(tmp_path / "file" / "objects")
    with pytest.raises(DependencyDown, match="cannot be used"):
        await put(objects, "a", b"x")
    await objects.close()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_whoever_is_cancelled_leaves_no_file_open(tmp_path: Path) -> None:
    objects = LocalObjects(tmp_path)
    await put(objects, "a", some(3_000_000))
    before = open_files()
    tasks = [asyncio.create_task(read(objects, "a")) for _ in range(30)]
    tasks += [asyncio.create_task(put(objects, f"b/{number}", some(100_000))) for number in range(30)]
    for turns, task in enumerate(tasks):
        for _ in range(turns % 7):
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    while open_files() > before:  # pytest's own limit ends this
        await asyncio.sleep(0)
    assert files(tmp_path / ".drafts") == []
    await objects.close()
