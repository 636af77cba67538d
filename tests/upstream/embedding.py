"""The scripted model `embed-64`: texts with words in common are near each other."""

from __future__ import annotations

import re
from zlib import crc32


def of(text: str, dimension: int) -> list[float]:
    """How often the words of `text` occur, each counted in a place of its own as far as there are enough."""
    made = [0.0] * dimension
    for word in re.findall(r"\w+", text.lower()):
        made[crc32(word.encode()) % dimension] += 1.0
    if not any(made):
        made[0] = 1.0
    return made
