"""NATS's wire protocol as an asyncio.Protocol: what nats-py reads with a task and patterns, in one synchronous pass.

nats-py connects, signs in, subscribes and reconnects; once it is through, :class:`Wire` takes the socket over. Each
read is cut into messages where it arrived, and they are handed on in the same turn of the loop: no task, no queue, no
pattern per message. Source: the NATS client protocol, https://docs.nats.io/reference/reference-protocols/nats-protocol.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

_CRLF: Final = b"\r\n"
_BLANK: Final = b" "
"""And nothing else: NATS takes subjects with a form feed in them, which must not divide a line where it is read."""
_M, _H = ord("M"), ord("H")
_MAX_LINE: Final = 64 * 1024
"""Longest control line in bytes; INFO with many cluster addresses is the longest there is."""


class ProtocolError(Exception):
    """The server sent something that is no NATS."""


class Receiver(Protocol):
    """Who gets what was read."""

    def on_message(self, sid: bytes, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        """One message; it must not raise."""
        ...

    def on_line(self, line: bytes) -> None:
        """Any other line of the protocol, such as PING or -ERR, without its line break."""
        ...


class Parser:
    """Cuts what was read into messages and lines."""

    __slots__ = ("_need", "_parts", "_receiver", "_rest", "_waiting")

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._rest = b""
        self._parts: list[bytes] = []
        self._waiting = 0
        self._need = 0
        """Bytes without which nothing can be done: a long message is put together once, not at each read."""

    def feed(self, data: bytes) -> None:
        """Hand on all that `data` completes. Raises ProtocolError."""
        if self._need:
            self._parts.append(data)
            self._waiting += len(data)
            if self._waiting < self._need:
                return
            data = b"".join(self._parts)
            self._parts, self._need = [], 0
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        position = self._hand_on(data)
        if position < len(data):
            rest = data[position:] if position else data
            if self._need:
                self._parts, self._waiting = [rest], len(rest)
            else:
                self._rest = rest

    def _hand_on(self, data: bytes) -> int:
        """How far it came."""
        on_message = self._receiver.on_message
        position, size = 0, len(data)
        while position < size:
            end = data.find(_CRLF, position)
            if end < 0:
                if size - position > _MAX_LINE:
                    raise ProtocolError("a line without an end")
                return position
            kind = data[position]
            start = end + 2
            try:
                if kind == _M:
                    words = data[position + 4 : end].split(_BLANK)
                    stop = start + int(words[-1])
                    if stop + 2 > size:
                        self._need = stop + 2 - position
                        return position
                    reply = words[2] if len(words) == 4 else b""
                    on_message(words[1], words[0], reply, data[start:stop], b"")
                elif kind == _H:
                    words = data[position + 5 : end].split(_BLANK)
                    stop = start + int(words[-1])
                    if stop + 2 > size:
                        self._need = stop + 2 - position
                        return position
                    body = start + int(words[-2])
                    reply = words[2] if len(words) == 5 else b""
                    on_message(words[1], words[0], reply, data[body:stop], data[start:body])
                else:
                    self._receiver.on_line(data[position:end])
                    position = start
                    continue
            except (ValueError, IndexError) as error:
                raise ProtocolError(f"unreadable: {data[position : position + 80]!r}") from error
            position = stop + 2
        return position


class Wire(asyncio.Protocol):
    """A connection taken over from nats-py's streams; `behind` is the protocol that served it until now, which still
    hears what concerns writing and closing."""

    def __init__(self, receiver: Receiver, behind: Any) -> None:
        self._parser = Parser(receiver)
        self._behind = behind
        self.lost: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        """Done when the connection is: with what went wrong, None when the server closed it."""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.lost.done():
            return  # after an error nobody knows where a message begins
        try:
            self._parser.feed(data)
        except ProtocolError as error:
            self._end(error)

    def eof_received(self) -> bool:
        """See asyncio.Protocol."""
        self._end(None)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._end(exc)
        self._behind.connection_lost(exc)

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        self._behind.pause_writing()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        self._behind.resume_writing()

    def _end(self, error: BaseException | None) -> None:
        if not self.lost.done():
            self.lost.set_result(error)
