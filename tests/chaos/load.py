"""A load with exact accounts: every request's answer is compared, and whatever is wrong is told.

The client is plain: HTTP/1.1 over a pool of connections. Before it sends on an old connection it looks whether the
server closed it, as every HTTP library does. It never sends anything twice.
"""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

_NOTHING = b"\r\n\r\n"


def words(count: int) -> str:
    return "".join(f"w{i} " for i in range(count))


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sock: socket.socket) -> None:
        self.reader = reader
        self.writer = writer
        self.sock = sock
        self.port = int(sock.getsockname()[1])
        self.last = False

    @classmethod
    async def open(cls, port: int) -> Line:
        sock = socket.socket()
        sock.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            reader, writer = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        return cls(reader, writer, sock)

    def usable(self) -> bool:
        """Whether the server has neither closed it nor said that it will."""
        if self.last or self.reader.at_eof() or self.writer.is_closing():
            return False
        try:
            return self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    async def ask(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and whole body. Raises OSError and EOFError when the connection ends before the answer does."""
        data = json.dumps(body).encode()
        head = "POST /v1/chat/completions HTTP/1.1\r\nHost: mesh\r\nContent-Type: application/json\r\n"
        self.writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        lines = (await self.reader.readuntil(_NOTHING)).decode().lower().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        self.last = headers.get("connection") == "close"
        if "content-length" in headers:
            return int(lines[0].split()[1]), await self.reader.readexactly(int(headers["content-length"]))
        parts = []
        while size := await self._size():
            parts.append((await self.reader.readexactly(size + 2))[:-2])
        await self.reader.readexactly(2)
        return int(lines[0].split()[1]), b"".join(parts)

    async def _size(self) -> int:
        """Of the next chunk; 0 = that was all."""
        return int((await self.reader.readuntil(b"\r\n")).strip(), 16)

    def close(self) -> None:
        self.writer.close()


@dataclass
class Account:
    """What came of a load."""

    plain: int = 0
    streams: int = 0
    opened: int = 0
    """Connections."""
    slowest: float = 0.0
    """Seconds of the slowest plain request."""
    wrong: list[str] = field(default_factory=list)


@dataclass
class Load:
    """`rate` plain requests a second, one of `alone` on a connection of its own, and `streams` streams at any time,
    each of `tokens` tokens. Entered it runs; left it sends nothing more and waits for what is under way."""

    port: int
    rate: float = 50.0
    streams: int = 10
    tokens: int = 160
    delay_ms: int = 50
    alone: int = 3
    model: str = "up/plain"
    account: Account = field(default_factory=Account)
    _idle: deque[Line] = field(default_factory=deque)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        self._spawn(self._plains())
        for number in range(self.streams):
            self._spawn(self._one_after_the_other(number))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._stop.set()
        try:
            if error is None:
                async with asyncio.timeout(60 + self.tokens * self.delay_ms / 1000):
                    while self._tasks:
                        await asyncio.wait(set(self._tasks))
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for line in self._idle:
                line.close()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _plains(self) -> None:
        began, number = time.monotonic(), 0
        while not self._stop.is_set():
            self._spawn(self._plain(number))
            number += 1
            await asyncio.sleep(max(0.0, began + number / self.rate - time.monotonic()))

    async def _plain(self, number: int) -> None:
        began = time.monotonic()
        wanted = words(1 + number % 5)
        body = {
            "model": self.model,
            "messages": [{"role": "user", "content": f"{number}"}],
            "max_tokens": 1 + number % 5,
        }
        got = await self._asked(body, f"plain {number}", own=number % self.alone == 0)
        if got is not None:
            text = json.loads(got)["choices"][0]["message"]["content"]
            self._expect(text == wanted, f"plain {number}: {text!r}")
            self.account.plain += 1
        self.account.slowest = max(self.account.slowest, time.monotonic() - began)

    async def _one_after_the_other(self, number: int) -> None:
        await asyncio.sleep(number * self.tokens * self.delay_ms / 1000 / max(1, self.streams))  # not in step
        turn = 0
        while not self._stop.is_set():
            await self._stream(f"stream {number}.{turn}")
            turn += 1

    async def _stream(self, name: str) -> None:
        model = self.model.replace("plain", f"slow-{self.delay_ms}")
        message = {"role": "user", "content": name}
        body = {"model": model, "messages": [message], "max_tokens": self.tokens, "stream": True}
        got = await self._asked(body, name, own=False)
        if got is not None:
            text, ended = read_stream(got)
            self._expect(text == words(self.tokens) and ended, f"{name}: ended={ended}, {got[-300:]!r}")
            self.account.streams += 1

    async def _asked(self, body: dict[str, Any], name: str, own: bool) -> bytes | None:
        line: Line | None = None
        try:
            async with asyncio.timeout(30 + self.tokens * self.delay_ms / 1000):
                line = await self._line(own)
                status, answer = await line.ask(body)
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            port = line.port if line else 0
            self.account.wrong.append(f"{time.time():.2f} {name} from port {port}: {error!r}")
            if line is not None:
                line.close()
            return None
        if own:
            line.close()
        else:
            self._idle.append(line)
        if status != 200:
            self.account.wrong.append(f"{time.time():.2f} {name}: {status} {answer[:300]!r}")
            return None
        return answer

    async def _line(self, own: bool) -> Line:
        while self._idle and not own:
            line = self._idle.popleft()  # the one that was idle longest: the hardest case
            if line.usable():
                return line
            line.close()
        self.account.opened += 1
        return await Line.open(self.port)

    def _expect(self, true: bool, text: str) -> None:
        if not true:
            self.account.wrong.append(f"{time.time():.2f} {text}")


def read_stream(raw: bytes) -> tuple[str, bool]:
    """The text of a stream's events, and whether it ended with ``[DONE]``."""
    text, ended = "", False
    for event in raw.decode().split("\n\n"):
        data = event.removeprefix("data: ")
        if data == "[DONE]":
            ended = True
        elif event.startswith("data: "):
            choices = json.loads(data).get("choices") or []
            text += "".join(choice["delta"].get("content") or "" for choice in choices)
    return text, ended
