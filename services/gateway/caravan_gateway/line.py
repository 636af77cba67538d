"""One answer's way to the client, past ASGI: no event, no coroutine and no look at each header and piece of it.

What it cannot do it leaves to ASGI's `send`: it says False then, and has written nothing.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Callable
from typing import Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from caravan_gateway.asgi import Headers

_AT_ONCE: Final = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""The kernel keeps nothing for the client either."""


class _Held:
    """A transport with an answer's head, which waits for the first write: both leave in one system call, which costs as
    much as all that is done for it."""

    __slots__ = ("_cycle", "_head", "_transport")

    def __init__(self, cycle: RequestResponseCycle, head: bytes) -> None:
        self._cycle = cycle
        self._transport = cycle.transport
        self._head = head

    def write(self, data: bytes) -> None:
        self._cycle.transport = self._transport
        self._transport.write(self._head + data)

    def close(self) -> None:
        self._cycle.transport = self._transport
        self._transport.write(self._head)
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()


class Line:
    """For one answer."""

    __slots__ = ("__weakref__", "_cycle", "_flow", "_transport", "_write", "on_lost")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self.on_lost: Callable[[], None] | None = None
        """Called once if the client goes away before its answer is complete."""
        self._cycle = cycle
        self._flow = cycle.flow
        self._transport = cycle.transport
        self._write: Callable[[bytes], None] | None = None
        """The transport's, once the head is on its way and says that chunks follow."""

    def body(self, limit: int) -> bytes | None:
        """The request's, if all of it is there and it has at most `limit` bytes; nothing is left of it then."""
        cycle = self._cycle
        if cycle.more_body or cycle.disconnected or len(cycle.body) > limit:
            return None
        self._flow.resume_reading()
        cycle.message_event.clear()
        body, cycle.body = bytes(cycle.body), bytearray()
        return body

    def answer(self, headers: Headers, body: bytes) -> bool:
        """All of an answer of status 200."""
        head = self._head(headers, b"content-length: %d\r\n\r\n" % len(body))
        if not head:
            return False
        cycle = self._cycle
        cycle.response_started, cycle.chunked_encoding = True, False
        self._last(head + body)
        return True

    def begin(self, headers: Headers) -> bool:
        """The head of status 200 of an answer whose pieces follow, the first of them at once: both leave together."""
        head = self._head(headers, b"transfer-encoding: chunked\r\n\r\n")
        if not head:
            return False
        cycle = self._cycle
        cycle.response_started = cycle.chunked_encoding = True
        cycle.waiting_for_100_continue = False
        cycle.transport = _Held(cycle, head)  # type: ignore[assignment]
        return True

    def write(self, data: bytes) -> bool:
        """A piece of it, at least one byte."""
        cycle = self._cycle
        if self._flow.write_paused or cycle.disconnected or cycle.response_complete:
            return False
        write = self._write
        if write is None:
            if not cycle.chunked_encoding:
                return False
            write = cycle.transport.write
            if cycle.transport is self._transport:
                self._write = write
        write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def end(self, data: bytes) -> bool:
        """The last piece of it, which may be b""."""
        cycle = self._cycle
        if self._flow.write_paused or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding:
            return False
        self._last(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        return True

    def cut(self) -> None:
        """Close the connection now, with what the client has not taken: a close in good order would wait for it."""
        line = self._transport.get_extra_info("socket")
        if line is not None and not self._transport.is_closing():
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def _head(self, headers: Headers, last: bytes) -> bytes:
        """b"" when the client is slow or gone, when there was a head, or when a header would end early."""
        cycle = self._cycle
        if self._flow.write_paused or cycle.disconnected or cycle.response_started:
            return b""
        lines = [b"%b: %b\r\n" % header for header in cycle.default_headers]
        lines += [b"%b: %b\r\n" % header for header in headers]
        if not cycle.keep_alive:
            lines.append(b"connection: close\r\n")
        made = b"".join(lines)
        if made.count(b"\n") != len(lines) or made.count(b"\r") != len(lines) or b"\0" in made:
            return b""  # uvicorn says what is wrong
        return b"HTTP/1.1 200 OK\r\n" + made + last

    def _last(self, data: bytes) -> None:
        """Write it, and do what uvicorn does at the end of an answer."""
        cycle = self._cycle
        cycle.transport.write(data)
        cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
