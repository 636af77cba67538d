"""A Redis that answers, and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from caravan_contracts.errors import CaravanError, DependencyDown
from caravan_storage.redis import Redis

REFUSALS = (
    "MISCONF Errors writing to the AOF file: No space left on device",
    "READONLY You can't write against a read only replica.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "NOPERM this user has no permissions to run the 'set' command",
    "MASTERDOWN Link with MASTER is down",
    "LOADING is reading its file",
)


@pytest.fixture(params=REFUSALS, ids=lambda text: str(text).split()[0])
async def url(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A server that greets everybody and then refuses each SET."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                words = []
                for _ in range(int(line[1:])):
                    size = int((await reader.readline())[1:])
                    words.append(await reader.readexactly(size + 2))
                if words[0].strip().upper() == b"SET":
                    writer.write(f"-{request.param}\r\n".encode())
                elif words[0].strip().upper() == b"HELLO":
                    writer.write(b"%1\r\n+proto\r\n:3\r\n")
                else:
                    writer.write(b"+OK\r\n")
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}/0"


async def test_what_redis_refuses_it_cannot_do_now(url: str) -> None:
    redis = Redis(url)
    try:
        with pytest.raises(DependencyDown, match="cannot be used now"):
            await redis.put("key", b"value")
    finally:
        await redis.close()


@pytest.mark.parametrize("url", ["", "http://h", "redis://:secret@h:abc/0", "redis://:secret@h:99999", "redis://[::1"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(CaravanError, match="REDIS_URL") as caught:
        Redis(url)
    assert "secret" not in caught.value.message


class Held:
    """A writer whose end of writing comes when it is let go."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer
        self.waiting = asyncio.Event()
        self.let_go = asyncio.Event()

    async def drain(self) -> None:
        self.waiting.set()
        await self.let_go.wait()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("url", REFUSALS[:1], indirect=True)
async def test_a_cancellation_that_comes_with_the_end_of_a_write_is_not_lost(url: str, turns: int) -> None:
    redis = Redis(url)
    try:
        await redis.ping()
        connection = redis._client.connection_pool._available_connections[0]
        connection._writer = held = Held(connection._writer)
        asking = asyncio.create_task(redis.ping())
        async with asyncio.timeout(30):
            await held.waiting.wait()
            held.let_go.set()
            for _ in range(turns):
                await asyncio.sleep(0)
            assert asking.cancel(), "it cannot have its answer yet"
            with pytest.raises(asyncio.CancelledError):
                await asking
    finally:
        await redis.close()
