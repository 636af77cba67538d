"""What one document may cost."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one document, all of them above zero."""

    file_bytes: int = 512 * MIB
    """Of the document as it was uploaded."""
    text_bytes: int = 64 * MIB
    """Of the text that comes out, as UTF-8."""
    pages: int = 5_000
    """Pages, slides or sheets."""
    unpacked_bytes: int = 512 * MIB
    """Of all that an archive (docx, pptx, xlsx) says it holds."""
    members: int = 10_000
    """Of such an archive."""
    seconds: float = 120.0
    """That a worker may keep its reader waiting, all in all; how long the reader itself takes does not count."""
    cpu_seconds: int = 60
    """Of a processor."""
    pixels: int = 40_000_000
    """Of an image, or of one page of it."""
    ocr_pages: int = 30
    """Images and scanned pages of one document that are read by OCR."""
    ocr_seconds: int = 30
    """That each of them adds to `seconds` and to `cpu_seconds`."""
    memory_bytes: int = 1024 * MIB
    """Address space of a worker, its libraries included (30 to 70 MiB; with OCR up to 1 GiB)."""
