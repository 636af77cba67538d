"""Changing somebody else's file of settings: what would change, a copy of what was there, and the new file at once."""

from __future__ import annotations

import difflib
import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from caravan.errors import StartError


def read(path: Path) -> str:
    """Its text; "" for one that is not there. Raises StartError."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StartError(f"{path} cannot be read: {error}") from error


def difference(path: Path, before: str, after: str) -> str:
    """A unified diff; "" when nothing changes."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), str(path), f"{path} (new)"
    )
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def replace(path: Path, text: str) -> Path | None:
    """Write `text`, for its owner alone when the file is new; where the copy of the old one is. Raises StartError."""
    try:
        place = path.resolve()  # a link into a folder of dotfiles stays one
        place.parent.mkdir(parents=True, exist_ok=True)
        backup = _copy(place) if place.exists() else None
        handle, made = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            if backup is not None:
                shutil.copymode(place, made)
            Path(made).replace(place)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise StartError(f"{path} cannot be written: {error}") from error
    return backup


def _copy(place: Path) -> Path:
    now = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    backup = place.with_name(f"{place.name}.{now}.bak")
    number = 1
    while backup.exists():
        number += 1
        backup = place.with_name(f"{place.name}.{now}-{number}.bak")
    shutil.copy2(place, backup)
    return backup
