"""Where what a reader calls a character ends: never within one is a text cut.

A few borders that Unicode allows (UAX 29) are not used here, such as the one behind a virama: the rule is simpler
than Unicode's and on the safe side of it. `unicodedata` knows no clusters.
"""

from __future__ import annotations

import unicodedata

MOST = 64
"""Code points of a cluster; one that is longer (nothing written by people is) is cut."""
_JOINER = "\u200d"
_SPACING = frozenset("\u0e33\u0eb3")
"""Vowels that belong to the character before them though they are letters."""
_PREPENDED = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\u0d4e\U000110bd\U000110cd"
    "\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a\U00011d46\U00011f02"
)
_MARKS = frozenset({"Mn", "Me", "Mc"})
_VIRAMA = 9


def border(text: str, at: int) -> bool:
    """Whether the text may be cut before its character number `at`."""
    if at <= 0 or at >= len(text):
        return True
    before, after = text[at - 1], text[at]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    return not (_extends(after) or _holds_on(before) or _pair(text, at) or _hangul(before, after))


def _extends(after: str) -> bool:
    return (
        after == _JOINER
        or after == "\u200c"
        or after in _SPACING
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # colours of skin
        or "\U000e0020" <= after <= "\U000e007f"  # tags, as in flags of regions
        or unicodedata.category(after) in _MARKS
    )


def _holds_on(before: str) -> bool:
    return before == _JOINER or before in _PREPENDED or unicodedata.combining(before) == _VIRAMA


def _pair(text: str, at: int) -> bool:
    """Two regional indicators make a flag; whether these two do depends on how many stand before them."""
    if not (_regional(text[at]) and _regional(text[at - 1])):
        return False
    first = at - 1
    while first > 0 and at - first < MOST and _regional(text[first - 1]):
        first -= 1
    return (at - first) % 2 == 1


def _regional(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _hangul(before: str, after: str) -> bool:
    """Parts of a syllable that is not written as one code point."""
    return "\u1100" <= after <= "\u11ff" and (
        "\u1100" <= before <= "\u11ff" or "\ua960" <= before <= "\ua97f" or "\uac00" <= before <= "\ud7a3"
    )
