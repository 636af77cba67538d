"""Word documents: paragraphs, headings and tables in their order, read as the XML comes."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from caravan_vector.parsing.formats.headings import Headings
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.formats.packed import attribute, events, local, unpacked
from caravan_vector.parsing.pieces import Piece

BODY = "word/document.xml"
STYLES = "word/styles.xml"
NOTES = ("word/footnotes.xml", "word/endnotes.xml")
_NAME = re.compile(r"heading (\d)", re.IGNORECASE)
_SAYS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}


def read(document: Opened) -> Iterator[Piece]:
    """The body, then foot- and endnotes. Comments, headers, footers and deleted text are left out."""
    with unpacked(document) as archive:
        levels = _levels(archive) if STYLES in archive.NameToInfo else {}
        headings = Headings()
        for name in (BODY, *NOTES):
            if name in archive.NameToInfo:
                yield from _Reader(levels, headings).pieces(events(archive, name))


def _levels(archive: zipfile.ZipFile) -> dict[str, int]:
    """Style id -> level, of the styles that make headings."""
    found: dict[str, int] = {}
    for event, element in events(archive, STYLES):
        if event != "end" or local(element) != "style":
            continue
        names = [attribute(child, "val") or "" for child in element if local(child) == "name"]
        if names and (match := _NAME.fullmatch(names[0])):
            found[attribute(element, "styleId") or ""] = int(match[1])
        elif names and names[0].lower() == "title":
            found[attribute(element, "styleId") or ""] = 0
        element.clear()
    return found


@dataclass(slots=True)
class _Paragraph:
    text: list[str] = field(default_factory=list)
    level: int | None = None


class _Reader:
    """The paragraphs (a text box has some of its own), rows and cells that are open.

    What stands in a Fallback says once more what stood before it, for programs that do not know it.
    """

    def __init__(self, levels: dict[str, int], headings: Headings) -> None:
        self._levels = levels
        self._headings = headings
        self._paragraphs: list[_Paragraph] = []
        self._fallbacks = 0
        self._rows: list[list[str]] = []
        self._cells: list[list[str]] = []

    def pieces(self, found: Iterator[tuple[str, Element]]) -> Iterator[Piece]:
        open_elements: list[Element] = []
        for event, element in found:
            if event == "start":
                open_elements.append(element)
                self._start(local(element))
                continue
            open_elements.pop()
            yield from self._end(local(element), element)
            element.clear()
            if open_elements:
                open_elements[-1].remove(element)

    def _start(self, name: str) -> None:
        if name == "p":
            self._paragraphs.append(_Paragraph())
        elif name == "Fallback":
            self._fallbacks += 1
        elif name == "tr":
            self._rows.append([])
        elif name == "tc":
            self._cells.append([])

    def _end(self, name: str, element: Element) -> Iterator[Piece]:
        if name == "Fallback":
            self._fallbacks -= 1
        elif name == "p" and self._paragraphs:
            yield from self._paragraph(self._paragraphs.pop())
        elif name == "tc" and self._cells:
            cell = " ".join(" ".join(self._cells.pop()).split())
            if self._rows:
                self._rows[-1].append(cell)
        elif name == "tr" and self._rows:
            yield from self._row(" | ".join(self._rows.pop()))
        elif self._paragraphs and not self._fallbacks:
            self._inside(self._paragraphs[-1], name, element)

    def _inside(self, paragraph: _Paragraph, name: str, element: Element) -> None:
        if name == "t":
            paragraph.text.append(element.text or "")
        elif name in _SAYS:
            paragraph.text.append(_SAYS[name])
        elif name == "pStyle":
            paragraph.level = self._levels.get(attribute(element, "val") or "")

    def _paragraph(self, paragraph: _Paragraph) -> Iterator[Piece]:
        text = "".join(paragraph.text).strip()
        if not text:
            return
        if self._cells:
            self._cells[-1].append(text)
            return
        if paragraph.level is not None:
            self._headings.enter(paragraph.level, text)
        yield Piece(text + "\n\n", self._headings.place)

    def _row(self, text: str) -> Iterator[Piece]:
        if self._cells:  # a table in a cell of another
            self._cells[-1].append(text)
        elif text.strip(" |"):
            yield Piece(text + "\n", self._headings.place)
