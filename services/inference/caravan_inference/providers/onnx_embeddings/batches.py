"""Which texts of a call are computed together."""

from __future__ import annotations

from collections.abc import Iterator

MAX_ROWS = 32
MAX_TOKENS = 1024
"""Of one batch, its padding included: bounds the memory and how long other calls wait (about 0.3 s)."""


def by_length(lengths: list[int]) -> Iterator[list[int]]:
    """Positions, shortest texts first, so that little is padded."""
    batch: list[int] = []
    for position in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) == MAX_ROWS or (len(batch) + 1) * lengths[position] > MAX_TOKENS):
            yield batch
            batch = []
        batch.append(position)
    if batch:
        yield batch
