"""A provider that fails as it is told: a real HTTP server, small enough to break its connections in every way."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any, Final

from caravan.failover_check.attempts import Attempt, Attempts
from caravan.failover_check.events import Speaking
from caravan.failover_check.scripts import PAUSE, PREFILL_REFUSED, Refusal, Reset, Script, Silence, Words

READY: Final = "ready"
"""The only model that is listed: when the gateway knows it, a worker has found the provider."""
_LONGEST: Final = 90.0
"""Seconds a connection is held for a caller that never gives up."""
_MAX_BODY: Final = 1024 * 1024
_FLUSH_SECONDS: Final = 0.05


class _Gone(Exception):
    """The caller closed the connection, or the script did."""


class FaultyProvider:
    """One server. Lives in one event loop."""

    def __init__(self, name: str, scripts: Mapping[str, Script], attempts: Attempts, host: str = "127.0.0.1") -> None:
        self.name = name
        self._scripts = scripts
        self._attempts = attempts
        self._host = host
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0

    async def start(self) -> None:
        """Listen: at a free port, later at the same again."""
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Refuse connections, and break those there are."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            async with asyncio.timeout(_LONGEST * 4):
                while True:
                    await self._exchange(reader, writer)
        except (_Gone, OSError, EOFError, ValueError, TimeoutError):
            pass  # a caller that left, or the script's own end
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, path, _ = head[0].split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        size = int(headers.get("content-length", "0"))
        if size > _MAX_BODY:
            raise _Gone
        body = await reader.readexactly(size)
        if method == "GET" and path.endswith("/models"):
            _answer(writer, 200, {"object": "list", "data": [{"id": READY, "object": "model", "created": 1}]})
        elif method == "POST" and path.endswith("/chat/completions"):
            await self._chat(json.loads(body), reader, writer)
        else:
            _answer(writer, 404, Refusal(404, message="the check asks nothing else").body())
        await writer.drain()

    async def _chat(self, asked: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        model = str(asked.get("model"))
        last = asked["messages"][-1]
        prefix = str(last.get("content")) if last.get("role") == "assistant" else ""
        attempt = Attempt(self.name, model, time.monotonic(), bool(asked.get("stream")), bool(prefix))
        number = self._attempts.note(attempt)
        script = self._scripts.get(model, (Refusal(404, "model_not_found", f"there is no script for {model}"),))
        step = script[min(number, len(script) - 1)]
        if isinstance(step, Words) and prefix and not step.prefill:
            step = PREFILL_REFUSED
        if isinstance(step, Refusal):
            _answer(writer, step.status, step.body(), step.headers)
        elif isinstance(step, Reset):
            _reset(writer)
        elif isinstance(step, Silence):
            await _idle(reader, _LONGEST)
        else:
            speaking = Speaking(self.name, model, step, prefix)
            if attempt.stream:
                usage = bool((asked.get("stream_options") or {}).get("include_usage"))
                await _stream(speaking, step, attempt, usage, reader, writer)
            else:
                await _whole(speaking, step, attempt, reader, writer)


async def _whole(
    speaking: Speaking, step: Words, attempt: Attempt, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    if step.first_after:
        await _idle(reader, step.first_after, then_gone=False)
    attempt.first_sent = attempt.last_sent = time.monotonic()
    _answer(writer, 200, speaking.whole())


async def _stream(
    speaking: Speaking,
    step: Words,
    attempt: Attempt,
    usage: bool,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    await writer.drain()
    if step.first_after:
        await _idle(reader, step.first_after, then_gone=False)
    sent = 0
    for event, is_word in speaking.events(usage):
        if sent == step.cut_after:
            await asyncio.sleep(_FLUSH_SECONDS)
            _reset(writer)
        if sent == step.silent_after:
            await _idle(reader, _LONGEST)
        if is_word:
            await asyncio.sleep(PAUSE)
            attempt.last_sent = time.monotonic()
            attempt.first_sent = attempt.first_sent or attempt.last_sent
            sent += 1
        writer.write(b"%x\r\n%b\r\n" % (len(event), event))
        await writer.drain()
    if step.lingers:
        await _idle(reader, _LONGEST)
    writer.write(b"0\r\n\r\n")


def _answer(writer: asyncio.StreamWriter, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
    raw = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Scripted", "content-type: application/json", f"content-length: {len(raw)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + raw)


def _reset(writer: asyncio.StreamWriter) -> None:
    """RST, not FIN: what a process that died leaves behind."""
    connection = writer.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    raise _Gone


async def _idle(reader: asyncio.StreamReader, seconds: float, *, then_gone: bool = True) -> None:
    """Say nothing for so long, or until the caller leaves; raises `_Gone` for that, and at the end if it is one."""
    try:
        async with asyncio.timeout(seconds):
            await reader.read(1)
    except TimeoutError:
        if not then_gone:
            return
    raise _Gone
