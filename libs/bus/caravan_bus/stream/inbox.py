"""All streams of a caller under one wildcard inbox: one subscription, one dictionary look-up per frame."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from typing import Final

from caravan_contracts import frames as f
from caravan_contracts import subjects as s
from caravan_contracts.errors import DeadlineExceeded, DependencyDown, WorkerLost

from caravan_bus.stream.reader import Admission, StreamReader
from caravan_bus.tasks import cancel_and_wait
from caravan_bus.transport import Message, Subscription, Transport

log = logging.getLogger(__name__)

SILENCE_SECONDS = 3.0
"""Three missed heartbeats: the stream is asked for again, and after twice as long it is lost."""
_SWEEP_SECONDS = 0.25
_LAST_SECONDS = 2.0
_HEARTBEAT: Final = bytes([f.Kind.HEARTBEAT])
_CANCEL: Final = f.encode(f.Control.CANCEL, 0)


class StreamInbox:
    """The receiving end of a process.

    `tokens` carries nothing but frames, so that a big body on `control` does not stand in front of a token.
    """

    def __init__(self, tokens: Transport, control: Transport, user: str, instance: str) -> None:
        self._tokens = tokens
        self._control_line = control
        self._instance = instance
        self._prefix = s.inbox_prefix(user, instance) + "."
        self._bundle = s.bundle_inbox(s.inbox_prefix(user, instance))
        self._skip = len(self._prefix)
        self._open: dict[int, StreamReader] = {}
        # not from 1: a process that was started again under the same name must not get its predecessor's frames
        self._first = self._count = secrets.randbits(48)
        self._losing: set[asyncio.Task[None]] = set()
        self._subscription: Subscription | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.gaps = 0

    async def start(self) -> None:
        """Subscribe; streams may be opened from here on."""
        self._subscription = await self._tokens.subscribe(self._prefix + "*", self._on_message)
        await self._tokens.flush()
        self._tokens.on_reconnect(self._ask_again)
        self._control_line.on_reconnect(self._ask_again)
        self._sweeper = asyncio.create_task(self._sweep(), name="stream-sweep")

    async def close(self) -> None:
        """Cancel every open stream and leave."""
        for reader in list(self._open.values()):
            reader.cancel()
        for task in (self._sweeper, *self._losing):
            await cancel_and_wait(task)
        if self._subscription is not None:
            await self._subscription.unsubscribe()

    @property
    def open_streams(self) -> int:
        """How many streams are under way."""
        return len(self._open)

    @property
    def opened(self) -> int:
        """How many were opened since the start."""
        return self._count - self._first

    @property
    def connected(self) -> bool:
        """Whether frames would arrive now."""
        return self._tokens.connected

    async def wait_connected(self, timeout: float) -> bool:
        """Wait until frames would arrive; False when `timeout` seconds were not enough."""
        return await self._tokens.wait_connected(timeout)

    def open(self, worker: str, deadline: float, window: int = f.DEFAULT_WINDOW) -> StreamReader:
        """A reader for a request about to be sent to `worker` with ``reader.reply`` as its reply subject."""
        self._count += 1
        number = s.stream_number(self._count)
        reader = StreamReader(
            worker,
            number,
            self._prefix + number,
            deadline,
            window,
            self._send_control,
            self._forget,
        )
        self._open[self._count] = reader
        return reader

    def lose_worker(self, worker: str) -> None:
        """A worker is known to be gone: end its streams, once all that it sent has arrived."""
        task = asyncio.create_task(self._lose(worker), name=f"lose-{worker}")
        self._losing.add(task)
        task.add_done_callback(self._losing.discard)

    def doubt_worker(self, worker: str) -> None:
        """A worker fell silent: what it has not begun is better asked of another. What it has begun may go on."""
        for reader in list(self._open.values()):
            if reader.worker == worker and not reader.begun:
                reader.cancel_for(WorkerLost(f"worker {worker} fell silent"))

    async def _lose(self, worker: str) -> None:
        try:
            # that it is gone was heard on the other line, maybe before its last frames on this one
            await self._tokens.flush(_LAST_SECONDS)
        except DependencyDown as error:
            log.info("whether all frames of a worker came is seen later: %s", error.message)
            return  # its streams end by their silence
        for reader in list(self._open.values()):
            if reader.worker == worker:
                reader.cancel_for(WorkerLost(f"worker {worker} died while it served the request"))

    def _on_message(self, message: Message) -> None:
        subject = message.subject
        if subject == self._bundle:
            readers, now = self._open, asyncio.get_running_loop().time()
            try:
                for number, kind, seq, payload in f.frames_of(message.data):
                    reader = readers.get(number)
                    if reader is not None:
                        reader.feed_frame(kind, seq, payload, now)
            except ValueError as error:
                log.warning("a bundle of frames could not be read: %s", error)
            return
        try:
            reader = self._open.get(int(subject[self._skip :], 16))
        except ValueError:
            return  # somebody's stray message
        if reader is not None:
            reader.feed(message)
        elif message.reply:
            self._stray(message)

    def _stray(self, message: Message) -> None:
        """A worker looks whether anybody reads a stream that was given up here; the word for it was lost."""
        worker = s.prober_of(message.reply)
        if worker and message.data[:1] == _HEARTBEAT:
            self._control_line.publish(s.control(worker, s.stream_of(message.subject)), _CANCEL)

    def _send_control(self, reader: StreamReader, kind: f.Control, seq: int) -> None:
        if kind is f.Control.RESEND:
            self.gaps += 1
        subject = s.control(reader.worker, f"{self._instance}-{reader.number}")
        self._control_line.publish(subject, f.encode(kind, seq))

    def _forget(self, reader: StreamReader) -> None:
        self._open.pop(int(reader.number, 16), None)

    def _ask_again(self) -> None:
        for reader in self._open.values():
            reader.heard = asyncio.get_running_loop().time()
            reader.ask_again()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        while True:
            before = now
            await asyncio.sleep(_SWEEP_SECONDS)
            now = loop.time()
            stalled = now - before - _SWEEP_SECONDS
            if stalled > _SWEEP_SECONDS:
                for reader in self._open.values():
                    reader.heard += stalled  # this process did not listen
            if not (self._tokens.connected and self._control_line.connected):
                for reader in self._open.values():
                    reader.heard = now  # nobody can be heard while the line is down
            for reader in list(self._open.values()):
                _look_after(reader, now)


def _look_after(reader: StreamReader, now: float) -> None:
    silence = now - reader.heard
    if time.monotonic() >= reader.deadline:
        reader.cancel_for(DeadlineExceeded("the request's time is over"))
    elif reader.admission is Admission.WAITING:
        return  # whoever sent the request waits for that
    elif silence > 2 * SILENCE_SECONDS:
        reader.cancel_for(WorkerLost(f"worker {reader.worker} fell silent"))
    elif silence > SILENCE_SECONDS:
        reader.ask_again()
