"""Whatever a document does to its reader, it is one error of that document."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from caravan_vector.parsing.errors import DocumentError, InvalidFile, ParserFailed, UnsupportedFile
from caravan_vector.parsing.frames import MAX_PIECE
from caravan_vector.parsing.limits import MIB, Limits
from caravan_vector.parsing.pieces import Piece
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.process import Document

from tests.parsing.conftest import SMALL, MakePool, read, workers
from tests.waiting import until


def limited(**changed: float) -> Limits:
    values = {name: getattr(SMALL, name) for name in Limits.__dataclass_fields__}
    return Limits(**{**values, **changed})


HOSTILE: list[tuple[str, type[DocumentError], str | None, str]] = [
    ("segfault", InvalidFile, None, "SIGSEGV"),
    ("abort", InvalidFile, None, "SIGABRT"),
    ("shot", ParserFailed, None, "SIGKILL"),
    ("hang", InvalidFile, "seconds", "longer than 5 s"),
    ("spin", InvalidFile, "cpu_seconds", "more than 1 s of a processor"),
    ("hog", InvalidFile, "memory_bytes", "600 MiB"),
    ("forged", ParserFailed, None, "something else"),
    ("broken-frame", ParserFailed, None, "something else"),
    ("endless", InvalidFile, "text_bytes", "longer than 1048576 bytes"),
    ("deep", InvalidFile, None, "nested too deeply"),
    ("puzzled", InvalidFile, None, "LookupError: no such glyph"),
]


@pytest.mark.parametrize(("name", "error", "bound", "says"), HOSTILE, ids=[row[0] for row in HOSTILE])
async def test_a_hostile_document_is_one_error_and_its_neighbour_is_untouched(
    make_pool: MakePool, note: Path, name: str, error: type[DocumentError], bound: str | None, says: str
) -> None:
    seconds = 5.0 if name == "hang" else 40.0
    pool = make_pool(limits=limited(seconds=seconds, cpu_seconds=1 if name == "spin" else 20, text_bytes=MIB))
    async with pool.read(Document(note, "note.txt")) as neighbour:
        with pytest.raises(error, match=says) as caught:
            await read(pool, note, f"application/x-{name}")
        assert [piece.text async for piece in neighbour] == ["a small note"]
    assert caught.value.bound == bound
    assert caught.value.code == ("server_error" if error is ParserFailed else "invalid_file")
    assert "".join(piece.text for piece in await read(pool, note)) == "a small note"


async def test_what_a_parser_prints_goes_nowhere(pool: ParserPool, note: Path) -> None:
    assert [piece.text for piece in await read(pool, note, "application/x-chatter")] == ["said"]


async def test_a_worker_leaves_no_files(pool: ParserPool, note: Path) -> None:
    assert (await read(pool, note, "application/x-writes"))[0].text.startswith("refused")


async def test_a_worker_sees_no_secrets(pool: ParserPool, note: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("DATABASE_URL", "x")
    seen = (await read(pool, note, "application/x-environment"))[0].text.split()
    assert set(seen) <= {"LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHASHSEED"}


async def test_a_worker_starts_without_the_parsers_and_the_service_never_has_them(pool: ParserPool, note: Path) -> None:
    seen = set((await read(pool, note, "application/x-modules"))[0].text.split())
    assert not seen & {"pypdfium2", "selectolax", "openpyxl", "pydantic", "asyncio", "nats"}
    code = (
        "import sys, caravan_vector.parsing.pool as p; print([n for n in sys.modules if 'formats.' in n or 'pdf' in n])"
    )
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", code], capture_output=True, timeout=50)
    assert done.stdout == b"[]\n"


async def test_half_characters_and_zeros_become_marks(pool: ParserPool, note: Path) -> None:
    assert (await read(pool, note, "application/x-weird"))[0].text == "half ?, zero \ufffd."


async def test_a_process_is_used_again_and_replaced_after_its_share(make_pool: MakePool, note: Path) -> None:
    pool = make_pool(workers=1, documents=2)
    pids = [(await read(pool, note, "application/x-pid"))[0].text for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


async def test_a_process_that_broke_nothing_serves_on_after_an_error(make_pool: MakePool, note: Path) -> None:
    pool = make_pool(workers=1)
    first = (await read(pool, note, "application/x-pid"))[0].text
    with pytest.raises(InvalidFile):
        await read(pool, note, "application/x-puzzled")
    assert (await read(pool, note, "application/x-pid"))[0].text == first


async def test_an_idle_process_that_died_costs_no_document(make_pool: MakePool, note: Path) -> None:
    pool = make_pool(workers=1)
    first = int((await read(pool, note, "application/x-pid"))[0].text)
    psutil.Process(first).kill()
    assert (await read(pool, note, "application/x-pid"))[0].text != str(first)


async def test_a_reader_that_is_cancelled_ends_its_process(pool: ParserPool, note: Path) -> None:
    begun: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def reader() -> None:
        async with pool.read(Document(note, "", "application/x-pid-then-hang")) as pieces:
            async for piece in pieces:
                if not begun.done():
                    begun.set_result(int(piece.text))

    task = asyncio.create_task(reader())
    async with asyncio.timeout(50):
        number = await begun
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(number)


async def test_leaving_before_the_end_ends_the_process(pool: ParserPool, note: Path) -> None:
    async with pool.read(Document(note, "", "application/x-endless")) as pieces:
        assert (await anext(pieces)).text
    assert workers() == []


async def rest(pieces: AsyncIterator[Piece]) -> None:
    async for piece in pieces:
        assert 0 < len(piece.text) <= MAX_PIECE


async def test_a_slow_reader_makes_its_parser_wait_and_its_time_does_not_count(make_pool: MakePool, note: Path) -> None:
    pool = make_pool(limits=limited(seconds=4.0, text_bytes=2 * MIB))
    async with pool.read(Document(note, "", "application/x-endless")) as pieces:
        await anext(pieces)
        (worker,) = workers()
        began = time.monotonic()
        await until(lambda: time.monotonic() - began > pool.limits.seconds)
        await until(lambda: worker.status() == psutil.STATUS_SLEEPING, what="it writes on, though nobody reads")
        with pytest.raises(InvalidFile) as caught:
            await rest(pieces)
    assert caught.value.bound == "text_bytes"


async def test_no_pipe_stays_open(make_pool: MakePool, note: Path) -> None:
    pool = make_pool(workers=1)
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(3):
        with pytest.raises(InvalidFile):
            await read(pool, note, "application/x-abort")
        async with pool.read(Document(note, "", "application/x-endless")) as pieces:
            await anext(pieces)
    await until(lambda: process.num_fds() <= before, what=process.num_fds())


async def test_no_more_processes_than_allowed(make_pool: MakePool, note: Path) -> None:
    pool = make_pool(workers=2)
    most = 0

    async def one() -> None:
        nonlocal most
        async with pool.read(Document(note, "note.txt")) as pieces:
            most = max(most, len(workers()))
            assert [piece async for piece in pieces]

    await asyncio.gather(*(one() for _ in range(8)))
    assert most == 2


SERVICE = """
import asyncio, json, sys
from pathlib import Path
from caravan_vector.parsing.pieces import Piece
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.process import Document
async def main():
    pool = ParserPool(2, parsers=json.loads(sys.argv[2]))
    async with pool.read(Document(Path(sys.argv[1]), "", "idle")) as pieces:
        pids = [piece.text async for piece in pieces]
    async with pool.read(Document(Path(sys.argv[1]), "", "busy")) as pieces:
        pids.append((await anext(pieces)).text)
        async with pool.read(Document(Path(sys.argv[1]), "", "idle")) as others:
            pids += [piece.text async for piece in others]
        print(json.dumps([int(pid) for pid in pids]), flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a busy worker ends by its bound of time")
async def test_a_service_that_is_killed_leaves_no_workers(note: Path) -> None:
    parsers = {"idle": "tests.parsing.misbehaving:pid", "busy": "tests.parsing.misbehaving:pid_then_hang"}
    service = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVICE, str(note), json.dumps(parsers),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    try:
        assert service.stdout is not None
        async with asyncio.timeout(50):
            left = [psutil.Process(number) for number in set(json.loads(await service.stdout.readline()))]
        assert len(left) == 2
    finally:
        service.kill()
        await service.wait()
    _, alive = await asyncio.to_thread(psutil.wait_procs, left, 20)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


async def test_a_parser_that_is_not_installed_says_so(note: Path) -> None:
    pool = ParserPool(1, parsers={"image/png": "no_such_ocr:read"})
    try:
        with pytest.raises(UnsupportedFile, match="no_such_ocr:read is not installed"):
            await read(pool, note, "image/png")
    finally:
        await pool.close()


async def test_a_document_that_is_not_there_is_no_fault_of_it(pool: ParserPool, tmp_path: Path) -> None:
    with pytest.raises(ParserFailed, match="cannot be opened: No such file"):
        await read(pool, tmp_path / "gone", filename="half \ud800.txt")


async def test_a_document_that_is_too_large(make_pool: MakePool, note: Path) -> None:
    with pytest.raises(InvalidFile) as caught:
        await read(make_pool(limits=limited(file_bytes=5)), note)
    assert caught.value.bound == "file_bytes"
