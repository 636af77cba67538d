"""The state file (what runs where, for the other commands) and the lock that keeps two launchers apart."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from caravan.errors import AlreadyRunning, NoAccess
from caravan.runtime.paths import DataDir, write_private


@dataclass(frozen=True, slots=True)
class ChildState:
    """One child as the state file tells it."""

    name: str
    pid: int | None
    phase: str
    restarts: int
    since: float
    """UNIX seconds."""
    born: str = ""
    """What tells this process from a later one with the same pid; see :func:`birth`."""
    port: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One launcher and its children. Holds no secret."""

    pid: int
    phase: str
    """starting, ready, stopping, stopped or failed."""
    started_at: float
    ports: dict[str, int] = field(default_factory=dict)
    """By name, kept after the end: the next start takes the same when they are free."""
    urls: dict[str, str] = field(default_factory=dict)
    children: tuple[ChildState, ...] = ()
    error: str = ""

    def write(self, data: DataDir) -> None:
        """Replace the state file."""
        write_private(data.state, json.dumps(asdict(self), indent=2))

    def child(self, name: str) -> ChildState | None:
        """One child by name."""
        return next((child for child in self.children if child.name == name), None)


def read(data: DataDir) -> State | None:
    """The last state written; None when there is none (or it is not readable as one)."""
    try:
        raw: dict[str, Any] = json.loads(data.state.read_text())
        children = tuple(ChildState(**child) for child in raw.pop("children", ()))
        return State(children=children, **raw)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoAccess.of(data.state, error) from error
    except (ValueError, TypeError, AttributeError):
        return None  # of another version, or cut off: everything in it can be found out again


def running(data: DataDir) -> State | None:
    """The state if its launcher is alive (it holds the lock); None when nothing runs or the launcher was killed."""
    try:
        descriptor = os.open(data.lock, os.O_RDONLY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoAccess.of(data.lock, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _of_holder(read(data), _holder(descriptor))
    finally:
        os.close(descriptor)
    return None


def _holder(descriptor: int) -> int | None:
    """Process id of the launcher that holds the lock; None when it has not written it yet."""
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _of_holder(state: State | None, pid: int | None) -> State | None:
    """`state` if the holder of the lock wrote it; else what is known of a launcher that has only just begun.

    Its file still tells of the launcher before: that one's pid may be somebody else's by now.
    """
    if pid is None or (state is not None and state.pid == pid):
        return state
    return State(pid=pid, phase="starting", started_at=time.time())


class Lock:
    """Held by a launcher as long as it lives; the kernel gives it back however the launcher ends."""

    def __init__(self, data: DataDir) -> None:
        self._data = data
        self._descriptor: int | None = None

    def take(self, patience: float = 0.5) -> None:
        """Raises :class:`AlreadyRunning`. Waits a little: `status` holds it for a moment to look."""
        path = self._data.lock
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise NoAccess.of(path, error) from error
        until = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    holder = _holder(descriptor)
                    os.close(descriptor)
                    raise AlreadyRunning(self._data.root, holder) from error
                time.sleep(0.02)
            except OSError as error:
                os.close(descriptor)
                raise NoAccess.of(path, error) from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            os.close(descriptor)
            raise NoAccess.of(path, error) from error
        self._descriptor = descriptor

    def give_back(self) -> None:
        """Let another launcher start."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def birth(pid: int) -> str:
    """When a process began, which tells it from a later one with its pid; "" when it is gone."""
    if sys.platform != "linux":
        return _birth_by_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _birth_by_ps(pid: int) -> str:
    """Where the kernel doesn't end the children of a killed launcher, the next launcher has to find them."""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    return subprocess.run(command, capture_output=True, text=True, timeout=5, check=False).stdout.strip()


def survivors(state: State, of: Callable[[int], str] = birth) -> list[int]:
    """Pids of children that outlived their launcher and are surely the same processes."""
    return [child.pid for child in state.children if child.pid and child.born and of(child.pid) == child.born]
