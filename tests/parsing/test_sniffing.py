"""Of which kind a document is."""

from __future__ import annotations

import io
import zipfile

import pytest
from caravan_vector.parsing.errors import InvalidFile, UnsupportedFile
from caravan_vector.parsing.sniffing import decide
from caravan_vector.parsing.types import OCR, OOXML, TABLE, by_filename, supported

DOCX = f"{OOXML}.wordprocessingml.document"


def packed(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


WORD = packed("word/document.xml")


@pytest.mark.parametrize(
    ("content", "declared", "filename", "kind"),
    [
        (b"%PDF-1.7", None, "", "application/pdf"),
        (b"\n\n%PDF-1.7", "application/octet-stream", "a.PDF", "application/pdf"),
        (WORD, None, "", DOCX),
        (WORD, "application/zip", "a.docx", DOCX),
        (packed("xl/workbook.xml"), "", "a.xlsx", f"{OOXML}.spreadsheetml.sheet"),
        (packed("ppt/presentation.xml"), "", "", f"{OOXML}.presentationml.presentation"),
        (b"hello", None, "", "text/plain"),
        (b"hello", "text/plain; charset=utf-8", "a.md", "text/markdown"),
        (b"hello", "text/markdown", "a.unknown", "text/markdown"),
        (b"hello", "text/x-never-heard-of", "", "text/plain"),
        (b"hello", "application/x-never-heard-of", "a.py", "text/x-python"),
        (b"\xef\xbb\xbf <!DOCTYPE HTML>", None, "", "text/html"),
        (b"<html>", "text/plain", "", "text/plain"),
        ("hello".encode("utf-16"), None, "a.txt", "text/plain"),
        (b"{}", "TEXT/JSON", "", "application/json"),
    ],
)
def test_decided(content: bytes, declared: str | None, filename: str, kind: str) -> None:
    file = io.BytesIO(content)
    assert decide(file, declared, filename).media_type == kind
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("content", "declared", "filename", "says"),
    [
        (b"hello", "application/pdf", "", "said to be application/pdf, but its content is text"),
        (b"%PDF-1.7", "text/plain", "", "said to be text/plain, but its content is a PDF"),
        (b"%PDF-1.7", None, "a.docx", "but its content is a PDF"),
        (WORD, None, "a.xlsx", "but its content is a docx document"),
        (b"\x89PNG\r\n\x1a\n", None, "a.txt", "but its content is a PNG image"),
        (b"a\x00b", None, "a.txt", "but its content is binary"),
        (b"", "text/plain", "a.txt", "is empty"),
        (b"PK\x03\x04junk", None, "a.docx", "archive cannot be read"),
    ],
)
def test_a_mismatch_is_an_invalid_file(content: bytes, declared: str | None, filename: str, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        decide(io.BytesIO(content), declared, filename)


@pytest.mark.parametrize(
    ("content", "declared", "filename", "says"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/msword", "a.doc", "application/msword are not read"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", None, "a.doc", "Office document of before 2007"),
        (packed("a.txt"), "application/zip", "", "an archive that is no Office document"),
        (b"\x00\x01\x02", None, "", "binary, of no known type"),
        (b"x", "video/mp4", "a.mp4", "video/mp4 are not read; these are: application/json, "),
    ],
)
def test_what_is_not_read(content: bytes, declared: str | None, filename: str, says: str) -> None:
    with pytest.raises(UnsupportedFile, match=says):
        decide(io.BytesIO(content), declared, filename)


IMAGES = [
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff\xe0", "image/jpeg"),
    (b"GIF89a", "image/gif"),
    (b"MM\x00*", "image/tiff"),
    (b"RIFF\x00\x00\x00\x00WEBP", "image/webp"),
]


@pytest.mark.skipif(OCR, reason="the extra ocr is installed")
@pytest.mark.parametrize(("content", "media_type"), IMAGES)
def test_images_are_not_read_without_ocr(content: bytes, media_type: str) -> None:
    with pytest.raises(UnsupportedFile, match="install the extra ocr of caravan-vector"):
        decide(io.BytesIO(content), media_type, "")
    assert media_type not in supported()


@pytest.mark.skipif(not OCR, reason="the extra ocr is not installed (make setup INSTALL_OCR=1)")
@pytest.mark.parametrize(("content", "media_type"), IMAGES)
def test_images_are_read_with_ocr_whatever_they_are_called(content: bytes, media_type: str) -> None:
    assert decide(io.BytesIO(content), "image/png", "a.jpg").media_type == media_type
    assert media_type in supported()


def test_the_table_says_nothing_twice() -> None:
    names = [name for kind in TABLE for name in (kind.media_type, *kind.aliases)]
    extensions = [extension for kind in TABLE for extension in kind.extensions]
    assert len(set(names)) == len(names) and len(set(extensions)) == len(extensions)


def test_the_list_of_types_comes_from_the_table() -> None:
    assert {"application/pdf", DOCX, "text/markdown", "application/json"} <= set(supported())
    assert by_filename("a.tar.PNG") is not None and by_filename("png") is None
