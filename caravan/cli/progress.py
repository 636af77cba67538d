"""Progress of a start: a live line per child on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

from caravan.cli import console
from caravan.cli.events import Event

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Progress:
    """A context manager around the start; call it with each event."""

    def __init__(self) -> None:
        self._console = console.err()
        self._live: Live | None = None
        self._began: dict[str, float] = {}
        self._done: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            from rich.live import Live

            self._live = Live(console=self._console, transient=True, get_renderable=self._render, refresh_per_second=12)
            self._live.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._live:
            self._live.stop()
            self._live = None

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if event.kind == "warning":
            # no markup: the text quotes logs, which have brackets of their own
            self._console.print(event.text, style="yellow", markup=False)
        if event.kind != "child":
            return
        now = time.monotonic()
        self._began.setdefault(event.name, now)
        if event.phase == "ready" and event.name not in self._done:
            self._done[event.name] = now - self._began[event.name]
            if self._live is None:
                typer.echo(f"{event.name} ready ({self._done[event.name]:.1f} s)", err=True)

    def _render(self) -> Table:
        from rich.spinner import Spinner
        from rich.table import Table

        grid = Table.grid(padding=(0, 1))
        now = time.monotonic()
        for name, began in list(self._began.items()):
            seconds = self._done.get(name)
            mark = Spinner("dots") if seconds is None else "[green]✓[/]"
            grid.add_row(mark, name, f"[dim]{seconds or now - began:.1f} s[/]")
        return grid
