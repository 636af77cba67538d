"""An object on its way into the folder: a file beside the others that gets its name when it is whole and on disk."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Final

from caravan_storage.objects.protocol import Stored

LEFTOVER_SECONDS: Final = 24 * 3600.0
"""A draft nobody wrote to for so long is of a process that died."""
_TRIES: Final = 10
_CLOSED: Final = -1


class Draft:
    """Blocking; called in threads, in turns. Whatever happens, `drop` is the end."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / secrets.token_hex(16)
        self._file = _CLOSED
        self._dropped = False
        self._digest = hashlib.sha256()
        self._size = 0

    def open(self) -> None:
        """Begin."""
        if not self._dropped:
            make_folder(self._path.parent)
            self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, piece: bytes) -> None:
        """The next bytes."""
        self._digest.update(piece)
        self._size += len(piece)
        left = memoryview(piece)
        while left:
            left = left[os.write(self._file, left) :]

    def become(self, path: Path) -> Stored:
        """Take the place of `path`, which after this holds all of it even when the power fails."""
        os.fsync(self._file)
        for last in (*[False] * _TRIES, True):
            try:
                make_folder(path.parent)
                self._path.rename(path)
                break
            except FileNotFoundError:
                # whoever deleted the last object of the folder took the folder along
                if last:
                    raise
        sync_folder(path.parent)
        return Stored(self._size, self._digest.hexdigest())

    def drop(self) -> None:
        """Close it; what did not become an object is removed."""
        self._dropped = True
        file, self._file = self._file, _CLOSED
        if file != _CLOSED:
            os.close(file)
        self._path.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """`folder` and those above it, for nobody else's eyes, and made sure of on the disk."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make sure of the names in it. Another may have removed it meanwhile, empty."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def sweep(folder: Path) -> None:
    """Remove drafts that are leftovers."""
    oldest = time.time() - LEFTOVER_SECONDS
    try:
        entries = os.scandir(folder)
    except FileNotFoundError:
        return
    with entries:
        for entry in entries:
            try:
                if entry.stat(follow_symlinks=False).st_mtime < oldest:
                    Path(entry.path).unlink()
            except FileNotFoundError:
                continue  # its writer ended now, or another sweeps too
