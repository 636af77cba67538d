"""Who holds a data folder: never told by a file that an earlier launcher left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from caravan.errors import AlreadyRunning
from caravan.runtime import state
from caravan.runtime.paths import DataDir
from caravan.runtime.state import Lock, State


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"]) as process:
        yield process
        process.kill()


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    made = DataDir.at(tmp_path)
    made.make()
    return made


def test_a_launcher_that_has_only_just_begun_is_not_the_one_before(data: DataDir) -> None:
    State(pid=12345, phase="stopped", started_at=1.0).write(data)
    lock = Lock(data)
    assert state.running(data) is None
    lock.take()
    try:
        current = state.running(data)
        assert current is not None
        assert (current.pid, current.phase) == (os.getpid(), "starting")
        with pytest.raises(AlreadyRunning, match=str(os.getpid())):
            Lock(data).take(patience=0)
        State(pid=os.getpid(), phase="ready", started_at=2.0).write(data)
        assert state.running(data) == state.read(data)
    finally:
        lock.give_back()
    assert state.running(data) is None


def test_down_signals_the_holder_and_nobody_who_has_an_old_pid(
    data: DataDir, stranger: subprocess.Popen[bytes]
) -> None:
    State(pid=stranger.pid, phase="ready", started_at=1.0).write(data)
    code = (
        "import signal, sys\n"
        "from caravan.runtime.paths import DataDir\n"
        "from caravan.runtime.state import Lock\n"
        "Lock(DataDir.at(sys.argv[1])).take()\n"
        "print('held', flush=True)\n"
        "signal.pause()\n"
    )
    command = [sys.executable, "-c", code, str(data.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        down = [sys.executable, "-m", "caravan", "down", "--data-dir", str(data.root)]
        done = subprocess.run(down, capture_output=True, text=True, timeout=110, check=False)
        assert (done.returncode, done.stderr) == (0, "Stopped.\n")
        assert holder.wait(5) == -signal.SIGTERM
    assert stranger.poll() is None
