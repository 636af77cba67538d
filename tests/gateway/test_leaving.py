"""A gateway that leaves, at the level of the socket: no request that was sent in time is lost."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import pytest
import uvicorn
from caravan_contracts.errors import CaravanError
from caravan_gateway import connection, listener
from caravan_gateway.asgi import App, Receive, Scope, Send

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


class Paced:
    """Two pieces; the second waits until it is told."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"4")]
        if scope["path"] == "/slow":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
            self.begun.set()
            await self.go_on.wait()
            await send({"type": "http.response.body", "body": b"cd"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"abcd"})


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[tuple[int, uvicorn.Server, asyncio.Task[None]]]:
    bound = listener.bind("127.0.0.1", 0)
    listener.listen(bound, "127.0.0.1", 0)
    port = bound.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, http=connection.Connection, ws="none", lifespan="off", log_config=None))
    server.capture_signals = nullcontext  # type: ignore[method-assign,assignment]
    task = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield port, server, task
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(task, 30)


async def answer(reader: asyncio.StreamReader) -> tuple[str, bytes]:
    """Head and the four bytes of the body."""
    async with asyncio.timeout(30):
        head = await reader.readuntil(b"\r\n\r\n")
        return head.decode().lower(), await reader.readexactly(4)


async def closed(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(30):
        return await reader.read() == b""


async def leave(server: uvicorn.Server) -> None:
    """Until every connection knows."""
    server.should_exit = True
    async with asyncio.timeout(30):
        while not all(it._leaving for it in server.server_state.connections):  # type: ignore[union-attr]
            await asyncio.sleep(0.01)


async def test_an_idle_connection_gets_one_more_answer_which_says_that_it_is_the_last() -> None:
    async with serving(Paced()) as (port, server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert "connection: close" not in (await answer(reader))[0]
        await leave(server)
        writer.write(GET)
        assert "connection: close" in (await answer(reader))[0]
        assert await closed(reader)
        writer.close()


async def test_a_connection_that_has_asked_nothing_yet_may_ask() -> None:
    async with serving(Paced()) as (port, server, task):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not server.server_state.connections:
            await asyncio.sleep(0)
        await leave(server)
        writer.write(GET[:9])
        await asyncio.sleep(0.01)
        writer.write(GET[9:])
        assert "connection: close" in (await answer(reader))[0]
        writer.close()
        await asyncio.wait_for(asyncio.shield(task), 30)


async def test_after_an_answer_that_promised_another_there_is_another() -> None:
    app = Paced()
    async with serving(app) as (port, server, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.replace(b"/ ", b"/slow "))
        await app.begun.wait()
        await leave(server)
        app.go_on.set()
        assert "connection: close" not in (await answer(reader))[0]
        writer.write(GET)
        assert "connection: close" in (await answer(reader))[0]
        writer.close()


async def test_who_stays_idle_is_let_go_and_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LEAVE_IDLE_SECONDS", 0.1)
    async with serving(Paced()) as (port, server, task):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        await answer(reader)
        server.should_exit = True
        assert await closed(reader)
        await asyncio.wait_for(asyncio.shield(task), 30)
        writer.close()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's filter is Linux's")
async def test_no_connection_begins_while_one_that_had_begun_arrives() -> None:
    bound = listener.bind("127.0.0.1", 0)
    listener.listen(bound, "127.0.0.1", 0)
    address = bound.getsockname()
    begun = socket.create_connection(address, timeout=1)  # in the kernel's line: nobody has taken it yet
    listener.refuse_new(bound)
    late = socket.socket()
    late.settimeout(0.2)
    with pytest.raises(TimeoutError):
        late.connect(address)
    taken, _ = bound.accept()
    begun.sendall(b"x")
    taken.settimeout(1)
    assert taken.recv(1) == b"x", "what is on its way in an open connection passes"
    for it in (begun, late, taken, bound):
        it.close()


async def test_a_new_connection_goes_to_who_stays_when_the_other_has_left() -> None:
    first = listener.bind("127.0.0.1", 0)
    host, port = first.getsockname()
    second = listener.bind(host, port)
    for it in (first, second):
        listener.listen(it, host, port)
    second.setblocking(False)
    listener.refuse_new(first)
    loop = asyncio.get_running_loop()
    lines = [socket.socket() for _ in range(16)]
    for line in lines:
        line.setblocking(False)
    waiting = [asyncio.create_task(loop.sock_connect(line, (host, port))) for line in lines]
    await asyncio.sleep(0.1)
    first.close()
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    for line in (*lines, second):
        line.close()


async def test_a_port_of_another_program_is_an_error_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(CaravanError, match="cannot listen"):
        listener.bind("127.0.0.1", other.getsockname()[1])
