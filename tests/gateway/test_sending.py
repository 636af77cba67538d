"""A stream on its way into a client's socket: at once while the client takes it, later when it does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from typing import Any

import pytest
from caravan_gateway.sending import Sending
from caravan_gateway.watch import Watched


class Server:
    """An ASGI server whose client takes what it is sent, or takes nothing while `stuck`."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.taken = asyncio.Event()
        self.taken.set()
        self.cancelled = 0
        self.on_lost: Callable[[], None] | None = None

    async def send(self, message: MutableMapping[str, Any]) -> None:
        try:
            if not self.taken.is_set():
                await self.taken.wait()
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        assert message["type"] == "http.response.body" and message["more_body"]
        self.sent.append(message["body"])

    def cut(self) -> None:
        raise AssertionError("nobody cuts this client off")


async def test_what_a_client_takes_is_written_on_the_spot() -> None:
    server = Server()
    watched = Watched(server.send, server)
    sending = Sending(server.send, watched)
    assert sending.take(b"a") and sending.take(b"b")
    assert server.sent == [b"a", b"b"]
    assert watched.wrote and not watched.writing
    await sending.room()


async def test_a_slow_client_is_waited_for_and_gets_everything_once() -> None:
    server = Server()
    watched = Watched(server.send, server)
    sending = Sending(server.send, watched)
    server.taken.clear()
    assert not sending.take(b"a")
    assert watched.writing and server.sent == []
    waiting = asyncio.create_task(sending.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    server.taken.set()
    await waiting
    assert server.sent == [b"a"] and not watched.writing and watched.wrote
    assert sending.take(b"b")
    assert server.sent == [b"a", b"b"]


async def test_who_waits_for_a_slow_client_can_be_cancelled() -> None:
    server = Server()
    sending = Sending(server.send, Watched(server.send, server))
    server.taken.clear()
    assert not sending.take(b"a")
    waiting = asyncio.create_task(sending.room())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert server.cancelled == 1 and server.sent == []


async def test_what_the_server_raises_is_heard() -> None:
    async def broken(message: MutableMapping[str, Any]) -> None:
        raise RuntimeError("the answer is complete")

    server = Server()
    with pytest.raises(RuntimeError, match="complete"):
        Sending(broken, Watched(broken, server)).take(b"a")


async def test_a_connection_takes_what_it_can_and_the_server_the_rest() -> None:
    server = Server()
    watched = Watched(server.send, server)
    written: list[bytes] = []
    ready = True

    def line(data: bytes) -> bool:
        if ready:
            written.append(data)
        return ready

    sending = Sending(server.send, watched, line)
    assert sending.take(b"a")
    assert written == [b"a"] and server.sent == [] and watched.wrote
    ready = False
    server.taken.clear()
    assert not sending.take(b"b")
    assert watched.writing
    server.taken.set()
    await sending.room()
    assert written == [b"a"] and server.sent == [b"b"]
