"""The scripted upstream as a process."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError


@dataclass(frozen=True)
class Upstream:
    pid: int
    port: int


@contextmanager
def running_upstream(program: Path) -> Iterator[Upstream]:
    with subprocess.Popen([str(program)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            word, _, port = process.stdout.readline().partition(" ")
            if word != "PORT":
                raise BenchmarkError("the scripted upstream did not start")
            yield Upstream(process.pid, int(port))
        finally:
            process.kill()
