"""Documents made to hurt: each is one error that says what was wrong, or is read."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from caravan_vector.parsing.errors import InvalidFile
from caravan_vector.parsing.pool import ParserPool

from tests.parsing import making
from tests.parsing.conftest import SMALL, MakePool, Text, read

BODY = "word/document.xml"


async def refused(pool: ParserPool, path: Path) -> InvalidFile:
    with pytest.raises(InvalidFile) as caught:
        await read(pool, path)
    return caught.value


async def test_a_zip_bomb(pool: ParserPool, tmp_path: Path) -> None:
    path = making.archive(tmp_path / "a.docx", {BODY: b"<w/>", "word/media/a.bin": bytes(16 * 1024 * 1024)})
    assert path.stat().st_size < 100_000
    assert (await refused(pool, path)).bound == "unpacked_bytes"


async def test_a_zip_that_lies_about_its_size(pool: ParserPool, tmp_path: Path) -> None:
    """The member gives no more than its entry says, which breaks its XML off."""
    path = making.docx(tmp_path / "a.docx", "<w:p/>" + " " * (16 * 1024 * 1024))
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo(BODY).file_size
    path.write_bytes(path.read_bytes().replace(size.to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    assert "is no XML" in (message := (await refused(pool, path)).message) or "cannot be read" in message


async def test_an_archive_of_very_many_members(pool: ParserPool, tmp_path: Path) -> None:
    path = making.archive(tmp_path / "a.docx", {BODY: b"<w/>", **{f"word/{n}": b"" for n in range(10_001)}})
    assert (await refused(pool, path)).bound == "members"


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;&x;&x;&x;&x;&x;&x;"><!ENTITY z "&y;&y;&y;&y;&y;&y;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://127.0.0.1:1/a.dtd">',
    ],
    ids=["billion laughs", "external entity", "external type"],
)
async def test_entities(pool: ParserPool, tmp_path: Path, prolog: str) -> None:
    path = making.archive(tmp_path / "a.docx", {BODY: f"{prolog}<a>&z;</a>".encode()})
    assert "document type or entities" in (await refused(pool, path)).message


async def test_entities_in_a_workbook(pool: ParserPool, tmp_path: Path) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY x "lol"><!ENTITY y "&x;&x;">]><workbook>&y;</workbook>'
    path = making.archive(tmp_path / "a.xlsx", {"[Content_Types].xml": bomb, "xl/workbook.xml": bomb})
    assert "cannot be" in (await refused(pool, path)).message


async def test_xml_nested_very_deeply(pool: ParserPool, tmp_path: Path) -> None:
    path = making.docx(tmp_path / "a.docx", "<w:p>" * 100_000)
    assert "elements inside each other" in (await refused(pool, path)).message


async def test_xml_that_breaks_off(pool: ParserPool, tmp_path: Path) -> None:
    path = making.archive(tmp_path / "a.docx", {BODY: b"<a><b>"})
    assert "is no XML" in (await refused(pool, path)).message


async def test_a_pdf_of_very_many_pages(pool: ParserPool, tmp_path: Path) -> None:
    path = making.pdf(tmp_path / "a.pdf", ["x"] * 10_000)
    error = await refused(pool, path)
    assert error.bound == "pages" and "10000 pages, more than 50" in error.message


@pytest.mark.parametrize("junk", [b"%PDF-1.7\n", b"%PDF-1.7\n" + b"\xff" * 5000, b"%PDF-1.4\n1 0 obj << /Pages 1 0 R"])
async def test_a_pdf_that_is_none(pool: ParserPool, tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(junk)
    assert "PDF cannot be opened" in (await refused(pool, path)).message


async def test_a_pdf_whose_pages_hold_each_other(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(
        b"%PDF-1.7\n1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n"
        b"2 0 obj << /Type /Pages /Kids [2 0 R 2 0 R 2 0 R] /Count 40 /Parent 2 0 R >> endobj\n"
        b"trailer << /Root 1 0 R >>\n%%EOF"
    )
    assert "page 1 of the PDF cannot be read" in (await refused(pool, path)).message


async def test_a_pdf_whose_form_draws_itself(text: Text, tmp_path: Path) -> None:
    form = b"/XObject << /X 5 0 R >>"
    stream = b"/X Do " * 1000 + b"BT /F1 12 Tf (seen) Tj ET"
    path = making.raw_pdf(tmp_path / "a.pdf", [stream], b"/Type /Font /Subtype /Type1 /BaseFont /Helvetica", form)
    assert "seen" in await text(path)


@pytest.mark.parametrize(
    "font",
    [
        b"/Type /Font /Subtype /TrueType /BaseFont /Nowhere /FontDescriptor 99 0 R /ToUnicode 98 0 R",
        b"/Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [3 0 R]",
        b"/Type /Font /Subtype /Type3 /CharProcs << /a 3 0 R >> /FontMatrix [0 0 0 0 0 0] /Encoding 3 0 R",
    ],
)
async def test_a_pdf_with_a_broken_font_is_read_without_its_text_at_worst(
    text: Text, tmp_path: Path, font: bytes
) -> None:
    assert isinstance(await text(making.pdf(tmp_path / "a.pdf", ["words"], font)), str)


async def test_a_pdf_that_packs_very_much_into_a_stream(pool: ParserPool, tmp_path: Path) -> None:
    stream = b"BT /F1 1 Tf " + b"(all work and no play) Tj " * 1_000_000 + b"ET"
    path = making.raw_pdf(tmp_path / "a.pdf", [stream], b"/Type /Font /Subtype /Type1 /BaseFont /Helvetica")
    assert path.stat().st_size < 200_000
    error = await refused(pool, path)
    assert error.bound in {"text_bytes", "memory_bytes", "cpu_seconds"} or "of memory" in error.message


async def test_html_nested_very_deeply(text: Text, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<html>" + "<div>" * 3_000 + "down here")
    assert await text(path) == "down here\n"


async def test_html_nested_so_deeply_that_its_parser_takes_for_ever(make_pool: MakePool, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text("<html>" + "<div>" * 300_000 + "down here")
    pool = make_pool(limits=replace(SMALL, cpu_seconds=1))
    assert (await refused(pool, path)).bound == "cpu_seconds"


async def test_a_cell_that_never_ends(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"' + "x\n" * 1_000_000)
    assert "field larger" in (await refused(pool, path)).message


async def test_a_sheet_with_a_cell_at_its_far_end(pool: ParserPool, tmp_path: Path) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    book.active["XFD1048576"] = "far"
    book.save(tmp_path / "a.xlsx")
    assert any("far" in piece.text for piece in await read(pool, tmp_path / "a.xlsx"))
