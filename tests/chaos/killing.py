"""Kills one process after the other, while something goes on."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.mesh.running import RunningMesh


@contextmanager
def killing(mesh: RunningMesh, victims: Sequence[str], every: float) -> Iterator[list[str]]:
    """One of `victims` dies (kill -9) each `every` seconds; which ones have."""
    over = threading.Event()
    killed: list[str] = []

    def run() -> None:
        while not over.wait(every):
            name = random.choice(victims)
            try:
                mesh.kill9(name)
            except (ProcessLookupError, StopIteration):
                continue  # it has not come back yet
            killed.append(name)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
