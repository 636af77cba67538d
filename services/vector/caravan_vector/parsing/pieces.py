"""What a parser yields."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text stands: what the format has of these, the rest is None or empty. Numbers begin with 1."""

    page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    headings: tuple[str, ...] = ()
    """From the outermost to the nearest."""


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text of one place. All pieces of a document, joined by nothing, are its text."""

    text: str
    place: Place = NOWHERE
