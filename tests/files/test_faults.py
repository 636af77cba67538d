"""Whatever dies in the middle of an upload: nothing half is seen, a retry works, and what is left is removed."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import psutil
import pytest
from openai import APIConnectionError, APIStatusError, OpenAI

from tests.files.bodies import Line, field, file_head, form, headers
from tests.mesh.running import FILES, RunningMesh
from tests.mesh.tenants import ADA, connect, two_tenants
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.slow, pytest.mark.long]
MB = 1024 * 1024


@pytest.fixture(scope="module")
def mortal(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """One of each, which sweep twice a second."""
    with two_tenants(
        tmp_path_factory.mktemp("mortal"),
        upstream,
        FILES,
        CARAVAN_FILES_SWEEP_SECONDS="0.5",
        CARAVAN_FILES_ORPHAN_SECONDS="3",
        CARAVAN_FILES_BYTES=str(2048 * MB),
    ) as made:
        yield made


def pid(mesh: RunningMesh, name: str) -> int:
    """0 while it is dead."""
    return int(next(c["pid"] for c in mesh.state["children"] if c["name"] == name) or 0)


def back(mesh: RunningMesh, name: str, old: int) -> bool:
    return pid(mesh, name) not in (0, old) and mesh.all_ready()


def listed(client: OpenAI) -> set[str]:
    return {row.id for row in client.files.list()}


def there(mesh: RunningMesh) -> list[Path]:
    """Whole objects in the store."""
    return [path for path in (mesh.folder / "data/objects/files").rglob("*") if path.is_file()]


def writing(mesh: RunningMesh) -> bool:
    return any(path.stat().st_size for path in (mesh.folder / "data/objects/.drafts").iterdir())


def begin(mesh: RunningMesh, data: bytes, filename: str = "half.bin") -> tuple[Line, bytes]:
    """An upload that stands still: the line, and what is still to be sent."""
    body = form(filename, data)
    line = Line(mesh.url, length=len(body))
    line.send(body[:-1000])
    mesh.until(lambda: writing(mesh))
    return line, body[-1000:]


def test_the_files_service_is_killed_in_the_middle(mortal: RunningMesh) -> None:
    with connect(mortal, retries=5) as client:
        before = listed(client)
        data = os.urandom(3 * MB)
        line, rest = begin(mortal, data)
        old = mortal.kill9("files")
        line.send(rest)
        assert line.answer().startswith(b"HTTP/1.1 200"), "it is told again when it is back"
        line.close()
        mortal.until(lambda: back(mortal, "files", old))
        (made,) = listed(client) - before
        assert client.files.content(made).read() == data


def test_the_gateway_is_killed_in_the_middle(mortal: RunningMesh) -> None:
    with connect(mortal, retries=5) as client:
        before = listed(client)
    objects = set(there(mortal))
    line, _ = begin(mortal, os.urandom(3 * MB))
    old = mortal.kill9("gateway")
    line.close()
    mortal.until(lambda: back(mortal, "gateway", old))
    with connect(mortal, retries=5) as client:
        assert listed(client) == before
        assert set(there(mortal)) == objects
        again = client.files.create(file=("half.bin", b"again"), purpose="user_data")
        assert listed(client) == before | {again.id}


def test_bytes_that_no_row_tells_of_are_removed(mortal: RunningMesh) -> None:
    with connect(mortal) as client:
        kept = client.files.create(file=("kept.txt", b"kept"), purpose="user_data")
        folder = there(mortal)[0].parent
        orphan = folder / ("file-" + "0" * 32 + "~")
        orphan.write_bytes(b"left behind")
        long_ago = time.time() - 100
        os.utime(orphan, (long_ago, long_ago))
        mortal.until(lambda: not orphan.exists())
        assert client.files.content(kept.id).read() == b"kept"


def test_postgres_may_be_away(mortal: RunningMesh) -> None:
    with connect(mortal, retries=6) as client:
        old = mortal.kill9("postgres")
        made = client.files.create(file=("a.txt", b"hello"), purpose="user_data")
        mortal.until(lambda: back(mortal, "postgres", old))
        assert client.files.content(made.id).read() == b"hello"


def test_a_file_is_there_whole_or_not_at_all(mortal: RunningMesh) -> None:
    """Both services die now and then while files come and go."""
    stop = threading.Event()
    made: list[tuple[str, bytes]] = []

    def keep_on(number: int) -> None:
        with connect(mortal, retries=0) as client:
            while not stop.is_set():
                data = os.urandom(300_000 + number)
                try:
                    made.append((client.files.create(file=("a.bin", data), purpose="user_data").id, data))
                except (APIConnectionError, APIStatusError):
                    stop.wait(0.05)

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(keep_on, number) for number in range(3)]
        try:
            for name in ("files", "gateway", "files"):
                old = mortal.kill9(name)
                mortal.until(lambda name=name, old=old: back(mortal, name, old))  # type: ignore[misc]
                count = len(made)
                mortal.until(lambda count=count: len(made) > count)  # type: ignore[misc]
        finally:
            stop.set()
        for each in running:
            each.result()
    with connect(mortal, retries=5) as client:
        seen = {row.id: row.bytes for row in client.files.list()}
        for name, data in made:
            assert seen[name] == len(data)
            assert client.files.content(name).read() == data
        for name, size in seen.items():
            assert len(client.files.content(name).read()) == size


def upload_large(mesh: RunningMesh, size: int) -> tuple[str, dict[str, int]]:
    """Its id, and the most memory that each process had meanwhile, in bytes."""
    processes = {name: psutil.Process(mesh.pid(name)) for name in ("gateway", "files")}
    most = dict.fromkeys(processes, 0)
    piece = os.urandom(MB)

    def body() -> Iterator[bytes]:
        yield field("purpose", "user_data") + file_head("large.bin")
        for number in range(size // MB):
            if number % 8 == 0:
                for name, process in processes.items():
                    most[name] = max(most[name], process.memory_info().rss)
            yield piece
        yield b"\r\n--house-boundary--\r\n"

    with httpx.Client(base_url=mesh.url, timeout=120) as http:
        made = http.post("/v1/files", content=body(), headers=headers(ADA))
        assert made.status_code == 200, made.text
        assert made.json()["bytes"] == size
    return made.json()["id"], most


def read_large(mesh: RunningMesh, id: str, look: Callable[[], None]) -> int:
    size = 0
    with httpx.Client(base_url=mesh.url, timeout=120, headers={"Authorization": f"Bearer {ADA}"}) as http:
        with http.stream("GET", f"/v1/files/{id}/content") as answer:
            for number, piece in enumerate(answer.iter_raw()):
                size += len(piece)
                if number % 64 == 0:
                    look()
        assert http.delete(f"/v1/files/{id}").status_code == 200
    return size


@pytest.mark.parametrize("size", [200 * MB, pytest.param(1024 * MB, marks=pytest.mark.timeout(300))])
def test_a_large_file_needs_little_memory(mortal: RunningMesh, size: int) -> None:
    made, most = upload_large(mortal, size)
    process = psutil.Process(mortal.pid("gateway"))

    def look() -> None:
        most["gateway"] = max(most["gateway"], process.memory_info().rss)

    assert read_large(mortal, made, look) == size
    print({name: value // MB for name, value in most.items()})
    assert max(most.values()) < 200 * MB, {name: value // MB for name, value in most.items()}
