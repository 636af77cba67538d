"""Who gets a request: the one place that chooses a worker, waits for a free one, and tries another.

A request goes to a worker with a free slot: the owner of its prompt's prefix first, otherwise as
:mod:`caravan_bus.choosing` says.
A worker answers at once (ACCEPT or BUSY); no answer in 250 ms means the next one. When all are full the request
waits in a bounded, fair line. Until the first byte reached the caller a lost worker costs nothing: the request
is sent again elsewhere.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from dataclasses import dataclass, field
from itertools import islice

from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    DeadlineExceeded,
    DependencyDown,
    InvalidRequest,
    NoWorker,
    Overloaded,
    StreamInterrupted,
    WorkerLost,
)
from caravan_contracts.inference import CallSpec, Summary

from caravan_bus import metrics
from caravan_bus.choosing import Refused, choose
from caravan_bus.presence import PresenceTable, WorkerEntry
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.reader import Admission, Sink, StreamReader
from caravan_bus.transport import Transport, encode_headers

log = logging.getLogger(__name__)

_WINDOW = f.encode_window(f.DEFAULT_WINDOW, bundles=True)


_REFUSED = (Admission.BUSY, Admission.NOBODY)


@dataclass(frozen=True, slots=True)
class RoutingOptions:
    """Bounds, in seconds and requests."""

    accept_timeout: float = 0.25
    queue_limit: int = 1024
    """Requests that may wait per provider."""
    queue_timeout: float = 30.0
    no_worker_timeout: float = 3.0
    """How long to wait for a first worker to appear: one that is being restarted is back by then."""
    reconnect_timeout: float = 5.0
    attempts: int = 4


@dataclass(slots=True)
class Outbound:
    """A request on its way to some worker."""

    service: str
    verb: str
    spec: CallSpec
    body: bytes
    context: RequestContext
    affinity: bytes = b""
    """What the prompt begins with, for engines that keep a prefix cache; b"" when it does not matter."""
    extra: dict[str, str] = field(default_factory=dict)
    """More headers: provider keys, the claim of a big body."""


class RoutedStream:
    """The answer to an :class:`Outbound`, whoever serves it. Read it to its end, or cancel it."""

    def __init__(self, router: Router, request: Outbound) -> None:
        self._router = router
        self._request = request
        self._reader: StreamReader | None = None
        self._entry: WorkerEntry | None = None
        self._begun = False
        self.attempts = 0

    @property
    def summary(self) -> Summary | None:
        """What the worker's END frame told; None before the end."""
        return self._reader.summary if self._reader is not None else None

    @property
    def worker(self) -> str:
        """Who serves it."""
        return self._reader.worker if self._reader is not None else ""

    async def open(self) -> None:
        """Find a worker that accepts. Raises NoWorker, Overloaded, DeadlineExceeded, DependencyDown."""
        self._reader, self._entry = await self._router._admit(self._request, self)

    async def read(self) -> bytes:
        """What is ready, at least one byte; b"" after a good end. A worker lost before the first byte is replaced;
        afterwards StreamInterrupted says that the stream cannot be finished."""
        while True:
            reader = self._reader
            if reader is None:
                raise RuntimeError("read() before open()")
            try:
                data = await reader.read()
            except WorkerLost as error:
                self._release()
                if self._begun:
                    raise StreamInterrupted(f"{error.message}; what was sent so far is incomplete") from error
                if self.attempts >= self._router.options.attempts:
                    raise
                log.info(
                    "sending a request again: %s",
                    error.message,
                    extra={"worker": reader.worker},
                )
                metrics.RETRIES.inc()
                await self.open()
                continue
            except BaseException:
                self._release()
                raise
            if data:
                self._begun = True
            if reader.finished:
                self._release()
            return data

    async def pump(self, sink: Sink) -> bytes:
        """After a first :meth:`read`: give `sink` what comes, as it comes; returns the last of it after a good end.
        StreamInterrupted says that the stream cannot be finished."""
        if self._reader is None:
            raise RuntimeError("pump() before open()")
        try:
            return await self._reader.pump(sink)
        except WorkerLost as error:
            raise StreamInterrupted(f"{error.message}; what was sent so far is incomplete") from error
        finally:
            self._release()

    async def read_all(self, limit: int) -> bytes:
        """The whole answer, at most `limit` bytes. Only a complete one is returned: a worker lost half way is
        replaced, since nothing has reached the caller."""
        while True:
            parts: list[bytes] = []
            size = 0
            try:
                while data := await self.read():
                    parts.append(data)
                    size += len(data)
                    if size > limit:
                        self.cancel()
                        raise CaravanError(
                            f"the answer is larger than {limit} bytes",
                            code="response_too_large",
                        )
                return parts[0] if len(parts) == 1 else b"".join(parts)
            except StreamInterrupted:
                if self.attempts >= self._router.options.attempts:
                    raise
                metrics.RETRIES.inc()
                self._begun = False
                await self.open()

    def cancel(self) -> None:
        """Give it up; harmless at any time."""
        if self._reader is not None:
            self._reader.cancel()
        self._release()

    def _release(self) -> None:
        if self._entry is not None:
            entry, self._entry = self._entry, None
            self._router._table.give_back(entry, self._request.spec.provider)


