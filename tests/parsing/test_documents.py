"""What a reader of each format gets, from documents that the formats' own libraries made or that Debian ships."""

from __future__ import annotations

import json
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from caravan_vector.parsing.pieces import Piece, Place
from caravan_vector.parsing.pool import ParserPool
from pptx.util import Inches

from tests.parsing import making
from tests.parsing.conftest import Text, read

DEBIAN = Path("/usr/share/doc")


def place_of(pieces: list[Piece], words: str) -> Place:
    return next(piece.place for piece in pieces if words in piece.text)


async def test_pdf_pages(pool: ParserPool, tmp_path: Path) -> None:
    pieces = await read(pool, making.pdf(tmp_path / "a.pdf", ["The first page", "The second page"]))
    assert place_of(pieces, "first") == Place(page=1) and place_of(pieces, "second") == Place(page=2)
    assert "".join(piece.text for piece in pieces).split() == ["The", "first", "page", "The", "second", "page"]


@pytest.mark.skipif(not (DEBIAN / "libtasn1-doc/libtasn1.pdf").exists(), reason="this machine has no such document")
async def test_a_pdf_that_tex_made(pool: ParserPool) -> None:
    pieces = await read(pool, DEBIAN / "libtasn1-doc/libtasn1.pdf")
    text = "".join(piece.text for piece in pieces)
    assert "Abstract Syntax Notation One (ASN.1) library for the GNU system" in text
    assert len(text) > 50_000 and max(piece.place.page or 0 for piece in pieces) > 30


