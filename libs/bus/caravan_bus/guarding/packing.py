"""Texts cut and packed into checks that fit into a message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from caravan_contracts.safety import LONGEST_MATCH, MOST_TEXTS

MOST_CHARACTERS: Final = 32 * 1024
"""Of the texts of one check: whatever they are, it fits into a message."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a text."""

    index: int
    """Of the text."""
    start: int
    text: str
    last: bool
    """Whether the text ends with it."""


def slices(index: int, text: str) -> Iterator[Slice]:
    """`text` in parts that share :data:`LONGEST_MATCH` characters with each other: what is found lies within one."""
    start = 0
    while start + MOST_CHARACTERS < len(text):
        yield Slice(index, start, text[start : start + MOST_CHARACTERS], last=False)
        start += MOST_CHARACTERS - LONGEST_MATCH
    yield Slice(index, start, text[start:], last=True)


def packed(texts: Iterable[tuple[int, str]]) -> Iterator[list[Slice]]:
    """Slices in their order, as many together as one check may have."""
    pack: list[Slice] = []
    size = 0
    for index, text in texts:
        for piece in slices(index, text):
            if pack and (len(pack) == MOST_TEXTS or size + len(piece.text) > MOST_CHARACTERS):
                yield pack
                pack, size = [], 0
            pack.append(piece)
            size += len(piece.text)
    if pack:
        yield pack
