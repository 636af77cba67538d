"""A stream pumped into a sink: everything once and in order, the end returned, every break raised."""

from __future__ import annotations

import asyncio

import pytest
from caravan_bus.router import RoutedStream
from caravan_bus.stream.sender import StreamSender
from caravan_bus.stream.server import Inbound
from caravan_contracts.errors import CaravanError, DeadlineExceeded, StreamInterrupted, UpstreamRefused
from caravan_contracts.inference import Summary

from tests.bus.party import Party, Serve, request


class Pail:
    """A sink with room for `size` pieces at a time."""

    def __init__(self, size: int = 0) -> None:
        self.parts: list[bytes] = []
        self.waits = 0
        self.let_go = asyncio.Event()
        self._size = size

    def take(self, data: bytes) -> bool:
        self.parts.append(data)
        return not self._size or len(self.parts) % self._size != 0

    async def room(self) -> None:
        self.waits += 1
        await self.let_go.wait()


async def opened(party: Party, serve: Serve) -> RoutedStream:
    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    return await caller.router.send(request())


def counting(count: int, size: int = 20_000) -> Serve:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        for i in range(count):
            if not sender.write(b"%06d" % i + b"x" * size):
                await sender.room()
            await asyncio.sleep(0)
        sender.end(Summary(finish_reason="stop"), b"tail")

    return serve


def numbers(data: bytes, size: int = 20_000) -> list[int]:
    return [int(data[at : at + 6]) for at in range(0, len(data), size + 6)]


async def test_a_sink_gets_all_of_a_long_stream_and_its_credit_is_returned(party: Party) -> None:
    stream = await opened(party, counting(200))
    pail = Pail()
    first = await stream.read()
    last = await stream.pump(pail)
    data = first + b"".join(pail.parts) + last
    assert data.endswith(b"tail")
    assert numbers(data[:-4]) == list(range(200))
    assert stream.summary == Summary(finish_reason="stop")


async def test_a_full_sink_holds_the_worker_back(party: Party) -> None:
    stream = await opened(party, counting(200))
    pail = Pail(3)
    first = await stream.read()
    running = asyncio.create_task(stream.pump(pail))
    async with asyncio.timeout(30):
        while not pail.waits:
            await asyncio.sleep(0.01)
    assert len(pail.parts) == 3 and not running.done()
    pail.let_go.set()
    last = await running
    data = first + b"".join(pail.parts) + last
    assert numbers(data[:-4]) == list(range(200))
    assert pail.waits > 1


async def test_an_answer_that_is_over_at_its_first_read_has_nothing_more(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.end(Summary(), b"all")

    stream = await opened(party, serve)
    assert await stream.read() == b"all"
    pail = Pail()
    assert await stream.pump(pail) == b"" and pail.parts == []


async def test_an_error_comes_after_what_was_before_it(party: Party) -> None:
    go_on = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"a")
        await go_on.wait()
        sender.write(b"b")
        raise UpstreamRefused("no more")

    stream = await opened(party, serve)
    assert await stream.read() == b"a"
    pail = Pail()
    go_on.set()
    with pytest.raises(CaravanError, match="no more"):
        await stream.pump(pail)
    assert b"".join(pail.parts) == b"b"


async def test_a_lost_worker_is_an_interrupted_stream(party: Party) -> None:
    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        sender.write(b"a")
        await asyncio.Event().wait()

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request())
    assert await stream.read() == b"a"
    asyncio.get_running_loop().call_later(0.05, caller.inbox.lose_worker, "w1")
    with pytest.raises(StreamInterrupted):
        await stream.pump(Pail())


async def test_what_a_sink_raises_ends_the_pump_and_the_stream_can_be_cancelled(party: Party) -> None:
    class Broken(Pail):
        def take(self, data: bytes) -> bool:
            raise ValueError("broken sink")

    stream = await opened(party, counting(50))
    await stream.read()
    with pytest.raises(ValueError, match="broken sink"):
        await stream.pump(Broken())
    stream.cancel()


async def test_a_sink_that_never_has_room_keeps_nothing_beyond_the_deadline(party: Party) -> None:
    gone = asyncio.Event()

    async def serve(inbound: Inbound, sender: StreamSender) -> None:
        try:
            await counting(1000)(inbound, sender)
        finally:
            gone.set()

    await party.worker("w1", serve)
    caller = await party.caller()
    await party.until_seen(caller, 1)
    stream = await caller.router.send(request(timeout=0.5))
    await stream.read()
    async with asyncio.timeout(30):
        with pytest.raises(DeadlineExceeded):
            await stream.pump(Pail(1))
        await gone.wait()
    assert caller.inbox.open_streams == 0
