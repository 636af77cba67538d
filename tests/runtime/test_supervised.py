"""Restarts with backoff, start-up failures, stubborn children; with small real processes."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest

from caravan.errors import ChildFailed
from caravan.runtime.process import ChildSpec
from caravan.runtime.supervised import Phase, Supervised
from tests.runtime.waiting import alive, eventually

READY = "import pathlib, sys; pathlib.Path(sys.argv[1]).touch(); "
FOR_EVER = "import signal\nwhile True: signal.pause()"


@dataclass
class Script:
    """A part that is ready when its marker file exists."""

    folder: Path
    code: str
    name: str = "script"
    start_seconds: float = 10.0
    stop_seconds: float = 5.0

    @property
    def marker(self) -> Path:
        return self.folder / "marker"

    async def spec(self) -> ChildSpec:
        self.marker.unlink(missing_ok=True)
        return ChildSpec(
            self.name,
            (sys.executable, "-I", "-S", "-c", self.code, str(self.marker)),
            self.folder / "script.log",
            stop_seconds=self.stop_seconds,
        )

    async def ping(self) -> None:
        if not self.marker.exists():
            raise ConnectionError("no marker yet")


async def test_a_crashed_child_is_restarted_and_every_phase_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    child = Supervised(Script(tmp_path, READY + FOR_EVER), lambda child: told.append(child.phase))
    await child.start()
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: child.restarts == 1 and child.phase == Phase.READY)
    assert child.pid != first
    await child.stop()
    assert [phase for phase, _ in groupby(told)] == ["starting", "ready", "restarting", "ready", "stopped"]


async def test_a_child_that_crashes_at_once_is_restarted_with_growing_pauses(tmp_path: Path) -> None:
    script = Script(tmp_path, READY + FOR_EVER)
    child = Supervised(script)
    await child.start()
    script.code = "raise SystemExit(3)"
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    await eventually(lambda: child.restarts >= 3)
    assert child.phase == Phase.RESTARTING
    script.code = READY + FOR_EVER
    await eventually(lambda: child.phase == Phase.READY)
    await child.stop()


async def test_a_failed_start_tells_the_childs_last_words_and_leaves_nothing(tmp_path: Path) -> None:
    child = Supervised(Script(tmp_path, "import sys; sys.exit('the camel is ill')"))
    with pytest.raises(ChildFailed, match=r"status 1.*the camel is ill.*script\.log"):
        await child.start()
    assert child.pid is None


async def test_a_child_that_never_gets_ready_is_killed(tmp_path: Path) -> None:
    child = Supervised(Script(tmp_path, FOR_EVER, start_seconds=0.3))
    with pytest.raises(ChildFailed, match=r"not ready after 0\.3 s"):
        await child.start()
    assert child.pid is None


async def test_a_child_that_ignores_sigterm_is_killed_with_what_it_started(tmp_path: Path) -> None:
    code = (
        "import signal, subprocess, sys, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "other = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path(sys.argv[1] + '.pid').write_text(str(other.pid))\n" + READY + FOR_EVER
    )
    child = Supervised(Script(tmp_path, code, stop_seconds=0.2))
    await child.start()
    grandchild = int((tmp_path / "marker.pid").read_text())
    await child.stop()
    assert child.pid is None
    await eventually(lambda: not alive(grandchild))


class Odd(Script):
    """Its ping fails in a way that no ping should, once."""

    failures = 0

    async def ping(self) -> None:
        await super().ping()
        if self.failures:
            self.failures -= 1
            raise ValueError("no answer of that protocol")


async def test_a_restart_that_fails_in_an_unforeseen_way_is_tried_again(tmp_path: Path) -> None:
    part = Odd(tmp_path, READY + FOR_EVER)
    child = Supervised(part)
    await child.start()
    part.failures = 1
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    await eventually(lambda: child.restarts == 2 and child.phase == Phase.READY)
    await child.stop()
