"""Bounds of a connection: heads, bodies of the routes behind FastAPI, slow clients, pipelining."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from caravan_gateway import connection, edge
from caravan_gateway.asgi import App, Receive, Scope, Send
from caravan_gateway.edge import Edge

CRLF = b"\r\n"
HEAD = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    event = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"%d" % len(event["body"])})


@asynccontextmanager
async def serving(app: App) -> AsyncIterator[tuple[str, int, uvicorn.Server]]:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    server = uvicorn.Server(uvicorn.Config(app, http=connection.Connection, ws="none", lifespan="off", log_config=None))
    server.capture_signals = _nothing  # type: ignore[method-assign]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield (*listener.getsockname(), server)
    finally:
        server.should_exit = server.force_exit = True
        await asyncio.wait_for(task, 30)


def _nothing() -> Any:
    import contextlib

    return contextlib.nullcontext()


@pytest.fixture
async def ask() -> AsyncIterator[Callable[[bytes], Awaitable[bytes]]]:
    """Send bytes on a connection of its own; all that comes back before it is closed."""
    async with serving(Edge({}, echo, body_timeout=0.2)) as (host, port, _):

        async def sent(data: bytes) -> bytes:
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(data)
                async with asyncio.timeout(30):
                    return await reader.read()
            finally:
                writer.close()

        yield sent


def error_of(answer: bytes, status: int) -> str:
    head, _, body = answer.partition(CRLF * 2)
    assert head.startswith(b"HTTP/1.1 %d " % status), answer
    assert b"x-request-id: req_" in head
    error = json.loads(body)["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return str(error["code"])


async def test_a_head_over_the_limit_is_refused_whole_or_in_pieces(ask: Callable[[bytes], Awaitable[bytes]]) -> None:
    key = b"x-ogx-provider-data: " + b"k" * connection.MAX_HEAD
    assert error_of(await ask(HEAD + key), 431) == "request_header_fields_too_large"
    whole = HEAD + key + CRLF + b"content-length: 2\r\n\r\n{}"
    assert error_of(await ask(whole), 431) == "request_header_fields_too_large"


async def test_a_large_body_behind_a_small_head_is_no_large_head(ask: Callable[[bytes], Awaitable[bytes]]) -> None:
    body = b"x" * (200 * 1024)
    head = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    assert b"204800" in await ask(head + body)


@pytest.mark.parametrize("began", [b"", HEAD], ids=["nothing", "half a head"])
async def test_a_head_that_does_not_come_gives_its_connection_up(
    ask: Callable[[bytes], Awaitable[bytes]], monkeypatch: pytest.MonkeyPatch, began: bytes
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    answer = await ask(began)
    assert answer == b"" if not began else error_of(answer, 408) == "request_timeout"


async def test_a_body_is_bounded_in_size_and_time_before_fastapi_reads_it(
    ask: Callable[[bytes], Awaitable[bytes]],
) -> None:
    said = HEAD + b"connection: close\r\ncontent-length: %d\r\n\r\n" % (edge.MAX_BODY + 1)
    assert error_of(await ask(said), 413) == "request_too_large"
    chunk = b"x" * (edge.MAX_BODY + 1)
    chunked = HEAD + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(chunk), chunk)
    assert error_of(await ask(chunked), 413) == "request_too_large"
    late = HEAD + b"content-length: 5\r\n\r\nab"
    assert error_of(await ask(late), 408) == "request_timeout"  # and the connection is closed, or this would hang


async def test_what_is_no_http_is_refused_in_our_shape(ask: Callable[[bytes], Awaitable[bytes]]) -> None:
    for wrong in (
        b"FOO / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01",
        HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\nx",
    ):
        assert error_of(await ask(wrong), 400) == "invalid_http"
    both = HEAD + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    assert error_of(await ask(both), 400) == "invalid_http"


async def test_a_request_whose_body_is_no_http_has_no_line_any_more() -> None:
    seen: list[object] = []

    async def look(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope.get("caravan_line"))
        assert (await receive())["type"] == "http.disconnect"

    async with serving(look) as (host, port, _), asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(HEAD + b"transfer-encoding: chunked\r\n\r\nno chunk\r\n")
        assert error_of(await reader.read(), 400) == "invalid_http"
        writer.close()
    assert seen == [None]


@pytest.mark.parametrize("size", [2, 524_288, 530_000, 1_300_000])
async def test_leaving_is_seen_behind_a_body_of_any_size(size: int) -> None:
    begun, taken, left = asyncio.Event(), asyncio.Event(), asyncio.Event()
    scopes: list[Scope] = []

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        line = scope["caravan_line"]
        begun.set()
        body = b""
        while len(body) < size:
            body += (await receive())["body"]
        line.on_lost = left.set
        taken.set()
        await left.wait()

    async with serving(wait) as (host, port, _), asyncio.timeout(30):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(HEAD + b"content-length: %d\r\n\r\n" % size)
        await begun.wait()
        writer.write(b"x" * size)
        await taken.wait()
        writer.close()
        await left.wait()
    assert "caravan_line" not in scopes[0], "a line and its request held each other"


@pytest.mark.parametrize("together", [True, False])
async def test_leaving_is_seen_behind_a_pipelined_request_too(together: bool) -> None:
    began, left = asyncio.Event(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        began.set()
        assert (await receive())["type"] == "http.disconnect"
        left.set()

    request = HEAD + b"content-length: 2\r\n\r\n{}"
    async with serving(app) as (host, port, _):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(request * 2 if together else request)
        async with asyncio.timeout(30):
            await began.wait()
            if not together:
                writer.write(request)
                await writer.drain()
            writer.transport.abort()
            await left.wait()


async def test_one_request_after_the_other_on_one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.1)
    request = HEAD + b"content-length: 2\r\n\r\n{}"
    async with serving(echo) as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(30):
            for _ in range(5):
                writer.write(request[:30])
                await writer.drain()
                writer.write(request[30:])
                assert b"200 OK" in await reader.readuntil(b"0\r\n\r\n")
        writer.close()


STREAM = [(b"content-type", b"text/event-stream")]


@pytest.mark.parametrize("began", [None, STREAM, [(b"content-length", b"9")]], ids=["before", "stream", "sized"])
async def test_a_gateway_that_ends_first_says_so(began: list[tuple[bytes, bytes]] | None) -> None:
    waiting = asyncio.Event()

    async def hot(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if began is not None:
            await send({"type": "http.response.start", "status": 200, "headers": began})
            await send({"type": "http.response.body", "body": b"data: 1\n\n"[:4], "more_body": True})
        waiting.set()
        await asyncio.Event().wait()

    async with serving(Edge({"/echo": hot}, echo, body_timeout=1)) as (host, port, server):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(HEAD + b"content-length: 2\r\n\r\n{}")
        async with asyncio.timeout(30):
            await waiting.wait()
            for task in server.server_state.tasks:
                task.cancel()  # as uvicorn does when its time to end is over
            answer = await (reader.readuntil(b"\r\n0\r\n\r\n") if began is STREAM else reader.read())
        writer.close()
    if began is None:
        assert error_of(answer, 503) == "server_shutdown"
        assert b"retry-after: 1" in answer
    elif began is STREAM:
        assert b'data: {"error":{"message":"the server is shutting down' in answer
    else:
        assert answer.endswith(b"\r\n\r\ndata"), "cut, and seen to be: its length was promised"


async def test_an_offer_of_another_protocol_is_passed_over(ask: Callable[[bytes], Awaitable[bytes]]) -> None:
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
    body = b"\r\nupgrade: this is text\r\n\r\n"
    async with serving(echo) as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        async with asyncio.timeout(30):
            for _ in range(2):
                writer.write(HEAD + offer + b"content-length: %d\r\n\r\n" % len(body))
                await writer.drain()
                writer.write(body)
                answer = await reader.readuntil(b"\r\n0\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200 ") and b"\r\n%d\r\n" % len(body) in answer
        writer.close()
    whole = HEAD + offer + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    assert (await ask(whole.replace(b"Connection: ", b"Connection: close, "))).startswith(b"HTTP/1.1 200 ")
