"""One stream as its caller sees it: frames put in order, gaps asked for again, one end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol

import orjson
from caravan_contracts import frames as f
from caravan_contracts.errors import CaravanError, ClientGone, DeadlineExceeded
from caravan_contracts.inference import Summary

from caravan_bus.transport import Message

_DATA: Final = int(f.Kind.DATA)
_END: Final = int(f.Kind.END)
_ERROR: Final = int(f.Kind.ERROR)
_HEARTBEAT: Final = int(f.Kind.HEARTBEAT)
_ACCEPT: Final = int(f.Kind.ACCEPT)
_BUSY: Final = int(f.Kind.BUSY)


class Admission(Enum):
    """What became of a request at the worker it was sent to."""

    WAITING = auto()
    ACCEPTED = auto()
    BUSY = auto()
    NOBODY = auto()
    """Nobody subscribes to the worker's subject: it is gone, and nothing ran."""


class Sink(Protocol):
    """Where the data of a stream goes as it arrives, without a task being woken for it."""

    def take(self, data: bytes) -> bool:
        """Pass `data` on, at least one byte; False when nothing more may come before :meth:`room` returned."""
        ...

    async def room(self) -> None:
        """Wait until more may come."""
        ...


class StreamReader:
    """Frames of one request. Used by one task; made by :class:`caravan_bus.stream.inbox.StreamInbox`."""

    __slots__ = (
        "_asked_for",
        "_chunks",
        "_close",
        "_control",
        "_delivered",
        "_error",
        "_expected",
        "_full",
        "_loop",
        "_refused",
        "_sink",
        "_unacked",
        "_waiter",
        "_window",
        "admission",
        "deadline",
        "finished",
        "gaps",
        "heard",
        "number",
        "reply",
        "summary",
        "worker",
    )

    def __init__(
        self,
        worker: str,
        number: str,
        reply: str,
        deadline: float,
        window: int,
        control: Callable[[StreamReader, f.Control, int], None],
        close: Callable[[StreamReader], None],
    ) -> None:
        self.worker = worker
        self.number = number
        self.reply = reply
        self.deadline = deadline
        self.admission = Admission.WAITING
        self.finished = False
        self.summary: Summary | None = None
        self.gaps = 0
        self._window = window
        self._control = control
        self._close = close
        self._expected = 1
        self._asked_for = 0
        self._chunks: list[bytes] = []
        self._unacked = 0
        self._delivered = 0
        self._error: CaravanError | None = None
        self._sink: Sink | None = None
        self._full = False
        self._refused: Exception | None = None
        """What the sink raised."""
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self.heard = self._loop.time()

    @property
    def begun(self) -> bool:
        """Whether any frame of the answer came."""
        return self._expected > 1

    async def admitted(self, timeout: float) -> Admission:
        """Wait until the worker accepted or refused, at most `timeout` seconds (then still WAITING)."""
        if self.admission is Admission.WAITING and self._error is None:
            timer = self._loop.call_later(timeout, self._wake)
            try:
                await self._wait()
            finally:
                timer.cancel()
        return self.admission

    async def read(self) -> bytes:
        """Everything that is ready, at least one byte; b"" when the stream ended well (then see :attr:`summary`).

        Calling it again says that the bytes of the call before were passed on: that returns credit to the worker.
        Raises the worker's error, WorkerLost or DeadlineExceeded; what arrived before an error is returned first.
        """
        if self._delivered:
            size, self._delivered = self._delivered, 0
            self._passed_on(size)
        while True:
            if self._chunks:
                data = self._take_chunks()
                self._delivered = len(data)
                return data
            if self._error is not None:
                raise self._error
            if self.finished:
                return b""
            await self._wait()

    async def pump(self, sink: Sink) -> bytes:
        """Give `sink` all there is and all that comes; returns with the last of it, which `sink` did not get, when the
        stream ended well. Raises as :meth:`read` does, and what `sink` raised."""
        size, self._delivered = self._delivered, 0
        self._passed_on(size)
        self._sink = sink
        try:
            while True:
                if self._refused is not None:
                    raise self._refused
                if self._full:
                    await self._room(sink)
                    self._full = False
                if self.finished and self._error is None:
                    return self._take_chunks()
                if self._chunks:
                    self._give(sink, self._take_chunks())
                elif self._error is not None:
                    raise self._error
                else:
                    await self._wait()
        finally:
            self._sink = None

    async def _room(self, sink: Sink) -> None:
        """Wait for `sink`, no longer than the request has time: who takes nothing keeps nobody busy."""
        try:
            async with asyncio.timeout(max(0.0, self.deadline - time.monotonic())) as limit:
                await sink.room()
        except TimeoutError as error:
            if not limit.expired():
                raise
            late = DeadlineExceeded("the request's time is over")
            self.cancel_for(late)
            raise late from error

    def cancel(self) -> None:
        """Give the stream up: the worker stops its upstream. Harmless after the end."""
        self.cancel_for(ClientGone("the request was cancelled"))

    def cancel_for(self, error: CaravanError) -> None:
        """Give the stream up because of `error`, and tell the worker."""
        if not self.finished:
            self._control(self, f.Control.CANCEL, 0)
            self._finish(error)

    def fail(self, error: CaravanError) -> None:
        """End it from this side with `error`."""
        if not self.finished:
            self._finish(error)

    def ask_again(self) -> None:
        """Ask for everything after the last frame in order: after a reconnect, or when a gap shows."""
        if not self.finished and self.admission is not Admission.WAITING:
            self._control(self, f.Control.RESEND, self._expected - 1)

    def feed(self, message: Message) -> None:
        """One message for this stream, as the transport delivers it."""
        if message.no_responders and self.admission is Admission.WAITING:
            self.admission = Admission.NOBODY
            self._wake()
        else:
            try:
                kind, seq, payload = f.decode(message.data)
            except ValueError:
                return
            self.feed_frame(kind, seq, payload, self._loop.time())

    def feed_frame(self, kind: int, seq: int, payload: bytes, now: float) -> None:
        """One frame of this stream, heard at `now`."""
        self.heard = now
        if kind != _DATA and self._is_word(kind, seq):
            return
        if seq != self._expected:
            if seq > self._expected:
                self._gap(seq)
            return  # a frame we have already: the answer to a resend
        self._expected = seq + 1
        self._asked_for = 0
        self.admission = Admission.ACCEPTED
        if kind == _DATA:
            if not payload:
                return  # nothing is not the end: only an END frame is
            sink = self._sink
            if sink is not None and not self._full and not self._chunks:
                self._give(sink, payload)
            else:
                self._chunks.append(payload)
                self._wake()
        elif kind == _END:
            self._end(payload)
        elif kind == _ERROR:
            self._finish(CaravanError.from_wire(payload))

    def _is_word(self, kind: int, seq: int) -> bool:
        """Handle the frames that carry no number of their own; False for all others."""
        if kind == _HEARTBEAT:
            self._admit(Admission.ACCEPTED)
            if seq >= self._expected:
                self._gap(0)
        elif kind == _ACCEPT:
            self._admit(Admission.ACCEPTED)
        elif kind == _BUSY:
            self._admit(Admission.BUSY)
        else:
            return False
        return True

    def _admit(self, word: Admission) -> None:
        if self.admission is Admission.WAITING:
            self.admission = word
            self._wake()

    def _end(self, payload: bytes) -> None:
        try:
            summary, tail = f.decode_end(payload)
            self.summary = Summary.from_dict(orjson.loads(summary))
        except (ValueError, TypeError, AttributeError) as error:
            self._finish(CaravanError(f"a worker ended its stream with an unreadable summary: {error}"))
            return
        if tail:
            self._chunks.append(tail)
        self._finish(None)

    def _gap(self, seq: int) -> None:
        """Ask once per hole: `seq` is the first frame beyond it, 0 when a heartbeat showed it."""
        if self._asked_for == self._expected and seq:
            return
        self._asked_for = self._expected
        self.gaps += 1
        self._control(self, f.Control.RESEND, self._expected - 1)

    def _finish(self, error: CaravanError | None) -> None:
        self.finished = True
        self._error = error
        self._close(self)
        self._wake()

    def _give(self, sink: Sink, data: bytes) -> None:
        try:
            self._full = not sink.take(data)
        except Exception as error:  # noqa: BLE001  # pump() raises it
            self._refused, self._full = error, True
        if self._full:
            self._wake()
        self._passed_on(len(data))

    def _take_chunks(self) -> bytes:
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _passed_on(self, size: int) -> None:
        """Return credit to the worker, half a window at a time."""
        self._unacked += size
        if self._unacked * 2 >= self._window and not self.finished:
            self._unacked = 0
            self._control(self, f.Control.ACK, self._expected - 1)

    async def _wait(self) -> None:
        self._waiter = waiter = self._loop.create_future()
        try:
            await waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
