"""Text as it is: plain text, source code, JSON, YAML …"""

from __future__ import annotations

from collections.abc import Iterator

from caravan_vector.parsing.formats.encoding import decoded
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import Piece


def read(document: Opened) -> Iterator[Piece]:
    """The text, in the pieces in which it is read."""
    for text in decoded(document.file):
        yield Piece(text)
