"""What a killed launcher left: its children end by themselves (PDEATHSIG); wait for that, then help."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

from caravan.runtime import state
from caravan.runtime.state import State

PATIENCE = 10.0
"""Seconds for PostgreSQL to end cleanly before it is killed too."""


async def clear(before: State) -> None:
    """Return when no child of the launcher that wrote `before` runs any more."""
    until = time.monotonic() + PATIENCE
    while left := state.survivors(before):
        number = signal.SIGKILL if time.monotonic() > until else None
        for pid in left:
            if number:
                with contextlib.suppress(ProcessLookupError):  # it ended between the look and the kill
                    os.kill(pid, number)
        await asyncio.sleep(0.05)
