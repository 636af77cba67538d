"""A server that answers as a test says, and the byte-forwarding client before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from caravan_inference.providers.openai_compatible.http import ClientOptions, HttpClient

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter, int], Awaitable[None]]


class Server:
    def __init__(self) -> None:
        self.port = 0
        self.connections = 0
        self.requests: list[bytes] = []


@asynccontextmanager
async def serving(
    serve: Serve, read_timeout: float = 5.0, flush: float = 0.0
) -> AsyncIterator[tuple[HttpClient, Server]]:
    """A server that reads requests and lets `serve` answer; its third argument counts the connection's requests."""
    server = Server()
    tasks: set[asyncio.Task[None] | None] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        tasks.add(asyncio.current_task())
        count = 0
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                server.requests.append(head + await reader.readexactly(length))
                count += 1
                await serve(reader, writer, count)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    client = HttpClient(ClientOptions(f"http://127.0.0.1:{server.port}/v1", 2.0, read_timeout, None, flush))
    try:
        yield client, server
    finally:
        await client.close()
        listener.close()
        running = [task for task in tasks if task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
