"""Who gets a request: the one place that chooses a worker, waits for a free one, and tries another.

A request goes to a worker with a free slot: the owner of its prompt's prefix first, otherwise as
:mod:`caravan_bus.choosing` says.
A worker answers at once (ACCEPT or BUSY); no answer in 250 ms means the next one. When all are full the request
waits in a bounded, fair line. Until the first byte reached the caller a lost worker costs nothing: the request
is sent again elsewhere.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from caravan_contracts import frames as f
from caravan_contracts import headers as h
from caravan_contracts import subjects as s
from caravan_contracts.context import RequestContext
from caravan_contracts.errors import (
    CaravanError,
    ClientGone,
    DeadlineExceeded,
    DependencyDown,
    InvalidRequest,
    Overloaded,
    StreamInterrupted,
    WorkerLost,
)
from caravan_contracts.inference import CallSpec, Summary

from caravan_bus import metrics
from caravan_bus.admission.options import RoutingOptions as RoutingOptions
from caravan_bus.admission.pace import Pace
from caravan_bus.admission.place import Place, Wish
from caravan_bus.admission.waiting import WaitingRoom
from caravan_bus.choosing import Refused, choose
from caravan_bus.presence import PresenceTable, WorkerEntry
from caravan_bus.stream.inbox import StreamInbox
from caravan_bus.stream.reader import Admission, Sink, StreamReader
from caravan_bus.transport import Transport, encode_headers

log = logging.getLogger(__name__)

_WINDOW = f.encode_window(f.DEFAULT_WINDOW, bundles=True)


_ALONE: Final = 4
_REFUSED = (Admission.BUSY, Admission.NOBODY)


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
    size: int = 0
    """Bytes that are kept for it in memory while it waits for a slot."""


class RoutedStream:
    """The answer to an :class:`Outbound`, whoever serves it. Read it to its end, or cancel it."""

    def __init__(self, router: Router, request: Outbound) -> None:
        self._router = router
        self._request = request
        self._reader: StreamReader | None = None
        self._entry: WorkerEntry | None = None
        self._begun = False
        self.attempts = 0
        self.since = 0.0
        """When it was sent to the worker that has it, on the monotonic clock; 0.0 once it ended well."""

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
                self._ended()
            return data

    async def pump(self, sink: Sink) -> bytes:
        """After a first :meth:`read`: give `sink` what comes, as it comes; returns the last of it after a good end.
        StreamInterrupted says that the stream cannot be finished."""
        if self._reader is None:
            raise RuntimeError("pump() before open()")
        try:
            last = await self._reader.pump(sink)
        except WorkerLost as error:
            raise StreamInterrupted(f"{error.message}; what was sent so far is incomplete") from error
        finally:
            self._release()
        self._ended()
        return last

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

    def leave(self) -> None:
        """Read no more, and leave it under way at its worker: somebody else goes on with it."""
        if self._reader is not None:
            self._reader.fail(ClientGone("this process leaves"))
        self._release()

    def _ended(self) -> None:
        """A good end, if it told its summary."""
        if self.since and self.summary is not None:
            spec, since = self._request.spec, self.since
            self.since = 0.0
            self._router._pace.note(spec.provider, spec.model, time.monotonic() - since)
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
        self._pace = Pace()
        self._room = WaitingRoom(transport, table, self.options, self._pace)
        table.on_gone.append(inbox.lose_worker)
        table.on_silent.append(inbox.doubt_worker)

    async def start(self) -> None:
        """Share slots with other processes that wait for them; without it this one acts alone."""
        await self._room.sharing.start()

    async def close(self) -> None:
        """Stop that."""
        await self._room.sharing.close()

    async def send(self, request: Outbound) -> RoutedStream:
        """Have `request` served; the stream is accepted when this returns."""
        stream = RoutedStream(self, request)
        await stream.open()
        return stream

    def waiting(self, provider: str) -> int:
        """Requests in line for `provider`."""
        return self._room.waiting(provider)

    def has_room(self, provider: str) -> bool:
        """Whether a request for `provider` would find a free slot at once."""
        return not self._room.must_wait(provider) and any(
            entry.free(provider) > 0 for entry in self._table.workers(provider)
        )

    async def _admit(self, request: Outbound, stream: RoutedStream) -> tuple[StreamReader, WorkerEntry]:
        provider = request.spec.provider
        refused: Refused = {}
        place: Place | None = None
        try:
            while request.context.remaining > 0:
                entry = None
                if place is None and not self._room.must_wait(provider):
                    entry = self._choose(request, refused)
                if entry is None:
                    place = place or self._room.enter(self._wish(request, refused, again=stream.worker != ""))
                    entry = await place.slot()
                stream.since = time.monotonic()
                reader = await self._try(request, entry)
                stream.attempts += reader.admission not in _REFUSED
                if reader.admission is Admission.ACCEPTED:
                    if place is not None:
                        place.leave()
                    return reader, entry
                if stream.attempts >= self.options.attempts:
                    raise Overloaded("no worker answered in time", retry_after=1)
                refused[entry.presence.worker] = entry.presence.seq
                if place is not None:
                    place.back()
            raise DeadlineExceeded("the request's time is over before a worker was free")
        except BaseException as error:  # a client that went away, too
            if place is not None:
                place.leave(error)
            raise

    def _wish(self, request: Outbound, refused: Refused, *, again: bool) -> Wish:
        return Wish(
            request.spec, request.context, request.size, partial(self._choose, request, refused), refused, again
        )

    def _choose(self, request: Outbound, refused: Refused) -> WorkerEntry | None:
        provider = request.spec.provider
        return choose(self._table.workers(provider), provider, request.affinity, refused)

    def _accept_timeout(self, provider: str) -> float:
        """A worker that is slow to answer is passed over for another one; when there is none it gets more time."""
        alone = len(self._table.workers(provider)) == 1
        return self.options.accept_timeout * (_ALONE if alone else 1)

    async def _try(self, request: Outbound, entry: WorkerEntry) -> StreamReader:
        """Send `request` to a worker; the reader's admission says what became of that. Only when it is ACCEPTED the
        worker's slot stays taken."""
        table, provider, context = self._table, request.spec.provider, request.context
        for line in (self._transport, self._inbox):  # a worker that cannot be heard would work in vain
            if line.connected:
                continue
            patience = max(0.0, min(self.options.reconnect_timeout, context.remaining))
            if not await line.wait_connected(patience):
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
            admission = await reader.admitted(self._accept_timeout(provider))
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
