"""A client's connection: uvicorn's, with the bounds that it has not.

- A head (request line and headers) of at most 64 KiB, within 30 seconds; a connection that never sends one is closed.
- What is no HTTP is refused in OpenAI's shape too.
- An offer to go on in another protocol is passed over, as HTTP allows: Java's client offers HTTP/2 with each request,
  and the parser would take the body for that other protocol's. A WebSocket is taken, where there is one.
- A request that is sent before the answer to the one before it ("pipelining") is not read, and the connection is
  closed after that answer: with it queued, uvicorn would neither see nor say that the client of the first has gone.
- A gateway that leaves (:meth:`Connection.shutdown`) closes no connection on which a request may be on its way: the
  next answer says that it is the last, and only a connection that stays idle for a second is closed without one.
"""

from __future__ import annotations

import asyncio
import re
import struct
import sys
from typing import Final

from caravan_bus import tracing
from caravan_contracts.errors import CaravanError, InvalidRequest
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from caravan_gateway import asgi
from caravan_gateway.asgi import Receive, Scope, Send
from caravan_gateway.line import Line
from caravan_gateway.socket import handshake

MAX_HEAD: Final = 64 * 1024
"""Bytes. With a body of the bus's inline limit beside it, it is well below the largest message."""
HEAD_SECONDS: Final = 30.0
BODY_PIECE: Final = 512 * 1024
"""Bytes of a body that are gathered before the request is woken for them; the client is held back meanwhile."""
BODY_PATIENCE: Final = 0.05
"""Seconds that fewer bytes wait for more."""
LEAVE_IDLE_SECONDS: Final = 1.0
"""How long a connection must have been idle before a gateway that leaves closes it."""
_UPGRADE: Final = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class HeadTooLarge(InvalidRequest):
    """Request line and headers are over :data:`MAX_HEAD`."""

    status = 431
    code = "request_header_fields_too_large"


