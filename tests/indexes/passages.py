"""Chunks with vectors that anyone can make again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caravan_vector.indexes import Chunk

from benchmarks.corpus import hashed

DIMENSION = 48


def vector(text: str, dimension: int = DIMENSION) -> list[float]:
    return hashed(text, dimension)


def chunk(id: str, text: str, file: str = "file_a", position: int = 0, place: Mapping[str, Any] | None = None) -> Chunk:
    return Chunk(id, file, position, text, vector(text), place or {})
