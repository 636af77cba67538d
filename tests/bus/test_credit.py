"""Credit, resend and bundles at their edges."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.stream.outlet import Outlet
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts import frames, subjects
from caravan_contracts.inference import Summary

from tests.bus.lines import Line
from tests.bus.party import Party, request


@pytest.mark.parametrize("size", [2, 4, 6])
async def test_tiny_pieces_do_not_use_up_the_credit(party: Party, size: int) -> None:
    pieces = 300_000 // size

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        for n in range(pieces):
            if not sender.write(b"x" * size):
                await sender.room()
            if n % 1000 == 0:
                await asyncio.sleep(0)
        sender.end(Summary())

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    async with asyncio.timeout(30):
        assert len(await stream.read_all(10**6)) == pieces * size


async def test_however_tiny_its_frames_a_bundle_fits_into_a_message(line: Line) -> None:
    sender, receiver = await line.connect(), await line.connect()
    got: dict[int, int] = {}

    def on_bundle(message: object) -> None:
        for number, _ in frames.decode_bundle(getattr(message, "data", b"")):
            got[number] = got.get(number, 0) + 1

    bundle = subjects.bundle_inbox("_INBOX.gateway.g")
    await receiver.subscribe(bundle, on_bundle)
    await receiver.flush()
    outlet = Outlet(sender)
    frame = frames.encode(frames.Kind.DATA, 1, b"x")
    for _ in range(40_000):  # as when streams with full windows are asked for again
        for number in (1, 2):
            outlet.send(bundle, number, f"_INBOX.gateway.g.{number}", frame)
    async with asyncio.timeout(30):
        while got != {1: 40_000, 2: 40_000}:
            await asyncio.sleep(0.01)


async def test_streams_that_end_behind_a_bundle_go_with_it(line: Line) -> None:
    sender, receiver = await line.connect(), await line.connect()
    got: asyncio.Queue[list[int]] = asyncio.Queue()
    bundle = subjects.bundle_inbox("_INBOX.gateway.g")
    await receiver.subscribe(bundle, lambda m: got.put_nowait([number for number, _ in frames.decode_bundle(m.data)]))
    await receiver.flush()
    outlet, loop = Outlet(sender), asyncio.get_running_loop()

    def send(number: int, more: int) -> None:
        outlet.send(bundle, number, f"_INBOX.gateway.g.{number}", frames.encode(frames.Kind.DATA, 1, b"x"))
        if more:  # in the turn after, as a task does that was woken
            loop.call_soon(send, number + 1, more - 1)

    send(1, 0)
    send(2, 1)
    async with asyncio.timeout(30):
        assert await got.get() == [1, 2, 3]
        send(4, 1)
        send(6, 0)
        assert await got.get() == [4, 6, 5]


async def test_a_flush_takes_a_bundle_along_that_waits(line: Line) -> None:
    sender, receiver = await line.connect(), await line.connect()
    got: list[bytes] = []
    bundle = subjects.bundle_inbox("_INBOX.gateway.g")
    await receiver.subscribe(bundle, lambda m: got.append(m.data))
    await receiver.flush()
    outlet = Outlet(sender)
    for number in (1, 2):
        outlet.send(bundle, number, f"_INBOX.gateway.g.{number}", frames.encode(frames.Kind.DATA, 1, b"x"))
    await sender.flush()
    await receiver.flush()
    assert len(got) == 1


async def test_one_stream_of_a_bundle_was_given_up_and_the_others_go_on(party: Party) -> None:
    go = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"a")
        await go.wait()
        for i in range(50):  # in step with the others: bundles
            sender.write(b"%d;" % i)
            await asyncio.sleep(0)
        sender.end(Summary(), b"end")

    _, server = await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    streams = [await caller.router.send(request()) for _ in range(3)]
    for stream in streams:
        assert await stream.read() == b"a"
    go.set()
    assert await streams[1].read()
    streams[1].cancel()
    wanted = b"".join(b"%d;" % i for i in range(50)) + b"end"
    async with asyncio.timeout(30):
        assert [await streams[i].read_all(1000) for i in (0, 2)] == [wanted, wanted]
        while server.active:
            await asyncio.sleep(0.01)
    assert caller.inbox.open_streams == 0


@pytest.mark.parametrize("number", ["-5", "1_0", "f" * 17, "x", ""])
def test_a_stream_number_that_is_none_gets_no_bundles(number: str) -> None:
    assert subjects.bundle_of(f"_INBOX.gateway.g.{number}") == ("", 0)
