"""Log files of children: appended to by the child itself, kept below a size by the launcher."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

told = logging.getLogger("caravan.runtime")

LIMIT_BYTES = 8 * 1024 * 1024
"""Above this a log moves to ``NAME.log.1``, which replaces the one before."""
_TAIL_BYTES = 4096


def trim(log: Path, limit: int = LIMIT_BYTES) -> bool:
    """Rotate `log` if it is too long. The child keeps its descriptor: it appends, so truncating is safe.

    Never raises: whoever calls it looks after the other logs too. On a full disk the bound matters more than the lines.
    """
    try:
        if log.stat().st_size <= limit:
            return False
        try:
            shutil.copyfile(log, log.with_name(log.name + ".1"))
        except OSError as error:
            told.warning("%s could not be kept as %s.1: %s", log, log.name, error.strerror or error)
        with log.open("r+b") as file:
            file.truncate(0)
    except FileNotFoundError:
        return False
    except OSError as error:
        told.warning("%s is too long and cannot be cut: %s", log, error.strerror or error)
        return False
    return True


def size(log: Path) -> int:
    """Bytes in the log; 0 when there is none."""
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0


def tail(log: Path, since: int = 0, lines: int = 3) -> str:
    """The last non-empty lines written after byte `since`, each once, joined by " | "; "" when there are none."""
    try:
        with log.open("rb") as file:
            end = file.seek(0, 2)
            file.seek(max(end - _TAIL_BYTES, since if since <= end else 0))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    said = [_plain(line.strip()) for line in text.splitlines() if line.strip()]
    return " | ".join(list(dict.fromkeys(said))[-lines:])


def _plain(line: str) -> str:
    """The message of one of our JSON log lines; any other line as it is."""
    if line.startswith("{"):
        try:
            return str(json.loads(line)["message"])
        except (ValueError, KeyError, TypeError):
            return line
    return line
