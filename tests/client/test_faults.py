"""Workers, NATS and clients die while requests are under way; what a program with the client sees, exactly."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from caravan.client import APIConnectionError, APIError, Caravan
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream
from tests.waiting import until

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(120)]
HELLO: list[Any] = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def whole(mesh: RunningMesh, upstream: ScriptedUpstream) -> None:
    """Each test begins with a mesh in which everything runs, and leaves nothing under way."""
    mesh.until(mesh.all_ready)
    mesh.until(lambda: upstream.open == 0, 30)


def words(count: int) -> str:
    return "".join(f"w{i} " for i in range(count))


async def stream(client: Caravan, tokens: int, delay: int) -> tuple[str, str]:
    """The text that came, and the code of the error that ended it ("" for a good end)."""
    text, finished = "", False
    try:
        async for chunk in await client.chat.completions.create(
            model=f"up/slow-{delay}", messages=HELLO, stream=True, max_tokens=tokens
        ):
            text += chunk.choices[0].delta.content or ""
            finished = finished or chunk.choices[0].finish_reason == "stop"
    except APIError as error:
        assert not finished
        return text, error.code or type(error).__name__
    assert finished
    return text, ""


async def begun(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream, count: int, tokens: int, delay: int
) -> list[asyncio.Task[tuple[str, str]]]:
    """Streams under way at both workers: one that has just started again is spared for a moment."""
    async with asyncio.timeout(30):
        while True:
            streams = [asyncio.create_task(stream(bus, tokens, delay)) for _ in range(count)]
            await until(lambda: upstream.open == count)
            await asyncio.sleep(0.5)  # all have said something
            if all(mesh.slots_used().values()):
                return streams
            await cancelled(streams)
            await until(lambda: upstream.open == 0)


async def cancelled(streams: list[asyncio.Task[tuple[str, str]]]) -> None:
    for task in streams:
        task.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


async def test_a_worker_killed_before_the_first_token_is_not_noticed(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    plain = [
        asyncio.create_task(bus.chat.completions.create(model="up/slow-300", messages=HELLO, max_tokens=6))
        for _ in range(12)
    ]
    streams = [asyncio.create_task(stream(bus, 2, 1500)) for _ in range(12)]
    await until(lambda: upstream.open == 24, 10)
    mesh.kill9(mesh.busiest())
    answered = await asyncio.gather(*plain)
    assert [got.choices[0].message.content for got in answered] == [words(6)] * 12
    assert await asyncio.gather(*streams) == [(words(2), "")] * 12
    assert bus.open_streams == 0


async def test_a_worker_killed_in_mid_stream_ends_its_streams_with_an_error_and_no_others(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    streams = await begun(bus, mesh, upstream, 20, 80, 50)
    mesh.kill9(mesh.busiest())
    ended = await asyncio.gather(*streams)
    for text, error in ended:
        assert words(80).startswith(text)
        assert (error == "") is (text == words(80)), "a broken stream looked complete, or a complete one broken"
        assert error in ("", "stream_interrupted")
    broken = sum(error != "" for _, error in ended)
    assert 1 <= broken < 20


async def test_the_death_of_a_worker_is_told_within_three_seconds(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    streams = await begun(bus, mesh, upstream, 12, 1000, 20)
    mesh.kill9("inference-1")
    mesh.kill9("inference-2")
    async with asyncio.timeout(30):
        ended = await asyncio.gather(*streams)
    assert {error for _, error in ended} == {"stream_interrupted"}


async def test_a_worker_that_hangs_is_given_up(bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream) -> None:
    streams = await begun(bus, mesh, upstream, 12, 250, 50)
    pid = mesh.pid(mesh.busiest())
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(30):
            ended = await asyncio.gather(*streams)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert {error for _, error in ended} == {"", "stream_interrupted"}
    assert all((text == words(250)) is (error == "") for text, error in ended)


async def test_every_token_arrives_once_over_a_killed_nats(bus: Caravan, mesh: RunningMesh) -> None:
    streams = [asyncio.create_task(stream(bus, 100, 40)) for _ in range(8)]
    await asyncio.sleep(1.2)
    mesh.kill9("nats")
    assert await asyncio.gather(*streams) == [(words(100), "")] * 8


async def test_requests_made_while_nats_is_away_are_served_when_it_is_back(bus: Caravan, mesh: RunningMesh) -> None:
    await bus.models.list()
    mesh.kill9("nats")
    answer = await bus.chat.completions.create(model="up/plain", messages=HELLO)
    assert answer.choices[0].message.content == words(4)


async def test_a_worker_that_is_stopped_finishes_what_it_has(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    streams = [asyncio.create_task(stream(bus, 40, 50)) for _ in range(12)]
    await until(lambda: upstream.open == 12, 30)
    os.kill(mesh.pid(mesh.busiest()), signal.SIGTERM)
    assert await asyncio.gather(*streams) == [(words(40), "")] * 12


async def leave_by_break(client: Caravan, asked: dict[str, Any]) -> Any:
    chunks = await client.chat.completions.create(stream=True, **asked)
    async for _ in chunks:
        break
    return chunks  # somebody still holds it


async def leave_by_close(client: Caravan, asked: dict[str, Any]) -> Any:
    chunks = await client.chat.completions.create(stream=True, **asked)
    await anext(chunks)
    await chunks.close()
    with pytest.raises(APIError, match="closed before its end"):
        await anext(chunks)
    return chunks


async def leave_by_error_in_a_block(client: Caravan, asked: dict[str, Any]) -> None:
    async def read() -> None:
        async with await client.chat.completions.create(stream=True, **asked) as chunks:
            await anext(chunks)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read()


async def leave_by_forgetting(client: Caravan, asked: dict[str, Any]) -> None:
    await client.chat.completions.create(stream=True, **asked)


async def leave_by_cancel(client: Caravan, asked: dict[str, Any]) -> None:
    async def read() -> None:
        async for _ in await client.chat.completions.create(stream=True, **asked):
            begun.set()

    begun = asyncio.Event()
    task = asyncio.create_task(read())
    await begun.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


async def leave_by_timeout(client: Caravan, asked: dict[str, Any]) -> None:
    with pytest.raises(APIConnectionError, match="timed out"):
        await client.chat.completions.create(timeout=0.6, **asked)


async def leave_by_timeout_between_events(client: Caravan, asked: dict[str, Any]) -> None:
    with pytest.raises(APIConnectionError, match="timed out"):
        await client.chat.completions.create(stream=True, timeout=0.2, **asked)


async def leave_by_cancel_of_a_plain_request(client: Caravan, asked: dict[str, Any]) -> None:
    task = asyncio.create_task(client.chat.completions.create(**asked))
    await asyncio.wait({task}, timeout=0.5)
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


@pytest.mark.parametrize(
    "leave",
    [
        leave_by_break,
        leave_by_close,
        leave_by_error_in_a_block,
        leave_by_forgetting,
        leave_by_cancel,
        leave_by_timeout,
        leave_by_timeout_between_events,
        leave_by_cancel_of_a_plain_request,
    ],
)
async def test_a_client_that_leaves_frees_the_upstream_within_a_second(
    bus: Caravan, upstream: ScriptedUpstream, leave: Any
) -> None:
    before = upstream.closed_early
    held = await leave(bus, {"model": "up/slow-400", "messages": HELLO, "max_tokens": 40})
    await until(lambda: upstream.open == 0 and upstream.closed_early == before + 1, 1.0)
    assert bus.open_streams == 0
    del held


async def test_a_request_cancelled_before_anybody_took_it_is_cancelled_there(
    bus: Caravan, upstream: ScriptedUpstream
) -> None:
    for pause in (0, 0.0005, 0.001, 0.002, 0.005, 0.01):
        task = asyncio.create_task(bus.chat.completions.create(model="up/slow-400", messages=HELLO, max_tokens=40))
        await asyncio.sleep(pause)
        task.cancel()
        await asyncio.wait({task})
    await asyncio.sleep(0.2)
    await until(lambda: upstream.open == 0, 1.0)
    assert bus.open_streams == 0


async def test_a_client_that_is_killed_is_noticed(upstream: ScriptedUpstream, data: Path) -> None:
    code = (
        "import asyncio, sys\nfrom caravan.client import Caravan\n"
        "async def main():\n"
        "    async with Caravan.connect(data_dir=sys.argv[1]) as client:\n"
        "        asked = dict(model='up/slow-100', messages=[{'role': 'user', 'content': 'x'}], max_tokens=600)\n"
        "        async for chunk in await client.chat.completions.create(stream=True, **asked):\n"
        "            print('.', flush=True)\n"
        "asyncio.run(main())\n"
    )
    asked = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(data), stdout=subprocess.PIPE)
    assert asked.stdout is not None
    assert await asyncio.wait_for(asked.stdout.readline(), 30) == b".\n"
    assert upstream.open == 1
    asked.kill()
    await asked.wait()
    await until(lambda: upstream.open == 0, 12)


async def test_a_reader_that_pauses_holds_its_worker_back_and_loses_nothing(
    bus: Caravan, upstream: ScriptedUpstream
) -> None:
    count = 60_000
    chunks = await bus.chat.completions.create(model="up/slow-0", messages=HELLO, stream=True, max_tokens=count)
    reader = chunks._asking._reader
    assert reader is not None
    await until(lambda: sum(map(len, reader._chunks)) > 190_000, 10)
    await asyncio.sleep(0.5)
    assert sum(map(len, reader._chunks)) < 600_000, "more than the window and one piece is here"
    assert upstream.open == 1
    numbers = [chunk.choices[0].delta.content async for chunk in chunks if chunk.choices[0].delta.content]
    assert numbers == [f"w{i} " for i in range(count)]


async def test_a_bus_that_is_not_there_is_a_connection_error(data: Path) -> None:
    seed = data / "bus" / "local.nk"
    with pytest.raises(APIConnectionError, match="cannot be reached"):
        await Caravan("nats://127.0.0.1:1", seed_file=seed, connect_timeout=0.5)


async def test_more_requests_than_slots_wait_in_line(bus: Caravan) -> None:
    asked = [bus.chat.completions.create(model="up/slow-5", messages=HELLO, max_tokens=2) for _ in range(900)]
    answered = await asyncio.gather(*asked)
    assert {got.choices[0].message.content for got in answered} == {words(2)}


async def test_a_worker_that_is_stopped_before_it_could_finish_is_replaced(
    bus: Caravan, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    """Its drain time (5 s here) is not enough: what had not begun goes to the other, what had ends with an error."""
    plain = [
        asyncio.create_task(bus.chat.completions.create(model="up/slow-2500", messages=HELLO, max_tokens=4))
        for _ in range(6)
    ]
    streams = [asyncio.create_task(stream(bus, 120, 100)) for _ in range(6)]
    await until(lambda: upstream.open == 12, 10)
    os.kill(mesh.pid(mesh.busiest()), signal.SIGTERM)
    answered = await asyncio.gather(*plain)
    assert [got.choices[0].message.content for got in answered] == [words(4)] * 6
    for text, error in await asyncio.gather(*streams):
        assert (error == "") is (text == words(120))
        assert words(120).startswith(text)
        assert error in ("", "stream_interrupted")
