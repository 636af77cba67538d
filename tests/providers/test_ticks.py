"""Streams read at common ticks: nothing is lost, held back for ever, or taken for another's."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from caravan_inference.providers.openai_compatible.exchange import UpstreamGone
from caravan_inference.providers.openai_compatible.http import HttpClient
from caravan_inference.providers.openai_compatible.ticks import (
    CROWD,
    ENOUGH,
    FREE_READS,
    STRETCH,
    TELLING_READS,
    Ticks,
    stretched,
)

from tests.providers.serving import Serve, serving
from tests.waiting import until

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
FLUSH = 0.005


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Kept:
    """A sink that keeps what it is given; with `room_for`, it is full after that many pieces until it is let go."""

    def __init__(self, room_for: int = 0, stop_at: bytes = b"") -> None:
        self.parts: list[bytes] = []
        self.full = asyncio.Event()
        self.let_go = asyncio.Event()
        self._room_for = room_for
        self._stop_at = stop_at

    @property
    def done(self) -> bool:
        return bool(self._stop_at) and self._stop_at in b"".join(self.parts[-2:])

    def take(self, data: bytes) -> bool:
        self.parts.append(data)
        if len(self.parts) == self._room_for:
            self.full.set()
            return False
        return True

    async def room(self) -> None:
        await self.let_go.wait()


async def fed(client: HttpClient, sink: Kept) -> bytes:
    exchange = await client.post("/x", b"{}", {}, 60)
    try:
        await exchange.feed(sink)
    finally:
        client.release(exchange)
    return b"".join(sink.parts)


def counting(tokens: int, pause: float = 0.0) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(HEAD)
        for number in range(tokens):
            writer.write(chunk(b"data: %d\n\n" % number))
            await writer.drain()
            await asyncio.sleep(pause)
        writer.write(b"0\r\n\r\n")

    return serve


def counted(tokens: int) -> bytes:
    return b"".join(b"data: %d\n\n" % number for number in range(tokens))


@pytest.mark.parametrize("streams", [1, 3, CROWD * 2])
@pytest.mark.parametrize("pause", [0.0, 0.002])
async def test_every_byte_arrives_once_and_in_order(streams: int, pause: float) -> None:
    async with serving(counting(60, pause), flush=FLUSH) as (client, _):
        sinks = [Kept() for _ in range(streams)]
        got = await asyncio.gather(*(fed(client, sink) for sink in sinks))
        assert got == [counted(60)] * streams
        if pause:
            assert all(len(sink.parts) < 50 for sink in sinks), "several tokens met at a tick"
        assert await fed(client, Kept()) == counted(60), "and again on the same connections"


async def test_a_sink_without_room_holds_its_upstream_back_and_loses_nothing() -> None:
    size = 4000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(HEAD)
        for number in range(size):
            writer.write(chunk(b"%04d" % number + b"x" * 4092))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with serving(serve, flush=FLUSH) as (client, _):
        sink = Kept(room_for=5)
        running = asyncio.create_task(fed(client, sink))
        await sink.full.wait()
        other = Kept()
        assert len(await fed(client, other)) == size * 4096, "a full one is nobody else's matter"
        assert len(sink.parts) == 5
        sink.let_go.set()
        data = await running
    assert [int(data[at : at + 4]) for at in range(0, len(data), 4096)] == list(range(size))


async def test_a_stream_cut_while_it_is_ticked_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(HEAD)
        for _ in range(20):
            writer.write(chunk(b"data: x\n\n"))
            await writer.drain()
            await asyncio.sleep(0.001)
        writer.close()

    async with serving(serve, flush=FLUSH) as (client, _):
        with pytest.raises(UpstreamGone):
            await fed(client, Kept())


async def test_silence_in_mid_stream_is_noticed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(HEAD)
        for _ in range(20):
            writer.write(chunk(b"data: x\n\n"))
            await writer.drain()
            await asyncio.sleep(0.001)
        await asyncio.Event().wait()

    async with serving(serve, read_timeout=0.2, flush=FLUSH) as (client, _):
        with pytest.raises(TimeoutError):
            await fed(client, Kept())


async def test_a_sink_that_has_enough_ends_the_reading_and_the_rest_is_still_there() -> None:
    async with serving(counting(50, 0.001), flush=FLUSH) as (client, server):
        exchange = await client.post("/x", b"{}", {}, 60)
        sink = Kept(stop_at=b"data: 30\n\n")
        await exchange.feed(sink)
        data = b"".join(sink.parts)
        while part := await exchange.read():
            data += part
        client.release(exchange)
        assert data == counted(50)
        await fed(client, Kept())
        assert server.connections == 1


async def test_what_a_sink_raises_ends_the_reading() -> None:
    class Refusing(Kept):
        def take(self, data: bytes) -> bool:
            raise ValueError("no")

    async with serving(counting(50, 0.001), flush=FLUSH) as (client, _):
        with pytest.raises(ValueError, match="no"):
            await fed(client, Refusing())


async def test_closing_the_client_lets_a_running_stream_end() -> None:
    async with serving(counting(200, 0.001), flush=FLUSH) as (client, _):
        sink = Kept(room_for=20)
        sink.let_go.set()
        running = asyncio.create_task(fed(client, sink))
        await sink.full.wait()
        await client.close()
        assert await running == counted(200)


@pytest.mark.parametrize("flush", [0.0, FLUSH])
async def test_a_second_answer_to_one_request_is_nobodys(flush: float) -> None:
    answer = json.dumps({"answer": "first"}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray")

    async with serving(serve, flush=flush) as (client, server):
        assert [await fed(client, Kept()) for _ in range(3)] == [answer] * 3
        assert server.connections == 3


async def test_an_upstream_that_speaks_unasked_loses_its_connection() -> None:
    later = asyncio.Event()
    said = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        await writer.drain()
        await later.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")
        await writer.drain()
        said.set()

    async with serving(serve) as (client, server):
        assert await fed(client, Kept()) == b"ok"
        later.set()
        await said.wait()
        while client._idle and client._idle[0].alive:
            await asyncio.sleep(0)
        assert await fed(client, Kept()) == b"ok"
        assert server.connections == 2


async def test_endless_headers_are_refused() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n" + b"X-A: %b\r\n" % (b"a" * 1000) * 300)

    async with serving(serve) as (client, _):
        with pytest.raises(UpstreamGone):
            await client.post("/x", b"{}", {}, 60)


class Reading:
    def __init__(self, size: int = 1) -> None:
        self.size = size
        self.read = asyncio.Event()
        self.resumed = asyncio.Event()

    def read_ready(self, now: float) -> int:
        self.read.set()
        return self.size

    def resume(self) -> None:
        self.resumed.set()


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


async def test_only_who_has_something_is_read_and_who_left_is_not() -> None:
    ticks = Ticks(FLUSH)
    with pair() as (a, a_far), pair() as (b, _), pair() as (c, c_far):
        first, silent, left = Reading(), Reading(), Reading()
        for connection, end in ((first, a), (silent, b), (left, c)):
            assert ticks.watch(connection, end.fileno())
        ticks.leave(c.fileno())
        ticks.leave(c.fileno())
        c_far.send(b"x")
        a_far.send(b"x")
        await asyncio.wait_for(first.read.wait(), 30)
        assert not silent.read.is_set() and not left.read.is_set()
        ticks.close()
        assert silent.resumed.is_set() and not left.resumed.is_set()


@pytest.mark.parametrize(
    ("size", "longer"),
    [(0, STRETCH), (1, STRETCH), (ENOUGH * 2 // 3, 1.5), (ENOUGH, 1.0), (ENOUGH * 10, 1.0)],
)
def test_a_tick_that_brings_little_is_followed_by_a_longer_wait(size: int, longer: float) -> None:
    assert stretched(FLUSH, size, FLUSH) == pytest.approx(FLUSH * longer)
    assert stretched(FLUSH, size * 2, FLUSH * 2) == pytest.approx(FLUSH * longer), "what counts is the rate"


async def test_only_the_ticks_of_a_crowd_are_stretched() -> None:
    ticks = Ticks(FLUSH)
    with pair() as (a, a_far):
        a_far.send(b"x")
        assert ticks.watch(Reading(), a.fileno())
        ticks.streams = CROWD
        await until(lambda: ticks._next == FLUSH * STRETCH)
        ticks.streams = CROWD - 1
        await until(lambda: ticks._next == FLUSH)
        ticks.close()


async def test_who_cannot_be_watched_is_resumed_at_the_next_tick() -> None:
    ticks = Ticks(FLUSH)
    held = Reading()
    ticks.hold(held)
    await asyncio.wait_for(held.resumed.wait(), 30)
    ticks.close()


async def test_few_slow_streams_are_left_to_the_event_loop_and_many_are_not() -> None:
    ticks = Ticks(FLUSH)
    assert ticks.is_slow(FLUSH * 10) and not ticks.is_slow(FLUSH)
    ticks.streams = CROWD
    assert not ticks.is_slow(FLUSH * 10)
    ticks.close()


async def test_the_first_token_never_waits_for_a_tick_and_of_few_streams_only_quick_ones_do() -> None:
    ticks = Ticks(FLUSH)
    assert not ticks.takes(TELLING_READS - 1, 0.0)
    assert ticks.takes(TELLING_READS, 0.0) and not ticks.takes(TELLING_READS, FLUSH)
    ticks.streams = CROWD
    assert not ticks.takes(FREE_READS - 1, 0.0)
    assert ticks.takes(FREE_READS, FLUSH * 10)
    ticks.close()
    assert not ticks.takes(FREE_READS, 0.0), "there is no tick any more"


async def test_in_a_crowd_the_first_two_reads_go_on_as_they_come() -> None:
    """With a tick that never comes, what is read before it is all that arrives."""
    steps = [asyncio.Event() for _ in range(3)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(HEAD)
        for step, word in zip(steps, (b"role", b"first token", b"second token"), strict=True):
            await writer.drain()
            await step.wait()
            writer.write(chunk(word))
        await asyncio.Event().wait()

    async with serving(serve, flush=3600.0) as (client, _):
        sinks = [Kept() for _ in range(CROWD)]
        running = [asyncio.create_task(fed(client, sink)) for sink in sinks]
        await until(lambda: client._ticks.streams == CROWD)
        for step, had in zip(steps, ([b"role"], [b"role", b"first token"]), strict=False):
            step.set()
            await until(lambda had=had: all(sink.parts == had for sink in sinks))
        steps[2].set()
        await until(lambda: len(client._ticks._by_fd) == CROWD)
        assert all(sink.parts == [b"role", b"first token"] for sink in sinks), "the third waits for the tick"
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
