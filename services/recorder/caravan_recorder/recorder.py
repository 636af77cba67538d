"""What becomes of the tapes: written or counted, until there are enough."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from caravan_recorder.options import RecordOptions
from caravan_recorder.recording import Outcome
from caravan_recorder.store import Store, Written
from caravan_recorder.tapes import Loss, Tape, Tapes


@dataclass(slots=True)
class Tally:
    """Counts of one run."""

    written: Counter[Outcome] = field(default_factory=Counter)
    lost: Counter[Loss] = field(default_factory=Counter)
    size: int = 0
    """Bytes written."""

    @property
    def recordings(self) -> int:
        """All that is in the file."""
        return self.written.total()


class Recorder:
    """Ties tapes to the file. `enough` is set when no more is wanted; `why` then says why."""

    def __init__(self, options: RecordOptions, on_written: Callable[[Written], None] = lambda _: None) -> None:
        self._limits = options.limits
        self._on_written = on_written
        self.tally = Tally()
        self.enough = asyncio.Event()
        self.why = ""
        self.tapes = Tapes(options.limits, self._ended, self.lose)
        self.store = Store(options, self.tapes.release, self._written, self.lose, self._stop)

    def _ended(self, tape: Tape) -> None:
        self.store.offer(tape)

    def lose(self, loss: Loss) -> None:
        """Count something that is not in the file."""
        self.tally.lost[loss] += 1

    def _written(self, written: Written) -> None:
        self.tally.written[written.recording.outcome] += 1
        self.tally.size += written.size
        self._on_written(written)
        if 0 < self._limits.recordings <= self.tally.recordings:
            self._stop(f"{self.tally.recordings} recordings were wanted")

    def _stop(self, why: str) -> None:
        self.why = self.why or why
        self.enough.set()
