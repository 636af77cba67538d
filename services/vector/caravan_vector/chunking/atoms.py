"""The units of which chunks are made: a word with the space before it and the line ends behind it.

Each is short, so that time and memory are linear in the text even if it has no space in it. How a text falls into atoms
does not depend on the pieces in which it comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from caravan_vector.chunking import graphemes
from caravan_vector.chunking.tokens import Count
from caravan_vector.parsing.pieces import Place

AHEAD = 512
"""Characters that have to be there behind an atom's beginning before it can be told apart, unless the text is over."""
_ATOM = re.compile(
    r"[^\S\r\n]{0,16}(?:[^\s。！？]{1,48}[。！？]{0,4}|[。！？]{1,4})(?:[^\S\r\n]{0,16}(?:\r\n|\r|\n)){0,8}|\s{1,64}"
)
_SENTENCE = re.compile(r"[.!?…][\"'”’»)\]]{0,4}$|[。！？]$")


class Border(IntEnum):
    """What ends behind an atom; the higher, the better for a cut."""

    NONE = 0
    WORD = 1
    LINE = 2
    SENTENCE = 3
    PARAGRAPH = 4
    PLACE = 5


@dataclass(slots=True)
class Atom:
    """A unit, with what the chunker needs to know of it."""

    text: str
    start: int
    """Characters before it in the whole text."""
    tokens: int
    border: Border
    place: Place

    @property
    def end(self) -> int:
        """Characters up to its end."""
        return self.start + len(self.text)


def next_end(text: str, at: int) -> int:
    """Where the atom that begins at `at` ends; always behind it."""
    match = _ATOM.match(text, at)
    end = match.end() if match else at + 1
    most = min(len(text), end + graphemes.MOST)
    while end < most and not graphemes.border(text, end):
        end += 1
    return end


def border(text: str, following: str) -> Border:
    """Of an atom and the character behind it ("" at the end of the text)."""
    words = text.rstrip()
    space = text[len(words) :]
    if space.count("\n") + space.count("\r") > 1:
        return Border.PARAGRAPH
    if _SENTENCE.search(words) and (space or following.isspace() or not words.isascii()):
        return Border.SENTENCE
    if "\n" in space or "\r" in space:
        return Border.LINE
    return Border.WORD if space or not following or following.isspace() else Border.NONE


def divided(atom: Atom, most: int, count: Count) -> Iterator[Atom]:
    """The atom in parts of at most `most` tokens, cut between characters if that is possible."""
    pending = [atom]
    while pending:
        part = pending.pop()
        if part.tokens <= most or len(part.text) == 1:
            yield part
            continue
        middle = _middle(part.text)
        left, right = part.text[:middle], part.text[middle:]
        pending.append(Atom(right, part.start + middle, count(right), part.border, part.place))
        pending.append(Atom(left, part.start, count(left), Border.NONE, part.place))


def _middle(text: str) -> int:
    """A border of characters near the middle; the middle itself if there is none."""
    half = len(text) // 2
    near = sorted(range(1, len(text)), key=lambda at: abs(at - half))
    return next((at for at in near if graphemes.border(text, at)), half)
