"""The bus over NATS: nats-py's client with a synchronous way in and out for the token path.

nats-py reads with a task, hands each message to another through a queue and flushes through a third: right for most
uses, but it costs more than a token frame itself. Here a subscription's callback runs in the turn of the loop in which
its message was read, and what is published in one turn leaves in one write. nats-py still connects, signs in,
subscribes, and reconnects. What is private of nats-py and used here (`_read_loop`, `_pending`, `_process_*`, the
streams of its TCP transport) is held by the contract tests, and nats-py is pinned.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from caravan_contracts.errors import DependencyDown

from caravan_bus.lazily import lazily

lazily("aiohttp")

import nats.errors  # noqa: E402
from nats.aio.client import Client  # noqa: E402
from nats.aio.transport import TcpTransport  # noqa: E402

from caravan_bus import reconnecting  # noqa: E402
from caravan_bus.transport import Callback, Message, Subscription, call_all  # noqa: E402
from caravan_bus.wire import Wire  # noqa: E402

log = logging.getLogger(__name__)

PENDING_LIMIT = 32 * 1024 * 1024
"""Bytes waiting for a slow server before nats-py would block; the credit window keeps us far below."""
_LATER = 65_536
_CLOSE_SECONDS = 5.0
_PONG = b"PONG\r\n"
_FIRST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """How to connect. `seed` is the NKEY seed (``SU…``) of the bus user; "" only for a server without users."""

    url: str
    user: str
    seed: str = ""
    name: str = ""


class _TapClient(Client):
    """nats-py's client with :class:`Wire` on its socket; subscriptions in `taps` are called in the turn of the read."""

    def __init__(self) -> None:
        super().__init__()
        self.taps: dict[bytes, Callback] = {}
        """By subscription id, as the wire spells it."""
        self._line: asyncio.WriteTransport | None = None
        self._flush_due = False
        self._at_turn_end: list[Callable[[], None]] = []
        self._loop = asyncio.get_running_loop()
        self._cancelled_before = reconnecting.cancellations()
        self._later: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue(_LATER)
        self.dropped = 0
        """Messages that were not sent because the server did not take what was sent before."""

    def send_now(self, command: bytes) -> None:
        """Send with whatever else is sent in this turn of the loop."""
        self._pending.append(command)
        self._pending_data_size += len(command)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_now)

    def at_turn_end(self, callback: Callable[[], None]) -> None:
        """See :class:`Transport`."""
        self._at_turn_end.append(callback)
        if not self._flush_due:
            self._flush_due = True
            self._loop.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        if self._at_turn_end:
            callbacks, self._at_turn_end = self._at_turn_end, []
            call_all(callbacks)
        self._flush_due = bool(self._at_turn_end)
        if self._flush_due:  # one of them has more to come
            self._loop.call_soon(self._flush_now)
        line = self._line
        if not self._pending or not self.is_connected:
            return
        if line is None:
            self._flush_otherwise()
            return
        if line.is_closing():
            return
        if line.get_write_buffer_size() > PENDING_LIMIT:
            self.dropped += len(self._pending)
        else:
            line.write(b"".join(self._pending))
        self._pending = []
        self._pending_data_size = 0

    def _flush_otherwise(self) -> None:
        """In the first turn of a connection, before it is taken over; over WebSocket always."""
        if isinstance(self._transport, TcpTransport):
            self._transport.writelines(self._pending)  # type: ignore[no-untyped-call]
            self._pending = []
            self._pending_data_size = 0
        elif self._flush_queue is not None and not self._flush_queue.full():
            self._flush_queue.put_nowait(self._loop.create_future())

    def on_message(self, sid: bytes, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        """See :class:`Receiver`."""
        tap = self.taps.get(sid)
        if tap is None:
            self._put_off(lambda: self._process_msg(int(sid), subject, reply, data, headers))
            return
        try:
            tap(Message(subject.decode(), data, reply.decode(), headers))
        except UnicodeDecodeError:
            log.debug("a message to %r names a subject that is no text", subject)
        except Exception:
            log.exception("a subscription of %s failed", subject.decode())

    def on_line(self, line: bytes) -> None:
        """See :class:`Receiver`."""
        if line == b"PING":
            self.send_now(_PONG)
        elif line != b"+OK":
            self._put_off(lambda: self._handle_line(line))

    def _put_off(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            self._later.put_nowait(work)
        except asyncio.QueueFull:
            self.dropped += 1

    async def _read_loop(self) -> None:
        """nats-py starts this once a connection is made, and cancels it when it gives the connection up."""
        streams = self._transport
        if not isinstance(streams, TcpTransport):
            await super()._read_loop()  # over WebSocket
            return
        reader, writer = streams._io_reader, streams._io_writer
        if reader is None or writer is None:
            raise RuntimeError("nats-py reads from a connection it has not made")
        self._line = writer.transport
        wire = Wire(self, writer.transport.get_protocol())
        read_ahead = bytes(reader._buffer)  # type: ignore[attr-defined]
        reader._buffer.clear()  # type: ignore[attr-defined]
        writer.transport.set_protocol(wire)
        if reader.at_eof():
            wire.eof_received()
        if read_ahead:
            wire.data_received(read_ahead)
        later = asyncio.create_task(self._do_later(), name="nats-later")
        try:
            error = await wire.lost
        finally:
            self._line = None
            later.cancel()
        await self._process_op_err(error if isinstance(error, Exception) else nats.errors.UnexpectedEOF())

    async def _send_ping(self, future: asyncio.Future[Any] | None = None) -> None:
        self._flush_now()  # nats-py's PING would overtake it, and its PONG say that the server has seen it
        self._flush_now()  # what waited for one turn more
        await super()._send_ping(future)

    async def _connect_to_server(self, server: Any) -> None:
        # lost in the try before it, when the first connection has a time limit
        reconnecting.heed_cancellation(self._cancelled_before)
        await super()._connect_to_server(server)

    async def _attempt_reconnect(self) -> None:
        # what was not written yet is dropped: whoever asked asks somebody else while the line is down
        self._pending = []
        self._pending_data_size = 0
        self.abort()
        while True:
            try:
                await super()._attempt_reconnect()
                return
            except Exception as error:  # noqa: BLE001 - what is no NATS may answer anything, and NATS come back
                await self._error_cb(error)
                self._status = Client.RECONNECTING
                await asyncio.sleep(reconnecting.LONGEST_PAUSE * random.uniform(0.5, 1.0))

    def abort(self) -> None:
        """Leave the connection as it is: a server that reads nothing would hold its closing up."""
        streams = self._transport
        if isinstance(streams, TcpTransport) and streams._io_writer is not None:
            streams._io_writer.transport.abort()

    async def _do_later(self) -> None:
        """What is not for a tap, and has time: nats-py's own subscriptions, and lines other than PING."""
        while True:
            work = await self._later.get()
            try:
                await work()
            except asyncio.InvalidStateError:
                log.debug("the answer to a flush that nobody waits for any more")
            except Exception:
                log.exception("a message of NATS could not be handled")

    async def _handle_line(self, line: bytes) -> None:
        word, _, rest = line.partition(b" ")
        if word == b"PONG":
            await self._process_pong()
        elif word == b"-ERR":
            await reconnecting.refused(self, rest.decode("utf-8", "replace"))
        elif word == b"INFO":
            await self._process_info(orjson.loads(rest))
        else:
            await self._process_op_err(nats.errors.ProtocolError(f"unknown word {word[:40]!r}"))


class _NatsSubscription:
    def __init__(self, client: _TapClient, inner: Any, queue: str) -> None:
        self._client = client
        self._inner = inner
        self._queue = queue
        self._active = True

    async def unsubscribe(self) -> None:
        if not self._active:
            return
        self._active = False
        sid = b"%d" % self._inner._id
        try:
            if not self._client.is_closed:
                await self._inner.unsubscribe()
                if self._queue and self._client.is_connected:
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await self._client.flush()  # nobody else gets what is on its way here
        except (TimeoutError, OSError, nats.errors.Error) as error:
            log.info("a subscription ended without a last flush: %r", error)
        finally:
            self._client.taps.pop(sid, None)


class NatsTransport:
    """One connection, kept for ever: it reconnects with growing, jittered pauses."""

    def __init__(self, client: _TapClient, options: NatsOptions) -> None:
        self._client = client
        self._options = options
        self._disconnected: list[Callable[[], None]] = []
        self._reconnected: list[Callable[[], None]] = []
        self._up = asyncio.Event()
        self.problem = ""
        """What went wrong last; "" while all is well."""

    @property
    def connected(self) -> bool:
        # nats-py says so before the server has seen the subscriptions again
        return self._client.is_connected and self._up.is_set()

    @property
    def max_payload(self) -> int:
        return self._client.max_payload

    @property
    def client(self) -> Client:
        """The nats-py client, for JetStream and other uses off the token path."""
        return self._client

    def publish(self, subject: str, data: bytes, reply: str = "", header_block: bytes = b"") -> None:
        client = self._client
        if not client.is_connected:
            return
        size = len(data) + len(header_block)
        if size > client.max_payload:
            raise ValueError(f"a message of {size} bytes is over the server's limit of {client.max_payload}")
        if header_block:
            line = f"HPUB {subject} {reply} {len(header_block)} {size}\r\n"
            client.send_now(b"".join((line.encode(), header_block, data, b"\r\n")))
        else:
            client.send_now(b"".join((f"PUB {subject} {reply} {size}\r\n".encode(), data, b"\r\n")))

    def at_turn_end(self, callback: Callable[[], None]) -> None:
        self._client.at_turn_end(callback)

    async def subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        try:
            inner = await self._client.subscribe(subject, queue=queue, cb=_unused)
        except nats.errors.Error as error:
            raise DependencyDown(f"nothing can be heard on NATS at {self._options.url}: {error!r}") from error
        self._client.taps[b"%d" % inner._id] = callback
        return _NatsSubscription(self._client, inner, queue)

    async def flush(self, timeout: float = 5.0) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._client.flush()
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise DependencyDown(f"NATS at {self._options.url} does not answer: {error!r}") from error

    def on_disconnect(self, callback: Callable[[], None]) -> None:
        self._disconnected.append(callback)

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnected.append(callback)

    async def wait_connected(self, timeout: float) -> bool:
        if self.connected:
            return True
        if not self._client.is_connected:
            self._up.clear()  # nats-py tells of a loss a little later
        try:
            async with asyncio.timeout(timeout):
                await self._up.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        if self._client.is_connected:
            try:
                async with asyncio.timeout(2.0):
                    await self._client.flush()
            except (TimeoutError, OSError, nats.errors.Error) as error:
                log.warning("leaving without a last flush: %r", error)
                self._client.abort()
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await reconnecting.end(self._client)
                await self._client.close()
        except (TimeoutError, OSError) as error:
            log.warning("NATS was left unasked: %r", error)
            self._client.abort()

    async def _on_disconnected(self) -> None:
        self._up.clear()
        if not self._client.is_closed:
            log.warning("NATS is gone; reconnecting", extra={"nats_url": self._options.url})
        call_all(self._disconnected)

    async def _on_reconnected(self) -> None:
        self._up.set()
        self.problem = ""
        log.info("NATS is back", extra={"nats_url": self._options.url})
        call_all(self._reconnected)

    async def _on_error(self, error: Exception) -> None:
        text = str(error) or repr(error)
        # one line for each new trouble: an outage repeats the same one ten times a second
        log.log(logging.DEBUG if text == self.problem else logging.WARNING, "NATS: %s", text)
        self.problem = text


async def _unused(_: Any) -> None:
    """The callback nats-py asks for; a tap takes every message before it."""


async def connect(options: NatsOptions, patience: float | None = None) -> NatsTransport:
    """Connect, trying for `patience` seconds (None = for ever). Raises DependencyDown."""
    client = _TapClient()
    transport = NatsTransport(client, options)
    try:
        async with asyncio.timeout(patience):
            await client.connect(
                servers=[part.strip() for part in options.url.split(",")],
                nkeys_seed_str=options.seed or None,
                name=options.name or options.user,
                inbox_prefix=f"_INBOX.{options.user}".encode(),
                allow_reconnect=True,
                max_reconnect_attempts=-1,
                reconnect_time_wait=_FIRST_PAUSE,  # type: ignore[arg-type]  # only slept on; a whole second is long here
                connect_timeout=2,
                ping_interval=5,
                max_outstanding_pings=2,
                pending_size=PENDING_LIMIT,
                disconnected_cb=transport._on_disconnected,
                reconnected_cb=transport._on_reconnected,
                error_cb=transport._on_error,
                reconnect_to_server_handler=reconnecting.pause,
            )
    except (TimeoutError, OSError, nats.errors.Error) as error:
        raise DependencyDown(
            f"NATS at {options.url} cannot be reached as user {options.user!r}: {transport.problem or repr(error)}. "
            "Is it running, and is NATS_NKEY_SEED_FILE the seed of that user?"
        ) from error
    transport._up.set()
    transport.problem = ""
    return transport
