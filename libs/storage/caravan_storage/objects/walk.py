"""What is in the folder, without holding all of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

BATCH: Final = 256
"""Entries read in one turn of a thread."""


class Walk:
    """The objects below `root` whose keys begin with `prefix`; blocking, called in threads, in turns."""

    def __init__(self, root: Path, prefix: str, suffix: str) -> None:
        self._suffix = suffix
        self._prefix = prefix
        self._found = self._below(root / prefix.rpartition("/")[0], prefix[: prefix.rfind("/") + 1])

    def batch(self) -> list[tuple[str, float]]:
        """The next keys and ages in seconds; empty at the end."""
        return list(islice(self._found, BATCH))

    def close(self) -> None:
        """Close the folders that are open."""
        self._found.close()  # type: ignore[attr-defined]

    def _below(self, folder: Path, start: str) -> Iterator[tuple[str, float]]:
        try:
            entries = os.scandir(folder)
        except FileNotFoundError:
            return  # its last object was deleted meanwhile
        with entries:
            for entry in entries:
                yield from self._of(entry, start)

    def _of(self, entry: os.DirEntry[str], start: str) -> Iterator[tuple[str, float]]:
        if entry.is_dir(follow_symlinks=False):
            inner = f"{start}{entry.name}/"
            if not entry.name.startswith(".") and (inner.startswith(self._prefix) or self._prefix.startswith(inner)):
                yield from self._below(Path(entry.path), inner)
        elif entry.name.endswith(self._suffix):
            key = start + entry.name.removesuffix(self._suffix)
            if key.startswith(self._prefix):
                try:
                    written = entry.stat(follow_symlinks=False).st_mtime
                except FileNotFoundError:
                    return
                yield key, max(0.0, time.time() - written)
