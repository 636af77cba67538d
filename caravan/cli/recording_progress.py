"""What ``caravan record`` shows while it listens: a live line on a terminal, a line per recording elsewhere."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer
from caravan_recorder.handlers import Tap
from caravan_recorder.recorder import Recorder
from caravan_recorder.store import Written

from caravan.cli import console

if TYPE_CHECKING:
    from rich.live import Live


class RecordingProgress:
    """A context manager around a run."""

    def __init__(self, cassette: Path) -> None:
        self._cassette = cassette
        self._console = console.err()
        self._recorder: Recorder | None = None
        self._tap: Tap | None = None
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def ready(self, recorder: Recorder, tap: Tap) -> None:
        """Listening has begun."""
        self._recorder, self._tap = recorder, tap
        typer.echo(f"Recording into {self._cassette}; Ctrl-C ends.", err=True)
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, transient=True, get_renderable=self._line, refresh_per_second=4)
            self._live.start()

    def written(self, written: Written) -> None:
        """One more is in the file."""
        recording = written.recording
        how = "stream" if recording.stream else "whole"
        text = (
            f"{written.number:>5}  {recording.verb:<11} {recording.shown_model}  {how}, {len(recording.answer)} bytes, "
            f"{recording.ms:.0f} ms  {recording.outcome.value}"
        )
        if self._live is not None:
            self._console.print(text, markup=False)
        else:
            typer.echo(text, err=True)

    def _line(self) -> str:
        recorder, tap = self._recorder, self._tap
        if recorder is None or tap is None:
            return ""
        tally = recorder.tally
        size = tally.size / 1024
        return (
            f"{tally.recordings} recorded, {size:.0f} KiB, {recorder.tapes.open} under way, "
            f"{tally.lost.total()} not recorded, {tap.callers.known} callers"
        )
