"""The headings above a text, from the outermost to the nearest."""

from __future__ import annotations

from caravan_vector.parsing.pieces import Place

MOST = 200
"""Characters of a heading that are kept."""


class Headings:
    """Which headings stand above what comes next."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []

    def enter(self, level: int, text: str) -> None:
        """A heading begins a section; those of its level and below it are over."""
        while self._open and self._open[-1][0] >= level:
            self._open.pop()
        if title := " ".join(text.split())[:MOST]:
            self._open.append((level, title))

    @property
    def place(self) -> Place:
        """Of the text that follows."""
        return Place(headings=tuple(title for _, title in self._open))
