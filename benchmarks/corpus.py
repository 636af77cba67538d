"""Real passages without a download, the source of the standard library cut into pieces of some lines, and vectors of
them that anyone can make again."""

from __future__ import annotations

import hashlib
import math
import re
import sysconfig
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_LINES = 12


def passages(most: int) -> list[tuple[str, str]]:
    """File and text of up to `most` passages, always the same ones."""
    made: list[tuple[str, str]] = []
    for file, text in _all():
        if len(made) == most:
            break
        made.append((file, text))
    return made


def _all() -> Iterator[tuple[str, str]]:
    root = Path(sysconfig.get_path("stdlib"))
    for path in sorted(root.rglob("*.py")):
        if {"site-packages", "dist-packages", "__pycache__"} & set(path.parts):
            continue
        lines = [line for line in path.read_text("utf-8", "replace").splitlines() if line.strip()]
        for at in range(0, len(lines), _LINES):
            text = "\n".join(lines[at : at + _LINES])
            if "\0" not in text and len(text) > 100:
                yield str(path.relative_to(root)), text


def hashed(text: str, dimension: int) -> list[float]:
    """The words of a text, each with its signs at a few places: texts that share words are near each other."""
    made = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()) or [text]:
        for place, sign in _places(word):
            made[place % dimension] += sign
    return made if math.hypot(*made) > 0 else [1.0, *made[1:]]


@lru_cache(100_000)
def _places(word: str) -> list[tuple[int, float]]:
    digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=32).digest()
    return [(int.from_bytes(digest[at : at + 2], "big"), 1.0 if digest[at + 2] & 1 else -1.0) for at in range(0, 30, 3)]