class Router:
    """One per process."""

    def __init__(
        self,
        transport: Transport,
        inbox: StreamInbox,
        table: PresenceTable,
        options: RoutingOptions | None = None,
    ) -> None:
        self._transport = transport
        self._inbox = inbox
        self._table = table
        self.options = options or RoutingOptions()
        self._lines: dict[str, deque[asyncio.Event]] = {}
        table.on_free.append(self._wake)
        table.on_gone.append(inbox.lose_worker)
        table.on_silent.append(inbox.doubt_worker)

    async def send(self, request: Outbound) -> RoutedStream:
        """Have `request` served; the stream is accepted when this returns."""
        stream = RoutedStream(self, request)
        await stream.open()
        return stream

    def waiting(self, provider: str) -> int:
        """Requests in line for `provider`."""
        return len(self._lines.get(provider, ()))

    def has_room(self, provider: str) -> bool:
        """Whether a request for `provider` would find a free slot at once."""
        return not self.waiting(provider) and any(entry.free(provider) > 0 for entry in self._table.workers(provider))

    async def _admit(self, request: Outbound, stream: RoutedStream) -> tuple[StreamReader, WorkerEntry]:
        provider = request.spec.provider
        refused: Refused = {}
        began = time.monotonic()
        while True:
            if request.context.remaining <= 0:
                raise DeadlineExceeded("the request's time is over before a worker was free")
            entry = (
                None
                if self.waiting(provider)
                else choose(self._table.workers(provider), provider, request.affinity, refused)
            )
            if entry is None:
                entry = await self._in_line(request, refused, began)
            reader = await self._try(request, entry)
            if reader.admission not in _REFUSED:
                stream.attempts += 1
                if reader.admission is Admission.ACCEPTED:
                    return reader, entry
                if stream.attempts >= self.options.attempts:
                    raise Overloaded("no worker answered in time", retry_after=1)
            refused[entry.presence.worker] = entry.presence.seq

    async def _try(self, request: Outbound, entry: WorkerEntry) -> StreamReader:
        """Send `request` to a worker; the reader's admission says what became of that. Only when it is ACCEPTED the
        worker's slot stays taken."""
        table, provider, context = self._table, request.spec.provider, request.context
        for line in (self._transport, self._inbox):  # a worker that cannot be heard would work in vain
            if not line.connected and not await line.wait_connected(self.options.reconnect_timeout):
                raise DependencyDown("the message bus cannot be reached; try again shortly", retry_after=2)
        worker = entry.presence.worker
        reader = self._inbox.open(worker, context.deadline)
        table.take(entry, provider)
        try:
            headers = context.to_headers()
            headers[h.CALL] = request.spec.encode()
            headers[h.WINDOW] = _WINDOW
            if request.extra:
                headers.update(request.extra)
            subject = s.at_worker(request.service, worker, request.verb)
            self._transport.publish(subject, request.body, reader.reply, encode_headers(headers))
            admission = await reader.admitted(self.options.accept_timeout)
        except BaseException as error:
            reader.cancel()
            table.give_back(entry, provider)
            if isinstance(error, ValueError):  # too large, or a line break in a header
                raise InvalidRequest(f"the request cannot be sent: {error}") from error
            raise
        if admission is Admission.ACCEPTED:
            return reader
        table.give_back(entry, provider)
        if admission is Admission.NOBODY:
            reader.fail(WorkerLost(f"worker {worker} is gone"))
            table.nobody(worker)
        elif admission is Admission.BUSY:
            reader.fail(Overloaded(f"worker {worker} is busy"))
            table.full(entry, provider)
        else:
            log.warning(
                "worker %s did not answer in %.2f s",
                worker,
                self.options.accept_timeout,
            )
            reader.cancel()
            table.full(entry, provider)
        return reader

    async def _in_line(self, request: Outbound, refused: Refused, began: float) -> WorkerEntry:
        """Wait for a worker with a free slot, in order of arrival."""
        provider = request.spec.provider
        line = self._lines.get(provider)
        if line is None:
            line = self._lines[provider] = deque()
        if len(line) >= self.options.queue_limit:
            raise Overloaded(
                f"all workers of provider {provider!r} are busy and {len(line)} requests wait already",
                retry_after=1,
            )
        turn = asyncio.Event()
        line.append(turn)
        metrics.QUEUE_DEPTH.labels(provider).set(len(line))
        try:
            while True:
                if line[0] is turn or turn.is_set():
                    entry = choose(self._table.workers(provider), provider, request.affinity, refused)
                    if entry is not None:
                        metrics.QUEUE_WAIT.labels(provider).observe(time.monotonic() - began)
                        return entry
                self._raise_waited(request, began)
                turn.clear()
                try:
                    async with asyncio.timeout(self._patience(request, began)):
                        await turn.wait()
                except TimeoutError:
                    refused.clear()
        finally:
            line.remove(turn)
            metrics.QUEUE_DEPTH.labels(provider).set(len(line))
            if not line:
                del self._lines[provider]
            self._wake()

    def _patience(self, request: Outbound, began: float) -> float:
        any_worker = bool(self._table.workers(request.spec.provider))
        limit = self.options.queue_timeout if any_worker else self.options.no_worker_timeout
        left = min(began + limit - time.monotonic(), request.context.remaining)
        # a worker that said BUSY or nothing is asked again after a while even if no heartbeat came
        return max(0.001, min(left, 1.0))

    def _raise_waited(self, request: Outbound, began: float) -> None:
        waited, provider = time.monotonic() - began, request.spec.provider
        if request.context.remaining <= 0:
            raise DeadlineExceeded("the request's time is over before a worker was free")
        if not self._table.workers(provider):
            if waited >= self.options.no_worker_timeout:
                raise NoWorker(
                    f"no worker serves provider {provider!r} at the moment; start one, or look at `caravan status`",
                    retry_after=5,
                )
        elif waited >= self.options.queue_timeout:
            raise Overloaded(
                f"all workers of provider {provider!r} stayed busy for {waited:.0f} s",
                retry_after=2,
            )

    def _wake(self) -> None:
        """Let as many go ahead as there are free slots."""
        for provider, line in self._lines.items():
            if line:
                free = sum(max(0, entry.free(provider)) for entry in self._table.workers(provider))
                for turn in islice(line, free):
                    turn.set()
