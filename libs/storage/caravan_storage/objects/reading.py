"""An object of the folder that is being read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_CLOSED: Final = -1


class Reading:
    """Blocking; called in threads, in turns. Whatever happens, `close` is the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _CLOSED
        self._over = False

    def open(self) -> bool:
        """Begin; False when there is nothing to read."""
        if not self._over:
            try:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
        return True

    def read(self, start: int, most: int) -> bytes:
        """At most `most` bytes from `start` on; none at the end."""
        return os.pread(self._file, most, start)

    def close(self) -> None:
        """Let go of it."""
        self._over = True
        file, self._file = self._file, _CLOSED
        if file != _CLOSED:
            os.close(file)
