"""Folders of this machine for documents that are being read, and the end of those whose process was killed.

Each is locked (flock) for as long as it is used. The kernel lifts the lock when the process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_PREFIX: Final = "caravan-vector-"
_TRIES: Final = 20


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for the time of the block, for this user alone. Raises OSError when none can be made."""
    path, lock = _made()
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def clear() -> int:
    """Remove the folders of processes that have ended; how many there were."""
    removed = 0
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = _lock(path)
        if lock is not None:
            shutil.rmtree(path, ignore_errors=True)
            os.close(lock)
            removed += 1
    return removed


def _made() -> tuple[Path, int]:
    for _ in range(_TRIES):
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = _lock(path)
        if lock is not None:  # else another process cleared up at this very moment
            return path, lock
    raise OSError(f"no folder in {tempfile.gettempdir()} can be locked")


def _lock(path: Path) -> int | None:
    """A descriptor that holds the lock; None when somebody else does, or the folder is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), path.lstat()):
            return descriptor
    except OSError:
        pass  # locked, or removed between the look and the lock
    os.close(descriptor)
    return None