async def test_docx_headings_tables_and_their_order(pool: ParserPool, tmp_path: Path) -> None:
    made = docx.Document()
    made.add_heading("Ships", 0)
    made.add_heading("Sails", 1)
    made.add_paragraph("Of linen.")
    made.add_heading("Small ones", 2)
    table = made.add_table(rows=2, cols=2)
    for number, words in enumerate(["kind", "area", "jib", "12 m²"]):
        table.cell(number // 2, number % 2).text = words
    made.add_heading("Ropes", 1)
    made.add_paragraph("Of hemp\tand tar.")
    made.save(str(tmp_path / "ships.docx"))
    pieces = await read(pool, tmp_path / "ships.docx")
    text = "".join(piece.text for piece in pieces)
    assert text == (
        "Ships\n\nSails\n\nOf linen.\n\nSmall ones\n\nkind | area\njib | 12 m²\nRopes\n\nOf hemp\tand tar.\n\n"
    )
    assert place_of(pieces, "jib").headings == ("Ships", "Sails", "Small ones")
    assert place_of(pieces, "hemp").headings == ("Ships", "Ropes")


async def test_docx_text_boxes_and_notes_but_nothing_deleted(text: Text, tmp_path: Path) -> None:
    body = (
        "<w:p><w:r><w:t>before </w:t></w:r><w:r><w:AlternateContent><w:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p>"
        "</w:Choice><w:Fallback><w:p><w:r><w:t>box again</w:t></w:r></w:p></w:Fallback></w:AlternateContent></w:r>"
        "<w:r><w:t>after</w:t></w:r><w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>"
    )
    notes = f'<w:footnotes xmlns:w="{making.WORD}"><w:p><w:r><w:t>A note.</w:t></w:r></w:p></w:footnotes>'
    path = making.docx(tmp_path / "a.docx", body, footnotes=notes)
    assert await text(path) == "box\n\nbefore after\n\nA note.\n\n"


async def test_pptx_slides_tables_and_notes(pool: ParserPool, tmp_path: Path) -> None:
    deck = pptx.Presentation()
    first = deck.slides.add_slide(deck.slide_layouts[0])
    first.shapes.title.text = "A talk"
    first.notes_slide.notes_text_frame.text = "Say hello."
    second = deck.slides.add_slide(deck.slide_layouts[5])
    second.shapes.title.text = "Numbers"
    table = second.shapes.add_table(1, 2, Inches(1), Inches(1), Inches(4), Inches(1)).table
    table.cell(0, 0).text, table.cell(0, 1).text = "one", "two"
    deck.save(str(tmp_path / "talk.pptx"))
    pieces = await read(pool, tmp_path / "talk.pptx")
    assert place_of(pieces, "Say hello.") == place_of(pieces, "A talk") == Place(slide=1)
    assert place_of(pieces, "one | two\n") == Place(slide=2)


async def test_xlsx_sheets(pool: ParserPool, tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.title = "Boats"
    book.active.append(["name", "length", None])
    book.active.append(["Ann", 7.5, None, "red"])
    book.create_sheet("Crew").append(["Bo", True])
    book.save(tmp_path / "fleet.xlsx")
    pieces = await read(pool, tmp_path / "fleet.xlsx")
    assert place_of(pieces, "Ann | 7.5 |  | red\n") == Place(sheet="Boats")
    assert place_of(pieces, "Bo | True") == Place(sheet="Crew")


async def test_html_is_what_one_sees(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<!doctype html><title>t</title><style>p{}</style><script>var a='<p>no</p>'</script><body><h1>One</h1>"
        "<p>Some <b>bold</b>\n words<br>here &amp; there</p><h2>Two<!-- no --></h2><ul><li>a<li>b</ul>"
        "<table><tr><th>k<th>v<tr><td>1<td>2</table><pre>x\n  y</pre><noscript>no</noscript>",
        encoding="utf-8",
    )
    pieces = await read(pool, path)
    assert "".join(piece.text for piece in pieces) == (
        "One\n\nSome bold words\nhere & there\n\nTwo\n\n- a\n- b\nk | v\n1 | 2\nx\n  y\n\n"
    )
    assert place_of(pieces, "1 | 2").headings == ("One", "Two")


async def test_html_rows_stay_whole(text: Text, tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(
        "<html><table><tr><td><p>a<br>b</p></td><td><div>c</div></td></tr><tr><td>"
        "<table><tr><td>in<td>side</table></td><td>d</td></tr></table><p>after"
    )
    assert await text(path) == "a b | c\nin | side\n| d\nafter\n\n"


async def test_markdown_headings_but_not_in_code(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text("intro\n# A\ntext\n```sh\n# no heading\n```\n## B ##\nmore\n# C\nend")
    pieces = await read(pool, path)
    assert "".join(piece.text for piece in pieces) == path.read_text()
    assert place_of(pieces, "intro").headings == ()
    assert place_of(pieces, "no heading").headings == ("A",)
    assert place_of(pieces, "more").headings == ("A", "B")
    assert place_of(pieces, "end").headings == ("C",)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1251", "shift_jis", "cp1252"]
)
async def test_encodings(text: Text, tmp_path: Path, encoding: str) -> None:
    words = {
        "cp1251": "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний. ",
        "shift_jis": "いろはにほへと ちりぬるを わかよたれそ つねならむ 日本語の文章はここにあります。",
        "cp1252": "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. À côté d’un café, déjà vu. ",
    }.get(encoding, "Grüße, мир, 世界! ")
    said = words * 20
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    path = tmp_path / "a.txt"
    path.write_bytes((mark + said).encode(encoding))
    assert (await text(path)) == said


async def test_line_ends_become_one_kind(text: Text, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x" * 65_535 + b"\r\na\rb\nc\r")
    assert (await text(path)).lstrip("x") == "\na\nb\nc\n"


async def test_tables_of_text(text: Text, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('name;says\n"Ann";"hello;\nyou"\n;\n')
    assert await text(path) == "name | says\nAnn | hello; you\n"
    path = tmp_path / "a.tsv"
    path.write_text("a\tb\n1\t2")
    assert await text(path) == "a | b\n1 | 2\n"


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.py", "a.yaml", "a.xml", "a.rs", "noname"])
async def test_what_is_text_stays_as_it_is(text: Text, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(json.dumps({"a": "ü"}, ensure_ascii=False) + "\n")
    assert await text(path) == path.read_text()
