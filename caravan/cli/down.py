"""``caravan down``."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import Annotated

import typer

from caravan.cli.options import DataDirOption


def down(
    data_dir: DataDirOption = None,
    timeout: Annotated[
        float, typer.Option(help="Seconds to let open requests finish before everything is killed.", min=0)
    ] = 60.0,
) -> None:
    """Stop what `caravan up` started on the data folder: drain, then the servers."""
    from caravan.runtime import stale, state
    from caravan.runtime.paths import DataDir

    data = DataDir.at(data_dir)
    current = state.running(data)
    if current is None:
        before = state.read(data)
        if before and state.survivors(before):
            asyncio.run(stale.clear(before))
            typer.echo("Stopped what a killed launcher had left.", err=True)
            return
        typer.echo(f"Nothing runs on the data folder {data.root}.", err=True)
        return
    _send(current.pid, signal.SIGTERM)
    until = time.monotonic() + timeout
    while state.running(data):
        if time.monotonic() > until:
            typer.echo("It does not stop in time: killing it.", err=True)
            _send(current.pid, signal.SIGKILL)
            asyncio.run(stale.clear(current))
            break
        time.sleep(0.05)
    typer.echo("Stopped.", err=True)


def _send(pid: int, number: signal.Signals) -> None:
    from caravan.errors import StartError

    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended between the look and the signal
    except PermissionError as error:
        raise StartError(
            f"Process {pid} belongs to another user: run `caravan down` as the user who ran `caravan up`, or as root."
        ) from error
