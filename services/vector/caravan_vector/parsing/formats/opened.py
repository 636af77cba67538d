"""What a parser is given: a function `read(document: Opened) -> Iterator[Piece]`.

A parser yields as it goes, raises InvalidFile for what it cannot read, and need not fear for memory or time: its
process is bounded. An operator's own parser has the same shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.limits import Limits


@dataclass(frozen=True, slots=True)
class Opened:
    """A document, open for reading at its beginning."""

    file: BinaryIO
    size: int
    limits: Limits
    more_time: Callable[[], None] = lambda: None
    """To be called before a page is read by OCR: it adds `limits.ocr_seconds`, `limits.ocr_pages` times at most."""

    def count_pages(self, pages: int, what: str = "pages") -> None:
        """Raises InvalidFile when there are more than are read."""
        if pages > self.limits.pages:
            raise InvalidFile(f"the document has {pages} {what}, more than {self.limits.pages}", bound="pages")
