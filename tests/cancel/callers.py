"""An HTTP client that leaves, or reads, exactly when a test says so."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

ROOM = 16 * 1024
"""Bytes that its socket takes before somebody reads them."""


@dataclass(frozen=True)
class Answer:
    """What came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def events(self) -> list[bytes]:
        """Of a stream; heartbeats are none."""
        return [event.removeprefix(b"data: ") for event in self.body.split(b"\n\n") if event and event != b": ping"]


class HttpCaller:
    """One request on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._had = b""

    def ask(self, path: str, body: dict[str, Any], seconds: float | None = None) -> None:
        raw = json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", "Connection: close"]
        lines += [f"Content-Length: {len(raw)}"]
        lines += [f"X-Caravan-Timeout: {seconds}"] if seconds is not None else []
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + raw)

    async def word(self, mark: bytes = b"data: ") -> None:
        """Wait for the first token: for the bytes that show it."""
        while mark not in self._had:
            part = await asyncio.wait_for(self._reader.read(4096), 20)
            assert part, self._had
            self._had += part

    async def answer(self, seconds: float) -> Answer:
        """All of it: to the end of the connection."""
        raw = self._had + await asyncio.wait_for(self._reader.read(), seconds)
        head, _, body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        if headers.get("transfer-encoding") == "chunked":
            body = _joined(body)
        return Answer(int(status.split()[1]), headers, body)

    async def cut_off(self, seconds: float) -> None:
        """Wait until the other side has closed the connection, while nothing is read."""
        end = asyncio.get_running_loop().time() + seconds
        line = self._writer.get_extra_info("socket")
        while _is_open(line):
            assert asyncio.get_running_loop().time() < end, f"still open after {seconds} s"
            await asyncio.sleep(0.02)

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def http_caller(url: str) -> AsyncIterator[HttpCaller]:
    """Connected to one of the gateways."""
    where = urlsplit(url)
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, ROOM)
    line.setblocking(False)
    await asyncio.get_running_loop().sock_connect(line, (where.hostname, where.port))
    reader, writer = await asyncio.open_connection(sock=line, limit=ROOM)
    try:
        yield HttpCaller(reader, writer)
    finally:
        writer.transport.abort()


def _joined(chunked: bytes) -> bytes:
    """The body that HTTP's chunks carry; it has to have an end."""
    parts = []
    while True:
        size, _, rest = chunked.partition(b"\r\n")
        assert size, "the answer has no end"
        length = int(size, 16)
        if not length:
            return b"".join(parts)
        parts.append(rest[:length])
        chunked = rest[length + 2 :]


def _is_open(line: socket.socket) -> bool:
    """By the kernel's word: a connection that was reset is none, whatever waits to be read."""
    return line.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x01"
