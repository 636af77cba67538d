"""PDF, by PDFium."""

from __future__ import annotations

from collections.abc import Iterator

import pypdfium2

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import Piece, Place

AT_ONCE = 8192
"""Characters taken from a page at a time."""
ENCRYPTED = 4
"""PDFium's FPDF_ERR_PASSWORD."""


def read(document: Opened) -> Iterator[Piece]:
    """Page by page. A page that cannot be read fails the document: half of it would look like all of it."""
    pdf = _opened(document)
    try:
        document.count_pages(len(pdf))
        for number in range(len(pdf)):
            yield from _page(pdf, number)
    finally:
        pdf.close()


def _opened(document: Opened) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(document.file)
    except pypdfium2.PdfiumError as error:
        if getattr(error, "err_code", None) == ENCRYPTED or "password" in str(error).lower():
            raise InvalidFile("the PDF is protected by a password") from error
        raise InvalidFile(f"the PDF cannot be opened: {error}") from error


def _page(pdf: pypdfium2.PdfDocument, number: int) -> Iterator[Piece]:
    place = Place(page=number + 1)
    try:
        page = pdf[number]
        text = page.get_textpage()
        length = text.count_chars()
        for start in range(0, length, AT_ONCE):
            part = text.get_text_range(start, min(AT_ONCE, length - start), errors="replace")
            yield Piece(part.replace("\r\n", "\n").replace("\ufffe", "-"), place)
        if length:
            yield Piece("\n\n", place)
        text.close()
        page.close()
    except pypdfium2.PdfiumError as error:
        raise InvalidFile(f"page {number + 1} of the PDF cannot be read: {error}") from error
