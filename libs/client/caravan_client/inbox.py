"""All streams of a client under one wildcard inbox, and the workers that answer them.

A worker says in its first frame, and in a heartbeat each second, where it can be spoken to (the reply subject of those
frames). One that is silent for half a second is probed there: NATS itself says when nobody listens any more.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final

from caravan_bus.stream.reader import Admission, StreamReader
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport
from caravan_contracts import frames as f
from caravan_contracts import subjects as s
from caravan_contracts.errors import CaravanError, DeadlineExceeded, WorkerLost

PROBE_SECONDS: Final = 0.5
"""Silence of a worker after which it is probed."""
GONE_SECONDS: Final = 0.5
"""For how long probes must have found nobody: a worker whose own line broke for a moment is back before."""
SETTLE_SECONDS: Final = 3.0
"""After our own line came back: the workers' lines may need as long."""
SILENCE_SECONDS: Final = 3.0
"""Three missed heartbeats of a stream: it is asked for again, and after twice as long it is lost."""
_SWEEP: Final = 0.25
_PROBE: Final = "probe-"


class RelayLost(WorkerLost):
    """The worker that relayed the answer is gone. Another may be asked, if nothing of the answer has come."""


class _Worker:
    """One that has streams of ours."""

    __slots__ = ("heard", "nobody_since", "readers")

    def __init__(self) -> None:
        self.readers: set[StreamReader] = set()
        self.heard = 0.0
        self.nobody_since = 0.0


class ClientInbox:
    """One per client."""

    def __init__(self, transport: Transport, user: str, tenant: str, instance: str) -> None:
        self._transport = transport
        self._user = user
        self._tenant = tenant
        self._instance = instance
        self._prefix = s.inbox_prefix(user, instance) + "."
        self._skip = len(self._prefix)
        self._open: dict[str, StreamReader] = {}
        self._workers: dict[str, _Worker] = {}
        self._count = 0
        self._settled = 0.0
        self._subscription: Subscription | None = None
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Subscribe; streams may be opened from here on. Raises DependencyDown."""
        self._subscription = await self._transport.subscribe(self._prefix + "*", self._on_message)
        await self._transport.flush()
        self._transport.on_reconnect(self._reconnected)
        self._sweeper = asyncio.create_task(self._sweep(), name="caravan-client-sweep")

    async def close(self) -> None:
        """Give every open stream up and leave."""
        for reader in list(self._open.values()):
            reader.cancel()
        await cancel_and_wait(self._sweeper)
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    @property
    def open_streams(self) -> int:
        """How many are under way."""
        return len(self._open)

    def open(self, deadline: float) -> StreamReader:
        """A reader for a request about to be sent with ``reader.reply`` as its reply subject; `deadline` is on the
        monotonic clock."""
        self._count += 1
        number = s.stream_number(self._count)
        window = f.DEFAULT_WINDOW
        reader = StreamReader("", number, self._prefix + number, deadline, window, self._send_control, self._forget)
        self._open[number] = reader
        return reader

    def send_part(self, reader: StreamReader, number: int, part: bytes) -> None:
        """Part `number` of the body of a request that was accepted."""
        self._transport.publish(self._control(reader), f.encode(f.Control.BODY, number, part))

    def _on_message(self, message: Message) -> None:
        token = message.subject[self._skip :]
        reader = self._open.get(token)
        if reader is None:
            if token.startswith(_PROBE):
                self._probed(token[len(_PROBE) :], message)
            elif message.reply and not message.no_responders:
                self._stray(message.reply)
            return
        if message.reply and not reader.worker:
            self._met(reader, message.reply)
        reader.feed(message)

    def _met(self, reader: StreamReader, control: str) -> None:
        worker, _, user = s.foreign_control_parts(control)
        if worker and user == self._user:
            reader.worker = worker
            self._workers.setdefault(worker, _Worker()).readers.add(reader)

    def _stray(self, control: str) -> None:
        """A worker answers what was given up before it was known who would: tell it now."""
        if s.foreign_control_parts(control)[2] == self._user:
            self._transport.publish(control, f.encode(f.Control.CANCEL, 0))

    def _probed(self, name: str, message: Message) -> None:
        worker, now = self._workers.get(name), asyncio.get_running_loop().time()
        if worker is None or not message.no_responders or now < self._settled:
            return
        if not worker.nobody_since:
            worker.nobody_since = now
        elif now - worker.nobody_since >= GONE_SECONDS:
            for reader in list(worker.readers):
                reader.fail(RelayLost(f"worker {name} died while it served the request"))

    def _control(self, reader: StreamReader) -> str:
        return s.foreign_control(reader.worker, f"{self._instance}-{reader.number}", self._tenant, self._user)

    def _send_control(self, reader: StreamReader, kind: f.Control, seq: int) -> None:
        if reader.worker:
            self._transport.publish(self._control(reader), f.encode(kind, seq))

    def _forget(self, reader: StreamReader) -> None:
        self._open.pop(reader.number, None)
        worker = self._workers.get(reader.worker)
        if worker is not None:
            worker.readers.discard(reader)
            if not worker.readers:
                del self._workers[reader.worker]

    def _reconnected(self) -> None:
        now = asyncio.get_running_loop().time()
        self._settled = now + SETTLE_SECONDS
        for reader in list(self._open.values()):
            reader.heard = now
            reader.ask_again()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SWEEP)
            now, clock = loop.time(), time.monotonic()
            for reader in list(self._open.values()):
                if not self._transport.connected:
                    reader.heard = now  # nobody can be heard while the line is down
                late = _lateness(reader, now, clock)
                if late is not None:
                    reader.cancel_for(late)
                elif now - reader.heard > SILENCE_SECONDS:
                    reader.ask_again()
            for name, worker in list(self._workers.items()):
                self._look_after(name, worker, now)

    def _look_after(self, name: str, worker: _Worker, now: float) -> None:
        heard = max(reader.heard for reader in worker.readers)
        if heard > worker.heard:
            worker.heard, worker.nobody_since = heard, 0.0
        if now - heard > PROBE_SECONDS:
            subject = s.foreign_control(name, "probe", self._tenant, self._user)
            self._transport.publish(subject, b"", f"{self._prefix}{_PROBE}{name}")


def _lateness(reader: StreamReader, now: float, clock: float) -> CaravanError | None:
    if clock >= reader.deadline:
        return DeadlineExceeded("the request's time is over")
    if reader.admission is not Admission.WAITING and now - reader.heard > 2 * SILENCE_SECONDS:
        return RelayLost(f"worker {reader.worker} fell silent")
    return None
