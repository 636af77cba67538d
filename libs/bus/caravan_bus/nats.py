"""The bus over NATS: nats-py's client with a synchronous way in and out for the token path.

nats-py hands each message to a task through a queue and flushes through another: right for most uses, but it costs
more than a token frame itself. Here a subscription's callback runs inside the read loop, and publishing appends to
the client's pending list and wakes its flusher once per turn of the loop. Two private names of nats-py are used
(`_process_msg`, `_pending`); the contract tests hold both, and nats-py is pinned.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nats.errors
from caravan_contracts.errors import DependencyDown
from nats.aio.client import Client
from nats.aio.client import Server as NatsServer

from caravan_bus.transport import Callback, Message, Subscription

log = logging.getLogger(__name__)

PENDING_LIMIT = 32 * 1024 * 1024
"""Bytes waiting for a slow server before nats-py would block; the credit window keeps us far below."""
_FIRST_PAUSE = 0.1
_MAX_BACKOFF = 2.0


@dataclass(frozen=True, slots=True)
class NatsOptions:
    """How to connect. `seed` is the NKEY seed (``SU…``) of the bus user; "" only for a server without users."""

    url: str
    user: str
    seed: str = ""
    name: str = ""


class _TapClient(Client):
    """nats-py's client whose subscriptions in `taps` bypass its queues."""

    def __init__(self) -> None:
        super().__init__()
        self.taps: dict[int, Callback] = {}

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        tap = self.taps.get(sid)
        if tap is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        try:
            tap(Message(subject.decode(), data, reply.decode(), headers or b""))
        except Exception:
            # nats-py ends its read loop at an exception here, and with it every stream of the process
            log.exception("a subscription of %s failed", subject.decode())

    def send_now(self, command: bytes) -> None:
        self._pending.append(command)
        self._pending_data_size += len(command)
        queue = self._flush_queue
        if queue is not None and queue.empty():
            queue.put_nowait(asyncio.get_running_loop().create_future())


class _NatsSubscription:
    def __init__(self, client: _TapClient, inner: Any) -> None:
        self._client = client
        self._inner = inner

    async def unsubscribe(self) -> None:
        if self._client.taps.pop(self._inner._id, None) is None:
            return
        if self._client.is_connected and not self._client.is_draining:
            await self._inner.unsubscribe()


class NatsTransport:
    """One connection, kept for ever: it reconnects with growing, jittered pauses."""

    def __init__(self, client: _TapClient, options: NatsOptions) -> None:
        self._client = client
        self._options = options
        self._reconnected: list[Callable[[], None]] = []
        self._up = asyncio.Event()
        self.problem = ""
        """What went wrong last; "" while all is well."""

    @property
    def connected(self) -> bool:
        return self._client.is_connected

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

    async def subscribe(self, subject: str, callback: Callback, queue: str = "") -> Subscription:
        inner = await self._client.subscribe(subject, queue=queue, cb=_unused)
        self._client.taps[inner._id] = callback
        return _NatsSubscription(self._client, inner)

    async def flush(self, timeout: float = 5.0) -> None:
        try:
            await asyncio.wait_for(self._client.flush(), timeout)
        except (TimeoutError, OSError, nats.errors.Error) as error:
            raise DependencyDown(f"NATS at {self._options.url} does not answer: {error!r}") from error

    def on_reconnect(self, callback: Callable[[], None]) -> None:
        self._reconnected.append(callback)

    async def wait_connected(self, timeout: float) -> bool:
        if self._client.is_connected:
            return True
        try:
            await asyncio.wait_for(self._up.wait(), timeout)
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        if self._client.is_connected:
            try:
                await asyncio.wait_for(self._client.flush(), 2.0)
            except (TimeoutError, OSError, nats.errors.Error) as error:
                log.warning("leaving without a last flush: %r", error)
        await self._client.close()

    async def _on_disconnected(self) -> None:
        self._up.clear()
        if not self._client.is_closed:
            log.warning("NATS is gone; reconnecting", extra={"nats_url": self._options.url})

    async def _on_reconnected(self) -> None:
        self._up.set()
        self.problem = ""
        log.info("NATS is back", extra={"nats_url": self._options.url})
        for callback in self._reconnected:
            callback()

    async def _on_error(self, error: Exception) -> None:
        text = str(error) or repr(error)
        # one line for each new trouble: an outage repeats the same one ten times a second
        log.log(logging.DEBUG if text == self.problem else logging.WARNING, "NATS: %s", text)
        self.problem = text

    def _pause(self, servers: list[NatsServer], info: dict[str, Any]) -> tuple[NatsServer | None, float]:
        server = min(servers, key=lambda s: s.reconnects)
        pause = min(_MAX_BACKOFF, 0.05 * 2 ** min(server.reconnects, 6))
        return server, pause * random.uniform(0.5, 1.0)


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
                reconnect_to_server_handler=transport._pause,
            )
    except (TimeoutError, OSError, nats.errors.Error) as error:
        raise DependencyDown(
            f"NATS at {options.url} cannot be reached as user {options.user!r}: {transport.problem or repr(error)}. "
            "Is it running, and is NATS_NKEY_SEED_FILE the seed of that user?"
        ) from error
    transport._up.set()
    transport.problem = ""
    return transport