class Connection(HttpToolsProtocol):
    """One connection; made by uvicorn."""

    _in_head = False
    _head_bytes = 0
    _dropping = False
    _leaving = False
    _offered = False
    _begun = b""
    """Of a head that comes in pieces: those that were read."""
    _line: Line | None = None
    _timer: asyncio.TimerHandle | None = None
    _idle_timer: asyncio.TimerHandle | None = None
    _body_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_idle_timer()
        self._stop_body_timer()
        super().connection_lost(exc)
        self._lost()

    def data_received(self, data: bytes) -> None:
        if self._idle_timer is not None:
            self._stop_idle_timer()
        if self._dropping or self._is_busy():
            self._drop()
            return
        if not self._in_body() and data.find(b"pgrade", 0, MAX_HEAD) >= 0:
            data = self._without_upgrade(data)
        self._head_bytes += len(data)
        super().data_received(data)
        if self._body_timer is None and self._in_body():
            self._body_timer = self.loop.call_later(BODY_PATIENCE, self._hand_on_body)
        if not self._in_head:
            self._head_bytes = 0
        elif self._head_bytes > MAX_HEAD:
            self._refuse(_too_large())
        else:
            self._begun = data if self._head_bytes == len(data) else self._begun + data
            if self._timer is None:
                self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)
        if self._leaving:
            self._wait_idle()

    def on_message_begin(self) -> None:
        if self._is_busy():
            self._drop()
            return
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._dropping:
            return
        self._in_head = False
        self._stop_timer()
        app = self.app
        if self._head_bytes > MAX_HEAD and len(self.url) + _size(self.headers) > MAX_HEAD:
            self.app = _refuse_head
        super().on_headers_complete()
        self.app = app
        if self._offered and self.parser.should_upgrade() and self._should_upgrade():
            return  # what follows is no HTTP
        self._line = Line(self.cycle)
        self.scope["caravan_line"] = self._line  # type: ignore[typeddict-unknown-key]
        if self._leaving:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        cycle: RequestResponseCycle = self.cycle
        if self._dropping or cycle.response_complete:
            return
        # uvicorn wakes the request for each piece: one of a megabyte would be woken thirty times, for nothing
        cycle.body += body
        if len(cycle.body) >= BODY_PIECE:
            self.flow.pause_reading()
            cycle.message_event.set()

    def _hand_on_body(self) -> None:
        self._body_timer = None
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.body:
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._stop_body_timer()
        if not self._dropping:
            super().on_message_complete()
            self.flow.resume_reading()  # or nobody would hear that the client has gone

    def send_400_response(self, msg: str) -> None:
        self._refuse(InvalidRequest("this is no HTTP/1.1 request", code="invalid_http"))

    def on_response_complete(self) -> None:
        self._let_go()
        super().on_response_complete()
        if self._leaving:
            self._wait_idle()

    def shutdown(self) -> None:
        """The gateway leaves; called by uvicorn once it takes no connections any more."""
        self._leaving = True
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_started:
            cycle.keep_alive = False
        # headers that were sent have promised that one more request may come
        self._wait_idle()

    def _wait_idle(self) -> None:
        self._stop_idle_timer()
        if self._is_idle() and not self.transport.is_closing():
            self._idle_timer = self.loop.call_later(LEAVE_IDLE_SECONDS, self._close_idle)

    def _is_idle(self) -> bool:
        """Whether no request has begun to arrive that is not answered."""
        cycle: RequestResponseCycle | None = self.cycle
        return not self._in_head and (cycle is None or cycle.response_complete)

    def _close_idle(self) -> None:
        self._idle_timer = None
        if _has_unread(self.transport):
            self._wait_idle()  # this turn of the loop has not read it yet
        elif self._is_idle():
            self.transport.close()

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _without_upgrade(self, data: bytes) -> bytes:
        end = data.find(b"\r\n\r\n")
        head = data if end < 0 else data[:end]
        if not self._leaving and handshake.offered(self._begun + data if self._in_head else data):
            self._offered = True
            return data
        return _UPGRADE.sub(b"\r\nx-passed-over:", head) + data[len(head) :]

    def _in_body(self) -> bool:
        """Whether what comes next is a piece of a body."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and cycle.more_body and not self._in_head

    def _is_busy(self) -> bool:
        """Whether a request was read to its end and is not answered yet."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.more_body and not cycle.response_complete

    def _drop(self) -> None:
        self._dropping = True
        self.cycle.keep_alive = False

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(asgi.BodyTimeout(f"the request's headers did not arrive within {HEAD_SECONDS:g} s"))
        elif not self._is_busy():
            self.transport.close()

    def _refuse(self, error: CaravanError) -> None:
        """Answer in the app's place, and close. Nothing can be said any more when an answer has begun."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = error.to_json()
            lines = (
                b"content-type: application/json",
                b"content-length: %d" % len(body),
                b"connection: close",
                b"x-request-id: req_" + tracing.new_id().encode(),
            )
            self.transport.write(STATUS_LINE[error.status] + b"\r\n".join(lines) + b"\r\n\r\n" + body)
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
            self._lost()
        self.transport.close()

    def _lost(self) -> None:
        line, self._line = self._line, None
        if line is None:
            return
        self._let_go()
        if line.on_lost is not None and not self.cycle.response_complete:
            line.on_lost()

    def _let_go(self) -> None:
        """The request and its line hold each other."""
        self.cycle.scope.pop("caravan_line", None)  # type: ignore[typeddict-item]

    def _stop_body_timer(self) -> None:
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _has_unread(transport: asyncio.Transport) -> bool:
    """Whether the kernel has bytes of the client that were not read yet."""
    line = transport.get_extra_info("socket")
    if line is None or sys.platform == "win32":
        return False
    import fcntl
    import termios

    found: bytes = fcntl.ioctl(line.fileno(), termios.FIONREAD, bytes(4))
    return bool(struct.unpack("i", found)[0])


async def _refuse_head(scope: Scope, receive: Receive, send: Send) -> None:
    error = _too_large()
    headers = [(b"connection", b"close"), (b"x-request-id", b"req_" + tracing.new_id().encode())]
    await asgi.send_json(send, error.status, error.to_json(), headers)


def _too_large() -> HeadTooLarge:
    return HeadTooLarge(f"the request's headers have more than {MAX_HEAD} bytes")


def _size(headers: list[tuple[bytes, bytes]]) -> int:
    return sum(len(name) + len(value) for name, value in headers)
