"""How many tokens a text has: by cl100k, the vocabulary of OpenAI's embedding models, which comes with a package.

Nothing is downloaded. Time is linear in the text, whatever it is: see the decision 0020.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache

ENCODING = "cl100k_base"
MOST = 500_000
"""Characters of a text that can be counted at once."""
_WORDS = 1 << 16
"""Words whose counts are remembered, of up to some hundred characters each."""

Count = Callable[[str], int]
"""Tokens of a text. It has to be the same at any time, and no more than the text's bytes in UTF-8."""


@cache
def cl100k() -> Count:
    """The counter; the first call loads the vocabulary (half a second, some 100 MiB, mostly of the package's file)."""
    import bpe_openai

    encode = bpe_openai.get_encoding(ENCODING).encode_ordinary

    def count(text: str) -> int:
        return len(encode(text))

    return count


def remembering(count: Count) -> Count:
    """The same for words, most of which are seen again."""
    return lru_cache(_WORDS)(count)
