"""A TCP line between a client and a server, which can be cut."""

from __future__ import annotations

import asyncio
from typing import Self


class Line:
    """Carries bytes from a port of its own to `to` and back, until it is told otherwise."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._server: asyncio.Server | None = None
        self._carried: set[asyncio.Task[None]] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self.up_to: int | None = None
        """Bytes of the server's that the next connections carry before they break; None: all."""
        self.connections = 0

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)

    async def cut(self) -> None:
        """Break what is open, and let nobody in."""
        assert self._server is not None
        self._server.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Break what is open."""
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._carried.add(task)
        self.connections += 1
        up_to = self.up_to
        back, there = await asyncio.open_connection("127.0.0.1", self._to)
        self._open |= {writer, there}
        try:
            await asyncio.gather(_pump(reader, there, None), _pump(back, writer, up_to))
        except OSError:
            pass  # it was cut
        finally:
            for end in (writer, there):
                end.transport.abort()
                self._open.discard(end)
            self._carried.discard(task)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, up_to: int | None) -> None:
    carried = 0
    while data := await reader.read(64 * 1024):
        carried += len(data)
        if up_to is not None and carried > up_to:
            raise ConnectionResetError
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError
