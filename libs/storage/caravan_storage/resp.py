"""Large values to and from Redis, past redis-py: GET, SET and DEL over RESP2, a value's bytes never copied but once.

redis-py is 8 MB of every process that loads it, and gateways and workers need no more of Redis than this. Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

Reply = bytes | int | None

_HEAD: Final = 4096
"""Bytes read at once while it is not known how long a value is."""
_TOGETHER: Final = 64 * 1024
"""Longest command that is put together first: its bytes are copied, and it leaves in one piece."""
_MOST_DIGITS: Final = 9
"""Of a value's length: Redis has none over 512 MB."""
_END: Final = b"\r\n"
_BULK, _ERROR, _NUMBER, _TEXT = b"$-:+"


class RespError(Exception):
    """The server refused a command; what it said."""


class RespLost(OSError):
    """The connection ended before the answer did, or spoke something else."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is, and who asks it."""

    host: str
    port: int
    user: str = ""
    password: str = ""
    database: int = 0

    @staticmethod
    def of(url: str) -> Address | None:
        """That of a plain ``redis://`` URL; None for one that says more (TLS, sockets, options), which is redis-py's to
        understand."""
        parts = urlsplit(url)
        database = parts.path.strip("/")
        if parts.scheme != "redis" or parts.query or not (database.isdigit() or not database):
            return None
        return Address(
            parts.hostname or "localhost",
            parts.port or 6379,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            int(database or 0),
        )


class Pool:
    """Connections to one server, one command at a time on each."""

    def __init__(self, address: Address, connect_seconds: float, limit: int) -> None:
        """At most `limit` connections; each is made within `connect_seconds`. How long a command may take is its
        caller's to say: one that is cancelled takes its connection with it."""
        self._address = address
        self._connect_seconds = connect_seconds
        self._turns = asyncio.Semaphore(limit)
        self._idle: list[_Connection] = []
        self._closed = False

    async def ask(self, *words: bytes) -> Reply:
        """What the server answers to one command, which has to be one that may be said twice. Raises RespError, OSError
        and TimeoutError."""
        async with self._turns:
            while self._idle:
                connection = self._idle.pop()
                if connection.alive:
                    try:
                        return await self._asked(connection, words)
                    except RespLost:
                        break  # the server closed it in this very moment, as it may
            return await self._asked(await self._connect(), words)

    def close(self) -> None:
        """Close what is idle, and what is under way as soon as it has its answer."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    async def _asked(self, connection: _Connection, words: tuple[bytes, ...]) -> Reply:
        try:
            reply = await connection.ask(words)
        except RespError:
            self._rest(connection)
            raise
        except BaseException:  # cancelled, too: its answer would be taken for that to the next command
            connection.close()
            raise
        self._rest(connection)
        return reply

    def _rest(self, connection: _Connection) -> None:
        if self._closed:
            connection.close()
        else:
            self._idle.append(connection)

    async def _connect(self) -> _Connection:
        address, loop = self._address, asyncio.get_running_loop()
        async with asyncio.timeout(self._connect_seconds):
            _, connection = await loop.create_connection(_Connection, address.host, address.port)
            try:
                if address.password:
                    user = (address.user.encode(),) if address.user else ()
                    await connection.ask((b"AUTH", *user, address.password.encode()))
                if address.database:
                    await connection.ask((b"SELECT", b"%d" % address.database))
            except BaseException:
                connection.close()
                raise
        return connection


class Replies:
    """Reads one reply at a time. A long value is read into its place: until it is handed on, the kernel's copy of it is
    the only one."""

    def __init__(self) -> None:
        self._head = bytearray(_HEAD)
        self._have = 0
        """Bytes of the head, or of the value once there is one."""
        self._value: bytearray | None = None
        """A value and the line end behind it."""

    def room(self) -> memoryview:
        """Where the next bytes go; :meth:`took` has to hear how many they were."""
        return memoryview(self._head if self._value is None else self._value)[self._have :]

    def took(self, size: int) -> tuple[Reply] | None:
        """The reply, when it is complete. Raises RespError when it refuses, RespLost when it is none."""
        self._have += size
        if self._value is None:
            end = self._head.find(_END, 0, self._have)
            if end < 0:
                if self._have == _HEAD:
                    raise RespLost("this is no Redis: its answer has no end")
                return None
            said = self._said(self._head[0], bytes(self._head[1:end]), self._have - end - 2)
            if said is not None:
                self._have = 0
                return said
        return self._whole()

    def _said(self, kind: int, line: bytes, rest: int) -> tuple[Reply] | None:
        """What a line says; None when a value follows, of which `rest` bytes are there."""
        if kind == _BULK and line.isdigit() and len(line) <= _MOST_DIGITS:
            self._value = bytearray(int(line) + 2)
            if rest > len(self._value):
                raise RespLost("this is no Redis: it said more than it was asked")
            self._value[:rest] = self._head[self._have - rest : self._have]
            self._have = rest
            return None
        if rest:
            raise RespLost("this is no Redis: it said more than it was asked")
        if kind == _ERROR:
            self._have = 0
            raise RespError(line.decode("utf-8", "replace"))
        if kind == _BULK and line == b"-1":
            return (None,)
        if kind == _NUMBER and line.removeprefix(b"-").isdigit():
            return (int(line),)
        if kind == _TEXT:
            return (line,)
        raise RespLost("this is no Redis: it speaks something else")

    def _whole(self) -> tuple[Reply] | None:
        value = self._value
        if value is None or self._have < len(value):
            return None
        self._have, self._value = 0, None
        if not value.endswith(_END):
            raise RespLost("this is no Redis: a value is longer than it was said to be")
        return (bytes(memoryview(value)[:-2]),)


class _Connection(asyncio.BufferedProtocol):
    """One command at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Reply] | None = None
        self._replies = Replies()

    @property
    def alive(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, words: tuple[bytes, ...]) -> Reply:
        transport = self._transport
        if transport is None or transport.is_closing():
            raise RespLost("the connection is closed")
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._answer = answer
        transport.writelines(_packed(words))
        try:
            return await answer
        finally:
            self._answer = None  # it has the value, which may be large

    def close(self) -> None:
        self._answer = None
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert hasattr(transport, "writelines")
        self._transport = transport  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(RespLost(str(exc) if exc else "the server closed the connection"))

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._replies.room()

    def buffer_updated(self, nbytes: int) -> None:
        answer = self._answer
        if answer is None or answer.done():  # it spoke without being asked
            self.close()
            return
        try:
            reply = self._replies.took(nbytes)
        except RespError as error:
            self._fail(error)
        except RespLost as error:
            self._fail(error)
            self.close()
        else:
            if reply is not None and not answer.done():
                answer.set_result(reply[0])

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)


def _packed(words: tuple[bytes, ...]) -> list[bytes]:
    """A command as an array of bulk strings; a long word stays the object it is."""
    made = [b"*%d\r\n" % len(words)]
    for word in words:
        made += (b"$%d\r\n" % len(word), word, _END)
    if sum(map(len, words)) < _TOGETHER:
        return [b"".join(made)]
    return made
