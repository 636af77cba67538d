"""JetStream over a Transport: requests to its API, publishes with acknowledgement, pulls.

The protocol is NATS's own: ADR-1 (JSON API), ADR-13 (pull subscribers), ADR-15 (consumers), ADR-31 (direct get).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.errors import CaravanError, DependencyDown, Unavailable

from caravan_bus.transport import NO_HEADERS, Message, Subscription, Transport, encode_headers

ACK_SECONDS: Final = 5.0
NOT_FOUND: Final = 404
_FULL: Final = frozenset({10023, 10028, 10047, 10077})
"""err_code of a server or stream that takes no more: resources, memory, storage, its own bounds."""


class JetStreamError(CaravanError):
    """JetStream refused a request; `err_code` is its own number."""

    status = 500
    code = "jetstream_error"

    def __init__(self, message: str, status: int = 0, err_code: int = 0) -> None:
        super().__init__(message)
        self.reason = status
        self.err_code = err_code

    @property
    def full(self) -> bool:
        """Whether there is no room."""
        return self.err_code in _FULL


class JetStream:
    """One per process and connection. What it waits for comes to one inbox."""

    def __init__(self, transport: Transport, user: str, instance: str) -> None:
        self.transport = transport
        self._prefix = s.inbox_prefix(user, f"{instance}-js") + "."
        self._pending: dict[str, asyncio.Future[Message]] = {}
        # not from 0: what a process of the same name asked before it was started again may be answered now
        self._count = secrets.randbits(48)
        self._subscription: Subscription | None = None

    async def start(self) -> None:
        """Subscribe to the inbox."""
        if self._subscription is None:
            self._subscription = await self.transport.subscribe(self._prefix + "*", self._on_reply)

    async def close(self) -> None:
        """Leave; whoever still waits gets DependencyDown."""
        subscription, self._subscription = self._subscription, None
        if subscription is not None:
            await subscription.unsubscribe()
        for future in self._pending.values():
            _fail(future, "this process is shutting down")

    def inbox(self, name: str) -> str:
        """A prefix of inboxes of this process beside the one for replies."""
        return self._prefix[:-1] + f"-{name}"

    async def ask(self, verb: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request to JetStream's API. Raises JetStreamError with its reason, DependencyDown."""
        subject = f"{s.JETSTREAM_API}.{verb}"
        message = await self._wait(self._send(subject, orjson.dumps(body) if body is not None else b"", NO_HEADERS))
        return _read(message)

    async def get(self, stream: str, subject: str) -> bytes | None:
        """The last message that a stream keeps of `subject`; None when there is none."""
        message = await self._wait(self._send(f"{s.JETSTREAM_API}.DIRECT.GET.{stream}.{subject}", b"", NO_HEADERS))
        status = message.headers.get(h.STATUS, "")
        if status == str(NOT_FOUND):
            return None
        if status:
            raise Unavailable(f"{stream} cannot be read now: {message.headers.get('Description', status)}")
        return message.data

    async def publish(self, subject: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Publish and wait until a stream keeps it. Raises JetStreamError, Unavailable, DependencyDown."""
        await self.acknowledged(self.publish_now(subject, data, headers))

    def publish_now(self, subject: str, data: bytes, headers: Mapping[str, str]) -> asyncio.Future[Message]:
        """Publish before this returns; for :meth:`acknowledged`."""
        return self._send(subject, data, headers)

    async def acknowledged(self, future: asyncio.Future[Message]) -> None:
        """Wait until what was published is kept."""
        _read(await self._wait(future))

    def _send(self, subject: str, data: bytes, headers: Mapping[str, str]) -> asyncio.Future[Message]:
        self._count += 1
        number = format(self._count, "x")
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._pending[number] = future
        future.add_done_callback(lambda _: self._pending.pop(number, None))
        if not self.transport.connected:
            _fail(future, "the message bus cannot be reached")
            return future
        self.transport.publish(subject, data, self._prefix + number, encode_headers(headers) if headers else b"")
        return future

    async def _wait(self, future: asyncio.Future[Message]) -> Message:
        try:
            async with asyncio.timeout(ACK_SECONDS):
                message = await future
        except TimeoutError as error:
            raise DependencyDown("JetStream does not answer", retry_after=2) from error
        if message.no_responders:
            raise Unavailable("no stream listens there: is JetStream on, and do the workers run?", retry_after=2)
        return message

    def _on_reply(self, message: Message) -> None:
        future = self._pending.get(message.subject.rpartition(".")[2])
        if future is not None and not future.done():
            future.set_result(message)


def _fail(future: asyncio.Future[Message], why: str) -> None:
    if not future.done():
        future.set_exception(DependencyDown(why, retry_after=2))
        future.exception()  # somebody may have stopped waiting


def _read(message: Message) -> dict[str, Any]:
    try:
        data: dict[str, Any] = orjson.loads(message.data)
        refusal = data.get("error") or {}
    except (orjson.JSONDecodeError, AttributeError) as error:
        raise JetStreamError(f"JetStream answered something unreadable: {message.data[:100]!r}") from error
    if refusal:
        text = f"JetStream refused: {refusal.get('description', '')}"
        raise JetStreamError(text, refusal.get("code", 0), refusal.get("err_code", 0))
    return data
