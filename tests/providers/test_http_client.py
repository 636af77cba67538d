"""The byte-forwarding HTTP client against servers that do odd things."""

from __future__ import annotations

import asyncio

import pytest
from caravan_contracts.errors import InvalidRequest
from caravan_inference.providers.openai_compatible.http import ClientOptions, HttpClient, UpstreamGone

from tests.providers.serving import serving


async def whole(client: HttpClient) -> bytes:
    exchange = await client.post("/x", b"{}", {"A": "b"}, 60)
    parts = []
    try:
        while part := await exchange.read():
            parts.append(part)
    finally:
        client.release(exchange)
    return b"".join(parts)


async def test_sized_and_chunked_answers_on_one_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        if count % 2:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsized")
            return
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for byte in b"4\r\nchun\r\n3\r\nked\r\n0\r\n\r\n":
            writer.write(bytes([byte]))
            await writer.drain()

    async with serving(serve) as (client, server):
        assert [await whole(client) for _ in range(4)] == [b"sized", b"chunked"] * 2
        assert server.connections == 1
    assert server.requests[0].startswith(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1:")
    assert server.requests[0].endswith(b"\r\nA: b\r\n\r\n{}")


async def test_an_interim_answer_is_not_the_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with serving(serve) as (client, _):
        assert await whole(client) == b"ok"


async def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")
        await writer.drain()
        writer.write_eof()

    async with serving(serve) as (client, server):
        assert [await whole(client), await whole(client)] == [b"until the end"] * 2
        assert server.connections == 2


@pytest.mark.parametrize(
    "cut",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfive5",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfive5\r\n",
    ],
)
async def test_a_cut_answer_is_an_error_and_never_an_end(cut: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(cut)
        await writer.drain()
        writer.close()

    async with serving(serve) as (client, _):
        exchange = await client.post("/x", b"{}", {}, 60)
        assert await exchange.read() == b"five5"
        with pytest.raises(UpstreamGone):
            await exchange.read()
        client.release(exchange)


async def test_an_idle_connection_that_was_closed_is_replaced_unseen() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        if count == 2:
            writer.close()  # in the moment of reuse
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with serving(serve) as (client, server):
        assert [await whole(client), await whole(client)] == [b"ok", b"ok"]
        assert server.connections == 2


async def test_a_request_is_sent_twice_at_most_however_many_connections_are_idle() -> None:
    closing = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        if closing:
            writer.close()
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with serving(serve) as (client, server):
        exchanges = [await client.post("/x", b"{}", {}, 60) for _ in range(5)]
        for exchange in exchanges:
            while await exchange.read():
                pass
            client.release(exchange)
        closing = True
        before = len(server.requests)
        with pytest.raises(UpstreamGone):
            await client.post("/x", b"{}", {}, 60)
        assert len(server.requests) - before == 2


async def test_a_fresh_connection_that_is_closed_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.close()

    async with serving(serve) as (client, server):
        with pytest.raises(UpstreamGone):
            await client.post("/x", b"{}", {}, 60)
        assert server.connections == 1


async def test_silence_and_garbage_are_errors() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        await asyncio.Event().wait()

    async with serving(silent, read_timeout=0.1) as (client, _):
        with pytest.raises(TimeoutError):
            await client.post("/x", b"{}", {}, 60)

    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")

    async with serving(garbage) as (client, _):
        with pytest.raises(UpstreamGone, match="no HTTP"):
            await client.post("/x", b"{}", {}, 60)


async def test_a_reader_that_stops_holds_the_upstream_back() -> None:
    written = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: int) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 50000000\r\n\r\n")
        for _ in range(500):
            writer.write(b"x" * 100_000)
            written += 100_000
            await writer.drain()

    async with serving(serve) as (client, _):
        exchange = await client.post("/x", b"{}", {}, 60)
        got = len(await exchange.read())
        for _ in range(50):
            await asyncio.sleep(0.01)
        assert written < 30_000_000
        while part := await exchange.read():
            got += len(part)
        assert got == 50_000_000
        client.release(exchange)


@pytest.mark.parametrize("value", ["a\r\nX-Admin: 1", "a\nb", "a\x00b"])
async def test_a_header_cannot_be_smuggled(value: str) -> None:
    client = HttpClient(ClientOptions("http://127.0.0.1:9/v1", 1.0, 1.0))
    with pytest.raises(InvalidRequest, match="control character"):
        await client.post("/x", b"{}", {"Authorization": value}, 60)
