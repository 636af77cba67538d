"""Presentations: the text of each slide, in their order, then its notes."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.formats.packed import events, local, relations, unpacked
from caravan_vector.parsing.pieces import Piece, Place

DECK = "ppt/presentation.xml"


def read(document: Opened) -> Iterator[Piece]:
    """Slide by slide."""
    with unpacked(document) as archive:
        slides = _slides(archive)
        document.count_pages(len(slides), "slides")
        for number, name in enumerate(slides, 1):
            place = Place(slide=number)
            for line in _lines(archive, name):
                yield Piece(line, place)
            for note in _notes(archive, name):
                for line in _lines(archive, note):
                    yield Piece(line, place)
            yield Piece("\n", place)


def _slides(archive: zipfile.ZipFile) -> list[str]:
    """Members of the slides, as they are shown."""
    targets = relations(archive, DECK)
    shown = [element for event, element in events(archive, DECK) if event == "start" and local(element) == "sldId"]
    return [targets[found] for found in map(_relation, shown) if found in targets]


def _relation(element: Element) -> str:
    """`r:id`, which stands beside an `id` without a namespace."""
    return next((value for key, value in element.items() if key.endswith("}id")), "")


def _notes(archive: zipfile.ZipFile, slide: str) -> list[str]:
    folder, _, base = slide.rpartition("/")
    if f"{folder}/_rels/{base}.rels" not in archive.NameToInfo:
        return []
    return [name for name in relations(archive, slide).values() if "/notesSlides/" in name]


def _lines(archive: zipfile.ZipFile, name: str) -> Iterator[str]:
    """Paragraphs, and rows of tables, as lines. Fields, such as the number of a slide, are left out."""
    text: list[str] = []
    cells: list[str] | None = None
    fields = 0
    for event, element in events(archive, name):
        tag = local(element)
        if tag == "fld":
            fields += 1 if event == "start" else -1
        elif event == "start":
            cells = [] if tag == "tr" else cells
        elif tag in ("t", "br") and not fields:
            text.append("\n" if tag == "br" else element.text or "")
        elif tag in ("p", "tc", "tr"):
            yield from _closed(tag, text, cells)
            cells = None if tag == "tr" else cells
        if event == "end":
            element.clear()


def _closed(tag: str, text: list[str], cells: list[str] | None) -> Iterator[str]:
    """The lines that the end of a paragraph, a cell or a row brings."""
    if tag == "tr":
        if cells and any(cells):
            yield " | ".join(cells) + "\n"
    elif cells is None:
        if line := "".join(text).strip():
            yield line + "\n"
        text.clear()
    elif tag == "p":
        text.append(" ")
    else:
        cells.append(" ".join("".join(text).split()))
        text.clear()
