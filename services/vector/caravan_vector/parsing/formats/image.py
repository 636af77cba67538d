"""Images, decoded by Pillow and read by OCR."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from PIL import Image, ImageOps

from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.formats.ocr import SIDE, Reader
from caravan_vector.parsing.formats.opened import Opened
from caravan_vector.parsing.pieces import NOWHERE, Piece, Place

FORMATS = ("PNG", "JPEG", "TIFF", "GIF", "WEBP")
Image.MAX_IMAGE_PIXELS = None  # the bound is `Limits.pixels`


def read(document: Opened) -> Iterator[Piece]:
    """Line by line: each page of a TIFF, the first frame of others. Raises InvalidFile when there is no text at all."""
    reader, empty = Reader(document), True
    for picture, place in _pages(document):
        for line in reader.lines(picture):
            empty = False
            yield Piece(line + "\n", place)
        yield Piece("\n", place)
    if empty:
        raise InvalidFile("no text was found in the image")


def _pages(document: Opened) -> Iterator[tuple[Image.Image, Place]]:
    with _opened(document) as image:
        for number in count():
            _check(image, document.limits.pixels)
            yield _decoded(image), Place(page=number + 1) if image.format == "TIFF" else NOWHERE
            if image.format != "TIFF" or not _seek(image, number + 1):
                return


def _opened(document: Opened) -> Image.Image:
    try:
        return Image.open(document.file, formats=FORMATS)
    except Exception as error:  # its own words may name our paths
        raise InvalidFile("the image cannot be decoded: its header is broken") from error


def _check(image: Image.Image, most: int) -> None:
    """By the header, before anything is decoded."""
    width, height = image.size
    if width * height > most:
        raise InvalidFile(f"the image has {width} x {height} pixels, more than {most}", bound="pixels")


def _seek(image: Image.Image, number: int) -> bool:
    try:
        image.seek(number)
    except EOFError:
        return False
    except Exception as error:
        raise InvalidFile(f"page {number + 1} of the image cannot be read: {error}") from error
    return True


def _decoded(image: Image.Image) -> Image.Image:
    """No larger than OCR takes it, upright, as RGB, or RGBA where one can look through it."""
    try:
        image.draft("RGB", (SIDE, SIDE))
        image.load()
        made: Image.Image = image
        if image.mode.startswith("I;16"):
            made = image.point(lambda value: value / 256).convert("L")
        made = made.convert("RGBA" if image.has_transparency_data else "RGB")
        made.thumbnail((SIDE, SIDE))
        return ImageOps.exif_transpose(made)
    except MemoryError:
        raise
    except Exception as error:
        raise InvalidFile(f"the image cannot be decoded: {error}") from error
