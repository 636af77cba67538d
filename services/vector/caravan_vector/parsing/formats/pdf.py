"""PDF, by PDFium; pages that were scanned by OCR, where it is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.ocr import SIDE, Reader
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import Piece, Place
from caravan_vector.parsing.types import OCR

AT_ONCE = 8192
"""Characters taken from a page at a time."""
ENCRYPTED = 4
"""PDFium's FPDF_ERR_PASSWORD."""
SHARPEST = 300 / 72
"""Pixels for each of a PDF's points, of which an inch has 72."""
NESTED = 3
"""Forms inside each other in which images are looked for."""


def read(document: Opened) -> Iterator[Piece]:
    """Page by page. A page that cannot be read fails the document: half of it would look like all of it."""
    pdf = _opened(document)
    reader = Reader(document) if OCR and document.limits.ocr_pages else None
    try:
        document.count_pages(len(pdf))
        for number in range(len(pdf)):
            yield from _page(pdf, number, reader)
    finally:
        pdf.close()


def _opened(document: Opened) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(document.file)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == ENCRYPTED or "password" in str(error).lower():
            raise InvalidFile("the PDF is protected by a password") from error
        raise InvalidFile(f"the PDF cannot be opened: {error}") from error


def _page(pdf: pypdfium2.PdfDocument, number: int, reader: Reader | None) -> Iterator[Piece]:
    place, blank = Place(page=number + 1), True
    try:
        page = pdf[number]
        text = page.get_textpage()
        length = text.count_chars()
        for start in range(0, length, AT_ONCE):
            part = text.get_text_range(start, min(AT_ONCE, length - start), errors="replace")
            blank = blank and not part.strip()
            yield Piece(part.replace("\r\n", "\n").replace("\ufffe", "-"), place)
        if length:
            yield Piece("\n\n", place)
        text.close()
        if blank and reader is not None:
            yield from _scanned(page, reader, place)
        page.close()
    except pypdfium2.PdfiumError as error:
        raise InvalidFile(f"page {number + 1} of the PDF cannot be read: {error}") from error


def _scanned(page: pypdfium2.PdfPage, reader: Reader, place: Place) -> Iterator[Piece]:
    """A page without text: if there is an image on it, it may be one of text."""
    if not any(page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE], max_depth=NESTED)):
        return
    picture = page.render(scale=min(SHARPEST, SIDE / max(1.0, *page.get_size()))).to_pil()
    for line in reader.lines(picture):
        yield Piece(line + "\n", place)
    yield Piece("\n", place)
