"""Markdown: the text as it is, with the headings that stand above it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from caravan_vector.parsing.formats.encoding import decoded
from caravan_vector.parsing.formats.headings import Headings
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import Piece

MOST_LINE = 16 * 1024
"""Characters of a line; what is longer is no heading and is passed on in parts."""
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(\S.*)")


def read(document: Opened) -> Iterator[Piece]:
    """Line by line; a heading is part of its own section. Underlined headings are text."""
    headings, fence = Headings(), ""
    for line in _lines(decoded(document.file)):
        mark = _FENCE.match(line)
        if mark and (not fence or mark[1].startswith(fence)):
            fence = "" if fence else mark[1]
        elif not fence and (heading := _HEADING.match(line)):
            headings.enter(len(heading[1]), heading[2].rstrip().rstrip("#"))
        yield Piece(line, headings.place)


def _lines(texts: Iterator[str]) -> Iterator[str]:
    """Lines with their ends; none is longer than two pieces."""
    carry = ""
    for text in texts:
        *lines, carry = (carry + text).splitlines(keepends=True) or [""]
        yield from lines
        if len(carry) > MOST_LINE or carry.endswith("\n"):
            yield carry
            carry = ""
    if carry:
        yield carry
