"""Run a mesh in this process until a signal says stop."""

from __future__ import annotations

import asyncio
import logging
import signal

from caravan.cli.events import Event, Reporter
from caravan.errors import StartError
from caravan.runtime.mesh import Mesh
from caravan.runtime.options import MeshOptions
from caravan.runtime.supervised import Supervised

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Warnings(logging.Handler):
    """Restarts of children and the like, which the runtime logs."""

    def __init__(self, report: Reporter) -> None:
        super().__init__(logging.WARNING)
        self._report = report

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._report(Event("warning", text=record.getMessage()))
        except Exception:  # noqa: BLE001 - a full disk, a closed terminal: who warns has a child to restart, and must
            self.handleError(record)


async def run(options: MeshOptions, report: Reporter) -> int:
    """Start, report, wait for a signal, stop; the exit code. The first signal drains, the second kills.

    Raises :class:`StartError` when the start fails; then nothing is left running.
    """
    logging.getLogger("caravan.runtime").addHandler(Warnings(report))
    mesh = Mesh(options, listener=lambda child: report(_child(child)))
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            mesh.kill_services()
        else:
            stop.set()
            report(Event("stopping"))

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, on_signal)

    stopping = asyncio.create_task(stop.wait())
    starting = asyncio.create_task(mesh.__aenter__())
    await asyncio.wait((starting, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        report(Event("stopped"))
        return 130
    try:
        starting.result()
    except StartError:
        stopping.cancel()
        raise
    report(Event("ready"))
    await stopping
    await mesh.__aexit__(None, None, None)
    report(Event("stopped"))
    return 0


def _child(child: Supervised) -> Event:
    return Event("child", child.name, child.phase)
