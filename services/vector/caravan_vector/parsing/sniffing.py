"""Of which kind a document is: its content decides what it can be, its name and declared type what it should be."""

from __future__ import annotations

import zipfile
from typing import BinaryIO

from caravan_vector.parsing.errors import InvalidFile, UnsupportedFile
from caravan_vector.parsing.types import (
    BY_CONTENT,
    BY_TYPE,
    PLAIN,
    SAYS_NOTHING,
    Content,
    Kind,
    bare,
    by_filename,
    by_media_type,
    supported,
)

HEAD = 8192
"""Bytes that are looked at."""
_MARKS: tuple[tuple[bytes, Content, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Content.OTHER, "an Office document of before 2007, or an encrypted one"),
    (b"{\\rtf", Content.OTHER, "RTF"),
    (b"PK\x05\x06", Content.OTHER, "an empty archive"),
    (b"\x1f\x8b", Content.OTHER, "gzip"),
    (b"\x7fELF", Content.OTHER, "a program"),
)
_IMAGES: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
)
_NO_OCR = "; for images, install the extra ocr of caravan-vector (make setup INSTALL_OCR=1)"
_OFFICE = (
    ("word/document.xml", Content.DOCX),
    ("ppt/presentation.xml", Content.PPTX),
    ("xl/workbook.xml", Content.XLSX),
)
_WIDE = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
"""Byte order marks of texts in which zero bytes are no surprise."""
_CONTROL = bytes(set(range(32)) - set(b"\t\n\r\f\x0b\x1b\x08"))


def decide(file: BinaryIO, declared: str | None, filename: str | None) -> Kind:
    """The kind of an open document; the file is left at its beginning.

    Raises UnsupportedFile for what nothing reads, InvalidFile when the content is not what was said.
    """
    head = file.read(HEAD)
    if not head:
        raise InvalidFile("the file is empty")
    content, looks = _content(file, head)
    file.seek(0)
    named, said = by_filename(filename), by_media_type(declared)
    _refuse_strange(declared, named, content, looks)
    for meant in (named, said):
        if meant is not None and meant.content is not content:
            raise InvalidFile(f"the file is said to be {meant.media_type}, but its content is {looks}")
    if content is Content.TEXT:
        return _text_kind(head, named, said)
    kind = BY_TYPE[f"image/{_image(head)}"] if content is Content.IMAGE else BY_CONTENT.get(content)
    if kind is None or not kind.parser:
        ocr = _NO_OCR if content is Content.IMAGE else ""
        raise UnsupportedFile(f"the file is {looks}, which is not read{ocr}; these are: {', '.join(supported())}")
    return kind


def _refuse_strange(declared: str | None, named: Kind | None, content: Content, looks: str) -> None:
    """A declared type that is not in the table counts, unless the name or a text's family says what it is."""
    name = bare(declared)
    known = name in SAYS_NOTHING or name in BY_TYPE or named is not None
    if not known and not (content is Content.TEXT and name.startswith("text/")):
        raise UnsupportedFile(f"files of the type {name} are not read; these are: {', '.join(supported())}")


def _content(file: BinaryIO, head: bytes) -> tuple[Content, str]:
    """What it looks like, and how to call it in an error."""
    for mark, content, looks in _MARKS:
        if head.startswith(mark):
            return content, looks
    if image := _image(head):
        return Content.IMAGE, f"a {image.upper()} image"
    if b"%PDF-" in head[:1024]:
        return Content.PDF, "a PDF"
    if head.startswith(b"PK\x03\x04"):
        return _archive(file)
    if not head.startswith(_WIDE) and head.translate(None, _CONTROL) != head:
        return Content.OTHER, "binary, of no known type"
    return Content.TEXT, "text"


def _image(head: bytes) -> str:
    """The subtype of an image's media type; "" = it is none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    return next((subtype for mark, subtype in _IMAGES if head.startswith(mark)), "")


def _archive(file: BinaryIO) -> tuple[Content, str]:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.NameToInfo
            found = next((content for name, content in _OFFICE if name in names), None)
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        raise InvalidFile(f"the archive cannot be read: {error}") from error
    if found is None:
        return Content.OTHER, "an archive that is no Office document"
    return found, f"a {found} document"


def _text_kind(head: bytes, named: Kind | None, said: Kind | None) -> Kind:
    """A name says more than a declared type: browsers and clients declare much as text/plain."""
    if named is not None:
        return named
    if said is not None and said is not PLAIN:
        return said
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if said is None and start.startswith((b"<!doctype html", b"<html")):
        return BY_TYPE["text/html"]
    return PLAIN
