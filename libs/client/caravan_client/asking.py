"""One request: published, read to its end, sent again when its worker dies before it has said anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from caravan_bus.stream.reader import Admission, StreamReader
from caravan_bus.transport import Transport, encode_headers
from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts.errors import CaravanError, DeadlineExceeded, NoWorker, Overloaded, StreamInterrupted

from caravan_client.errors import APIConnectionError
from caravan_client.inbox import ClientInbox, RelayLost

ATTEMPTS: Final = 4
ACCEPT_SECONDS: Final = 1.0
"""A worker says that it has heard a request at once; one that does not is passed over."""
NO_WORKER_SECONDS: Final = 3.0
"""How long to wait for a first worker to appear: one that is being restarted is back by then."""
RECONNECT_SECONDS: Final = 5.0
_ENVELOPE: Final = 16 * 1024
"""Room for headers in a message."""
_PARTS_AT_ONCE: Final = 4
_WINDOW: Final = f.encode_window(f.DEFAULT_WINDOW, bundles=False)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked."""

    subject: str
    body: bytes
    headers: Mapping[str, str]
    request_id: str
    deadline: float
    """On the monotonic clock: when the answer must be complete."""
    patience: float
    """Seconds to wait for the next bytes of the answer."""


Connect = Callable[[], Awaitable[tuple[Transport, ClientInbox]]]
"""The connection to ask over."""


class Asking:
    """The answer to a :class:`Request`. Read it to its end, or cancel it."""

    def __init__(self, connect: Connect, request: Request) -> None:
        self._connect = connect
        self.request = request
        self.attempts = 0
        self.begun = False
        """Whether anything of the answer has come."""
        self._reader: StreamReader | None = None

    @property
    def _service(self) -> str:
        return self.request.subject.split(".")[2]

    def again(self, headers: Mapping[str, str], body: bytes) -> Asking:
        """The same request, with more headers and another body, until the same time."""
        return Asking(self._connect, replace(self.request, headers={**self.request.headers, **headers}, body=body))

    @property
    def over(self) -> bool:
        """Whether nothing more will come."""
        return self._reader is not None and self._reader.finished

    async def open(self) -> None:
        """Find a worker that takes it. Raises APIConnectionError, NoWorker, Overloaded, DeadlineExceeded."""
        transport, inbox = await self._connect()
        began, pause = time.monotonic(), 0.05
        while True:
            self.attempts += 1
            reader = await self._send(transport, inbox)
            try:
                admission = await reader.admitted(ACCEPT_SECONDS)
                if admission is Admission.ACCEPTED:
                    await self._send_body(transport, inbox, reader)
                    self._reader = reader
                    return
            except BaseException:
                reader.cancel()
                raise
            reader.cancel()
            if admission is Admission.NOBODY:
                if time.monotonic() - began > NO_WORKER_SECONDS:
                    raise NoWorker(f"no {self._service} worker is running; start one, or look at `caravan status`")
                self.attempts -= 1
            elif time.monotonic() >= self.request.deadline:
                raise DeadlineExceeded("the request's time is over")
            elif self.attempts >= ATTEMPTS:
                raise Overloaded(f"no {self._service} worker takes the request at the moment", retry_after=1)
            await asyncio.sleep(pause)
            pause = min(0.5, pause * 2)

    async def read(self) -> bytes:
        """What is ready, at least one byte; b"" after a good end. A worker lost before the first byte is replaced;
        afterwards StreamInterrupted says that the answer cannot be finished."""
        while True:
            reader = self._reader
            if reader is None:
                raise RuntimeError("read() before open()")
            try:
                async with asyncio.timeout(self.request.patience):
                    data = await reader.read()
            except CaravanError as error:
                reader.cancel()
                if not relay_lost(error):
                    raise
                if self.begun:
                    raise StreamInterrupted(f"{error.message}; what was sent so far is incomplete") from error
                if self.attempts >= ATTEMPTS:
                    raise
                await self.open()
                continue
            except TimeoutError as error:
                reader.cancel()
                raise DeadlineExceeded("the next bytes of the answer took too long") from error
            except BaseException:
                reader.cancel()
                raise
            if data:
                self.begun = True
            return data

    async def read_all(self) -> bytes:
        """The whole answer. Only a complete one is returned: a worker lost half way is replaced, since nothing has
        reached the caller."""
        while True:
            parts: list[bytes] = []
            try:
                while data := await self.read():
                    parts.append(data)
                return parts[0] if len(parts) == 1 else b"".join(parts)
            except StreamInterrupted as error:
                if self.attempts >= ATTEMPTS or not relay_lost(error.__cause__):
                    raise
                self.begun = False
                await self.open()

    def cancel(self) -> None:
        """Give it up: the worker stops its upstream. Harmless at any time."""
        if self._reader is not None:
            self._reader.cancel()

    async def _send(self, transport: Transport, inbox: ClientInbox) -> StreamReader:
        request = self.request
        left = request.deadline - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the request's time is over")
        if not transport.connected and not await transport.wait_connected(min(left, RECONNECT_SECONDS)):
            raise APIConnectionError("the message bus cannot be reached", request_id=request.request_id)
        headers = dict(request.headers)
        headers[h.WINDOW] = _WINDOW
        headers[h.DEADLINE_MS] = str(max(1, int(left * 1000)))
        if self.attempts > 1 and h.RESPONSE in headers:
            headers.setdefault(h.AFTER, "0")  # whoever was asked before may have begun it
        body = request.body
        if not _fits(body, transport):
            headers[h.BODY_SIZE] = str(len(body))
            body = b""
        reader = inbox.open(request.deadline)
        try:
            transport.publish(request.subject, body, reader.reply, encode_headers(headers))
        except ValueError as error:
            reader.cancel()
            raise CaravanError(str(error)) from error
        return reader

    async def _send_body(self, transport: Transport, inbox: ClientInbox, reader: StreamReader) -> None:
        """The body of a request that is larger than a message, in parts."""
        body = self.request.body
        if _fits(body, transport) or not reader.worker:
            return  # with no worker known the first word was an error
        size = min(f.MAX_DATA, transport.max_payload - _ENVELOPE)
        for number, start in enumerate(range(0, len(body), size), 1):
            inbox.send_part(reader, number, body[start : start + size])
            if number % _PARTS_AT_ONCE == 0:
                await transport.flush()


def relay_lost(error: BaseException | None) -> bool:
    """Whether `error` is only of the worker that relayed the answer, and the request may have another."""
    return isinstance(error, RelayLost) or (isinstance(error, CaravanError) and error.code == f.SHUTDOWN)


def _fits(body: bytes, transport: Transport) -> bool:
    return len(body) <= transport.max_payload - _ENVELOPE
