"""Requests and frames put together: one tape per reply inbox. No I/O and no clock of its own, so that it can be tested.

The same rules as the reader's (`caravan_bus.stream.reader`): frames are numbered, a number that is there already is a
resend, and only a stream whose numbers are all there up to its END or ERROR is whole.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from caravan_contracts import frames as f
from caravan_contracts.inference import CallSpec

from caravan_recorder.options import Limits

SILENCE_SECONDS: Final = 5.0
"""A worker says something each second while it serves: after so long without a word no end will come."""
GAP_SECONDS: Final = 5.0
"""How long a hole before the end of a stream may wait for its resend."""
_ORPHAN_SECONDS: Final = 1.0
_ORPHANS: Final = 512
_NUMBERED: Final = (f.Kind.DATA, f.Kind.ERROR, f.Kind.END)
_LAST: Final = (f.Kind.ERROR, f.Kind.END)


class Loss(StrEnum):
    """Why something that was heard is not in the file. The words are for a person."""

    BUSY = "refused by a busy worker (asked again elsewhere)"
    UNANSWERED = "without any answer"
    FILTERED = "filtered out"
    TOO_EARLY = "began before their caller was listened to"
    TOO_LARGE = "over the size of one recording"
    NO_MEMORY = "over the memory for all recordings"
    DAMAGED = "with frames missing"
    SLOW_DISK = "that could not be written fast enough"
    UNREADABLE = "not readable"
    SECRET = "with a secret spread over several tokens"  # noqa: S105 - words for a person


@dataclass(slots=True, eq=False)
class Tape:
    """One request and what has come of its answer."""

    reply: str
    verb: str
    spec: CallSpec
    tenant: str
    body: bytes
    began: float
    """Seconds, on the clock of whoever feeds the tapes."""
    at: datetime
    note: str = ""
    frames: dict[int, tuple[float, int, bytes]] = field(default_factory=dict)
    """Number -> (when, kind, payload); the first arrival counts."""
    last: int = 0
    """Number of the END or ERROR frame; 0 before it."""
    heard: float = 0.0
    size: int = 0
    waiting: bool = False
    """Whether its body is still being fetched; `size` has it already."""

    @property
    def whole(self) -> bool:
        """Whether every frame up to the end is there."""
        return 0 < self.last == len(self.frames)

    def in_order(self) -> Iterator[tuple[float, int, bytes]]:
        """Frames from the first to the last before a hole; a frame is never earlier than the one before it."""
        when = self.began
        for number in range(1, len(self.frames) + 1):
            if number not in self.frames:
                return
            time, kind, payload = self.frames[number]
            when = max(when, time)
            yield when, kind, payload


class Tapes:
    """All that is under way. `done` gets each tape that ended, `lost` each reason for which one did not count."""

    def __init__(self, limits: Limits, done: Callable[[Tape], None], lost: Callable[[Loss], None]) -> None:
        self._limits = limits
        self._done = done
        self._lost = lost
        self._open: dict[str, Tape] = {}
        self._orphans: OrderedDict[str, list[tuple[float, bytes]]] = OrderedDict()
        self.held = 0
        """Bytes in memory, those that wait for the disk included."""

    @property
    def open(self) -> int:
        """Answers under way."""
        return len(self._open)

    def callers(self) -> set[str]:
        """Prefixes of the inboxes at which answers are under way."""
        return {reply.rpartition(".")[0] for reply in self._open}

    def begin(self, tape: Tape) -> bool:
        """A request was heard; False when there is no room for it."""
        size = tape.size = tape.size or len(tape.body)
        if len(self._open) >= self._limits.open_streams or self.held + size > self._limits.memory_bytes:
            self._lost(Loss.NO_MEMORY)
            return False
        if size > self._limits.stream_bytes:
            self._lost(Loss.TOO_LARGE)
            return False
        tape.heard = tape.began
        self.held += size
        self._open[tape.reply] = tape
        for when, data in self._orphans.pop(tape.reply, ()):
            self.frame(tape.reply, data, when)
        return True

    def frame(self, reply: str, data: bytes, now: float) -> None:
        """A message at somebody's inbox."""
        if len(data) < f.HEADER_SIZE:
            return
        kind, number = data[0], int.from_bytes(data[1:5], "big")
        tape = self._open.get(reply)
        if tape is None:
            self._keep_orphan(reply, number, data, now)
            return
        tape.heard = now
        if kind == f.Kind.BUSY:
            self._drop(tape, Loss.BUSY)
        elif kind in _NUMBERED and number not in tape.frames:
            tape.frames[number] = (now, kind, data[f.HEADER_SIZE :])
            tape.size += len(data)
            self.held += len(data)
            if kind in _LAST:
                tape.last = number
            if tape.size > self._limits.stream_bytes:
                self._drop(tape, Loss.TOO_LARGE)
            elif self.held > self._limits.memory_bytes:
                self._drop(tape, Loss.NO_MEMORY)
            else:
                self._finish_if_whole(tape)

    def fetched(self, tape: Tape, body: bytes, note: str = "") -> None:
        """The body of a request that travelled apart is there, or `note` says why not."""
        tape.waiting, tape.body, tape.note = False, body, note
        if self._open.get(tape.reply) is tape:
            self._finish_if_whole(tape)

    def sweep(self, now: float) -> None:
        """End what will not end by itself."""
        for tape in list(self._open.values()):
            silence = now - tape.heard
            if tape.waiting:
                continue
            if tape.last and silence > GAP_SECONDS:
                self._drop(tape, Loss.DAMAGED)
            elif silence > SILENCE_SECONDS:
                self._give_up(tape, "no end came: its client left, or its worker died")
        while self._orphans and next(iter(self._orphans.values()))[0][0] < now - _ORPHAN_SECONDS:
            self._orphans.popitem(last=False)

    def caller_gone(self, prefix: str) -> None:
        """Nobody listens at `prefix` any more."""
        for tape in list(self._open.values()):
            if tape.reply.rpartition(".")[0] == prefix:
                self._give_up(tape, "its caller died")

    def line_broke(self) -> None:
        """Messages were missed: nothing that is under way can be trusted."""
        for tape in list(self._open.values()):
            self._drop(tape, Loss.DAMAGED)
        self._orphans.clear()

    def stop(self) -> None:
        """Recording is over."""
        for tape in list(self._open.values()):
            self._give_up(tape, "recording was stopped")

    def release(self, tape: Tape) -> None:
        """A finished tape is written, or thrown away."""
        self.held -= tape.size

    def _finish_if_whole(self, tape: Tape) -> None:
        if tape.whole and not tape.waiting:
            del self._open[tape.reply]
            self._done(tape)

    def _give_up(self, tape: Tape, note: str) -> None:
        if not tape.frames:
            self._drop(tape, Loss.UNANSWERED)
            return
        del self._open[tape.reply]
        tape.note = note
        tape.last = 0
        self._done(tape)

    def _drop(self, tape: Tape, loss: Loss) -> None:
        del self._open[tape.reply]
        self.release(tape)
        self._lost(loss)

    def _keep_orphan(self, reply: str, number: int, data: bytes, now: float) -> None:
        """In a cluster an answer may overtake its request, by a moment; later frames of others are no orphans."""
        if reply in self._orphans:
            self._orphans[reply].append((now, data))
        elif number <= 1 and len(self._orphans) < _ORPHANS:
            self._orphans[reply] = [(now, data)]
