"""The file that recordings are written to: one block at a time, in a thread, in front of a bounded line."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO, Final

from caravan_bus.tasks import cancel_and_wait

from caravan_recorder import reading, writing
from caravan_recorder.errors import BadCassette
from caravan_recorder.making import made
from caravan_recorder.options import RecordOptions
from caravan_recorder.recording import Recording
from caravan_recorder.scrub import Scrubber
from caravan_recorder.tapes import Loss, Tape

log = logging.getLogger(__name__)

LINE: Final = 256
"""Recordings that may wait for the disk."""
_CLOSE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Written:
    """A recording that is in the file."""

    number: int
    recording: Recording
    size: int
    """Bytes of its lines."""


class Store:
    """One file. `written`, `lost` and `full` are called on the event loop; every tape is released in the end."""

    def __init__(
        self,
        options: RecordOptions,
        release: Callable[[Tape], None],
        written: Callable[[Written], None],
        lost: Callable[[Loss], None],
        full: Callable[[str], None],
    ) -> None:
        self._options = options
        self._scrubber = Scrubber(options.scrubs)
        self._release = release
        self._written = written
        self._lost = lost
        self._full = full
        self._line: asyncio.Queue[Tape] = asyncio.Queue(LINE)
        self._task: asyncio.Task[None] | None = None
        self._files = ExitStack()
        self._file: BinaryIO | None = None
        self._number = 0
        self._written_now = 0
        self._size = 0
        self._closed = False

    async def start(self) -> None:
        """Open the file. Raises BadCassette."""
        await asyncio.to_thread(self._open)
        self._task = asyncio.create_task(self._work(), name="cassette")

    def offer(self, tape: Tape) -> None:
        """Have a tape written."""
        try:
            if self._closed:
                raise asyncio.QueueFull
            self._line.put_nowait(tape)
        except asyncio.QueueFull:
            self._release(tape)
            self._lost(Loss.SLOW_DISK)

    async def close(self) -> None:
        """Write what waits, and close the file."""
        try:
            async with asyncio.timeout(_CLOSE_SECONDS):
                await self._line.join()
        except TimeoutError:
            log.warning("%d recordings could not be written in time", self._line.qsize())
        await cancel_and_wait(self._task)
        await asyncio.to_thread(self._files.close)

    def _open(self) -> None:
        options = self._options
        append = options.mode is writing.Mode.APPEND and options.cassette.exists()
        if append and options.cassette.stat().st_size:
            there = reading.read(options.cassette)
            if there.scrubs != self._scrubber.patterns:
                raise BadCassette(f"{options.cassette} was begun with other patterns of secrets: use the same")
            self._number = len(there.recordings)
        file = self._files.enter_context(writing.open_for(options.cassette, options.mode, self._scrubber.patterns))
        self._file, self._size = file, file.tell()

    async def _work(self) -> None:
        while True:
            tape = await self._line.get()
            try:
                if self._closed:
                    self._lost(Loss.SLOW_DISK)
                    continue
                result = await asyncio.to_thread(self._write, tape)
                if isinstance(result, Loss):
                    self._lost(result)
                elif isinstance(result, Written):
                    self._written(result)
                else:
                    self._closed = True
                    self._full(result)
            finally:
                self._release(tape)
                self._line.task_done()

    def _write(self, tape: Tape) -> Written | Loss | str:
        """In a thread: scrubbing and writing take their time, and frames must not wait. A text says why no more can be
        written."""
        limits = self._options.limits
        if 0 < limits.recordings <= self._written_now:
            return f"{self._written_now} recordings were wanted"
        recording = made(tape, self._scrubber)
        if isinstance(recording, Loss):
            return recording
        number = self._number + 1
        block = writing.block(recording, number)
        if self._size + len(block) > limits.disk_bytes:
            return f"the file has reached its limit of {limits.disk_bytes} bytes"
        if self._file is None:
            raise RuntimeError("write before start")
        try:
            self._file.write(block)
            self._file.flush()
        except OSError as error:
            return f"{self._options.cassette} cannot be written any more: {error.strerror}"
        self._number, self._size = number, self._size + len(block)
        self._written_now += 1
        return Written(number, recording, len(block))
