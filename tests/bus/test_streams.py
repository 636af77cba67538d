"""Streams on both lines: order, credit, gaps, cancel, death, ends."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.router import RoutingOptions
from caravan_bus.stream import server as server_module
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts import frames
from caravan_contracts.errors import (
    CaravanError,
    ClientGone,
    DeadlineExceeded,
    NoWorker,
    Overloaded,
    StreamInterrupted,
    UpstreamRefused,
)
from caravan_contracts.inference import Summary, Usage

from tests.bus.lines import MemoryLine
from tests.bus.party import Party, request


async def test_a_short_answer_comes_whole_with_its_summary(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.end(Summary(model="m", finish_reason="stop", usage=Usage(3, 4)), b"echo " + inbound.message.data)

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request(body=b"hello"))
    assert await stream.read_all(1000) == b"echo hello"
    assert stream.summary == Summary(model="m", finish_reason="stop", usage=Usage(3, 4))
    assert caller.inbox.open_streams == 0


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_piece_of_nothing_is_not_the_end(party: Party, by_hand: bool) -> None:
    asked_on = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"a")
        if by_hand:
            sender._push(frames.Kind.DATA, b"")  # as a worker in another language may
        else:
            sender.write(b"")
        await asked_on.wait()
        sender.end(Summary(finish_reason="stop"), b"b")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"a"
    asyncio.get_running_loop().call_later(0.1, asked_on.set)
    assert await stream.read() == b"b"
    assert await stream.read() == b""
    assert stream.summary == Summary(finish_reason="stop")


async def test_a_stream_keeps_order_under_a_small_window_and_big_frames(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        for i in range(200):
            if not sender.write(f"{i:05d}".encode() * 2000):
                await sender.room()
        sender.write(b"x" * 700_000)
        sender.end(Summary(), b"tail")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    parts = []
    while data := await stream.read():
        parts.append(data)
    wanted = b"".join(f"{i:05d}".encode() * 2000 for i in range(200)) + b"x" * 700_000 + b"tail"
    assert b"".join(parts) == wanted


async def test_a_reader_that_stops_holds_its_worker_back_and_nothing_else(party: Party) -> None:
    written = 0

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        nonlocal written
        if inbound.message.data == b"quick":
            sender.end(Summary(), b"quick")
            return
        for _ in range(1000):
            written += 10_000
            if not sender.write(b"y" * 10_000):
                await sender.room()
        sender.end(Summary())

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stalled = await caller.router.send(request())
    got = len(await stalled.read())
    quick = await caller.router.send(request(body=b"quick"))
    assert await quick.read_all(100) == b"quick"
    assert written < 600_000
    while data := await stalled.read():
        got += len(data)
    assert got == written == 10_000_000


async def test_an_error_keeps_its_status_and_code(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        raise UpstreamRefused("no such thing", param="tools", code="bad_tool")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    with pytest.raises(CaravanError) as caught:
        await stream.read()
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "bad_tool", "tools")


async def test_what_came_before_an_error_is_delivered_first(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"some")
        raise RuntimeError("a defect")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"some"
    with pytest.raises(CaravanError, match="RuntimeError"):
        await stream.read()


async def test_cancel_reaches_the_worker_and_frees_its_slot(party: Party) -> None:
    ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"first")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.set_result("cancelled")
            raise

    _, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"first"
    stream.cancel()
    assert await asyncio.wait_for(ended, 30) == "cancelled"
    async with asyncio.timeout(30):
        while server.active:
            await asyncio.sleep(0.01)
    with pytest.raises(ClientGone):
        await stream.read()


async def test_the_deadline_ends_a_stream_on_both_sides(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        await asyncio.Event().wait()

    _, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request(timeout=0.6))
    with pytest.raises(DeadlineExceeded):
        await stream.read()
    async with asyncio.timeout(30):
        while server.active:
            await asyncio.sleep(0.01)


async def test_every_frame_arrives_once_over_a_restart_of_the_server(party: Party) -> None:
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        for i in range(300):
            if i == 100:
                go.set()
            if not sender.write(f"{i};".encode()):
                await sender.room()
            if i >= 100:
                await asyncio.sleep(0.002)
        sender.end(Summary(), b"end")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    streams = [await caller.router.send(request()) for _ in range(3)]
    readers = [asyncio.create_task(stream.read_all(10**6)) for stream in streams]
    await asyncio.wait_for(go.wait(), 30)
    await party.line.kill()
    await asyncio.sleep(0.15)
    await party.line.start()
    wanted = b"".join(f"{i};".encode() for i in range(300)) + b"end"
    assert await asyncio.wait_for(asyncio.gather(*readers), 30) == [wanted] * 3


async def test_lost_frames_are_asked_for_again(party: Party) -> None:
    if not isinstance(party.line, MemoryLine):
        pytest.skip("only the in-memory hub loses single messages on purpose")
    count = 0

    def lose(message: object) -> bool:
        nonlocal count
        count += 1
        return count % 7 == 0 and getattr(message, "subject", "").startswith("_INBOX.gateway.gw")

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        party.line.hub.lose = lose  # type: ignore[attr-defined]
        for i in range(500):
            if not sender.write(f"{i};".encode()):
                await sender.room()
            if i % 20 == 0:
                await asyncio.sleep(0)
        sender.end(Summary(), b"end")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    got = await asyncio.wait_for(stream.read_all(10**6), 30)
    assert got == b"".join(f"{i};".encode() for i in range(500)) + b"end"
    assert caller.inbox.gaps > 0


async def test_a_full_worker_says_so_and_the_next_one_serves(party: Party) -> None:
    async def hold(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(inbound.message.subject.encode())
        await asyncio.Event().wait()

    await party.worker("w1", hold, slots=1)
    await party.worker("w2", hold, slots=1)
    callers = [await party.caller() for _ in range(2)]
    for caller in callers:
        await party.until_seen(caller, 2)
    streams = await asyncio.gather(*(caller.router.send(request()) for caller in callers))
    served = {await stream.read() for stream in streams}
    assert len(served) == 2


async def test_requests_wait_in_order_when_all_are_full_and_then_run(party: Party) -> None:
    order: list[bytes] = []
    release = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        order.append(inbound.message.data)
        await release.wait()
        sender.end(Summary(), b"ok")

    await party.worker("w1", serve, slots=1)
    caller = await party.caller()
    await party.until_seen(caller, 1)

    async def ask(i: int) -> bytes:
        stream = await caller.router.send(request(body=str(i).encode()))
        return await stream.read_all(10)

    tasks = []
    for i in range(6):
        tasks.append(asyncio.create_task(ask(i)))
        await asyncio.sleep(0.02)
    release.set()
    assert await asyncio.wait_for(asyncio.gather(*tasks), 30) == [b"ok"] * 6
    assert order == [str(i).encode() for i in range(6)]


async def test_the_line_is_bounded_and_its_patience_too(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        await asyncio.Event().wait()

    await party.worker("w1", serve, slots=1)
    caller = await party.caller(RoutingOptions(queue_limit=2, queue_timeout=0.4))
    await party.until_seen(caller, 1)
    held = await caller.router.send(request())
    waiting = [asyncio.create_task(caller.router.send(request())) for _ in range(2)]
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded) as caught:
        await caller.router.send(request())
    assert caught.value.retry_after
    for task in waiting:
        with pytest.raises(Overloaded):
            await task
    held.cancel()


async def test_no_worker_is_a_clear_error_after_a_short_wait(party: Party) -> None:
    caller = await party.caller(RoutingOptions(no_worker_timeout=0.3))
    with pytest.raises(NoWorker, match="no worker serves provider 'p'"):
        await caller.router.send(request())


async def test_a_worker_that_drains_finishes_and_takes_nothing_new(party: Party) -> None:
    release = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"begun ")
        await release.wait()
        sender.end(Summary(), b"done")

    _, first = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"begun "
    await party.worker("w2", serve)
    await party.until_seen(caller, 2)
    draining = asyncio.create_task(first.drain(5))
    await asyncio.sleep(0)
    others = [await caller.router.send(request()) for _ in range(4)]
    assert {other.worker for other in others} == {"w2"}
    release.set()
    assert await stream.read() == b"done"
    await asyncio.wait_for(draining, 30)
    for other in others:
        other.cancel()


async def test_a_lost_worker_costs_nothing_before_the_first_byte_and_an_error_after(party: Party) -> None:
    served: list[str] = []

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        served.append(inbound.message.subject.split(".")[4])
        if inbound.message.data == b"begun":
            sender.write(b"begun")
        if len(served) <= 2:
            await asyncio.Event().wait()
        sender.end(Summary(), b"whole")

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    silent = await caller.router.send(request())
    begun = await caller.router.send(request(body=b"begun"))
    assert await begun.read() == b"begun"
    await party.worker("w2", serve)
    await party.until_seen(caller, 2)
    reading = asyncio.create_task(silent.read_all(100))
    await asyncio.sleep(0.01)
    caller.table.gone("w1")
    assert await asyncio.wait_for(reading, 30) == b"whole"
    assert served == ["w1", "w1", "w2"]
    with pytest.raises(StreamInterrupted):
        await begun.read()


async def test_a_caller_that_died_frees_its_slot(party: Party, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PROBE_SECONDS", 0.1)
    monkeypatch.setattr(server_module, "_SWEEP", 0.05)

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"begun")
        await asyncio.Event().wait()

    _, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"begun"
    assert caller.inbox._subscription is not None
    await caller.inbox._subscription.unsubscribe()  # as when its process is killed
    async with asyncio.timeout(30):
        while server.active:
            await asyncio.sleep(0.02)
    stream.cancel()
