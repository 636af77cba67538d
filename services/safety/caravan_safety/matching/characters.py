"""Characters as matching sees them: without what is invisible, and whatever their width."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

INVISIBLE: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f]"
)
"""Characters that nobody sees between two others: they hide a word from a search, not from a reader."""


@lru_cache(maxsize=8192)
def plain(character: str) -> str:
    """The one that it looks like: full-width, mathematical and circled ones have a plain form (Unicode's NFKC)."""
    if character.isascii():
        return character
    form = unicodedata.normalize("NFKC", character)
    return form if len(form) == 1 else character


def plain_text(text: str) -> str:
    """A text in plain characters, the invisible ones left out."""
    return "".join(map(plain, INVISIBLE.sub("", text)))


def is_word(character: str) -> bool:
    """Letters, digits, underscore."""
    return character.isalnum() or character == "_"
