"""Start a launcher in the background and wait until it says that it is ready."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from caravan.cli.events import Event, Reporter
from caravan.errors import NoAccess, StartError
from caravan.runtime.paths import DataDir

EVENTS_VARIABLE = "CARAVAN_EVENTS_FD"
"""The file descriptor on which a detached launcher reports; it is what makes it one."""


def start(arguments: Sequence[str], data: DataDir, report: Reporter) -> int:
    """Run ``caravan up ARGUMENTS`` in a session of its own; its pid once it is ready.

    Raises :class:`StartError` with the launcher's own error. Ctrl-C while waiting stops the launcher too.
    """
    data.make()
    log = data.log("launcher")
    reading, writing = os.pipe()
    try:
        output = log.open("ab")
    except OSError as error:
        raise NoAccess.of(log, error) from error
    with output:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "caravan", "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=(writing,),
            env={**os.environ, EVENTS_VARIABLE: str(writing)},
        )
    os.close(writing)
    try:
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                event = Event.decode(line)
                report(event)
                if event.kind == "ready":
                    return launcher.pid
                if event.kind == "failed":
                    launcher.wait(30)
                    raise StartError(event.text)
    except KeyboardInterrupt:
        launcher.send_signal(signal.SIGTERM)
        launcher.wait(60)
        raise
    raise StartError(f"The launcher ended before it was ready (status {launcher.wait(30)}); see {log}.")


class PipeReporter:
    """In the launcher: passes events on until the start is over, then keeps quiet (its log has the rest)."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor
        os.set_inheritable(descriptor, False)

    def __call__(self, event: Event) -> None:
        """Send one event."""
        if event.kind in ("warning", "failed"):
            with contextlib.suppress(OSError):  # its log is on a disk that is full
                sys.stderr.write(event.text + "\n")
                sys.stderr.flush()
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, event.encode())
        except BrokenPipeError:  # whoever started us has gone; the mesh stays
            self._close()
            return
        if event.kind in ("ready", "failed"):
            self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
