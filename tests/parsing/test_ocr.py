"""Images and scanned pages, with the models that the extra `ocr` brings. What is read is drawn here."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from caravan_vector.parsing.errors import InvalidFile, UnsupportedFile
from caravan_vector.parsing.limits import MIB, Limits
from caravan_vector.parsing.pieces import Place
from caravan_vector.parsing.pool import ParserPool
from caravan_vector.parsing.types import supported
from PIL import Image, ImageDraw, ImageFont

from tests.parsing import making
from tests.parsing.conftest import MakePool, read
from tests.parsing.test_damaged import damaged

pytest.importorskip("rapidocr", reason="the extra ocr is not installed (make setup INSTALL_OCR=1)")
pytest.importorskip("onnxruntime")

PATIENCE = 110
"""Seconds: OCR takes some of a processor, which other tests share."""
WIDE = Limits()
"""What a service has that sets nothing."""
LINES = ("The ship leaves at noon", "with seven sails and", "a crew of nineteen")


def drawn(
    lines: Sequence[str] = LINES, ink: object = "black", paper: object = "white", mode: str = "RGB"
) -> Image.Image:
    picture = Image.new(mode, (640, 60 + 50 * len(lines)), paper)
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(30)
    for number, line in enumerate(lines):
        pen.text((30, 30 + 50 * number), line, fill=ink, font=font)
    return picture


@pytest.fixture
def pool(make_pool: MakePool) -> ParserPool:
    return make_pool(limits=WIDE)


async def lines(pool: ParserPool, path: Path) -> tuple[str, ...]:
    text = "".join(piece.text for piece in await read(pool, path, patience=PATIENCE))
    return tuple(line for line in text.split("\n") if line)


async def refused(pool: ParserPool, path: Path) -> InvalidFile:
    with pytest.raises(InvalidFile) as caught:
        await read(pool, path, patience=PATIENCE)
    assert str(path) not in caught.value.message
    return caught.value


async def test_each_format(pool: ParserPool, tmp_path: Path) -> None:
    for suffix in ("png", "jpg", "tiff", "gif", "webp"):
        path = tmp_path / f"a.{suffix}"
        drawn().save(path)
        assert await lines(pool, path) == LINES, suffix


async def test_whatever_the_pixels_are(pool: ParserPool, tmp_path: Path) -> None:
    pictures = {
        "black on nothing": drawn(ink=(0, 0, 0, 255), paper=(0, 0, 0, 0), mode="RGBA"),
        "white on nothing": drawn(ink=(255, 255, 255, 255), paper=(255, 255, 255, 0), mode="RGBA"),
        "white on black": drawn(ink="white", paper="black"),
        "one bit": drawn(ink=0, paper=1, mode="1"),
        "palette": drawn().convert("P"),
        "16 bits": drawn(ink=1000, paper=65_000, mode="I;16"),
        "large": drawn().resize((640 * 5, 210 * 5)),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / "a.png")
        assert await lines(pool, tmp_path / "a.png") == LINES, name


async def test_a_photo_that_was_taken_sideways(pool: ParserPool, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is at the right
    drawn().transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a.jpg", exif=exif)
    assert await lines(pool, tmp_path / "a.jpg") == LINES


async def test_pages_of_a_tiff(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.tiff"
    drawn(["The first page"]).save(path, save_all=True, append_images=[drawn(["The second page"])])
    pieces = [piece for piece in await read(pool, path, patience=PATIENCE) if piece.text.strip()]
    assert [(piece.text.strip(), piece.place) for piece in pieces] == [
        ("The first page", Place(page=1)),
        ("The second page", Place(page=2)),
    ]


async def test_scanned_pages_of_a_pdf_between_others(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    drawn(["A page that was scanned"]).save(path, resolution=72)
    mixed(path, making.pdf(tmp_path / "b.pdf", ["A page that was written"]))
    pieces = [piece for piece in await read(pool, path, patience=PATIENCE) if piece.text.strip()]
    assert [(piece.text.strip(), piece.place) for piece in pieces] == [
        ("A page that was scanned", Place(page=1)),
        ("A page that was written", Place(page=2)),
    ]


def mixed(path: Path, more: Path) -> None:
    """Append the pages of another PDF."""
    import pypdfium2

    with pypdfium2.PdfDocument(path) as first, pypdfium2.PdfDocument(more) as second:
        first.import_pages(second)
        first.save(path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


async def test_without_pages_for_ocr_scans_have_no_text(make_pool: MakePool, tmp_path: Path) -> None:
    drawn().save(tmp_path / "a.pdf")
    assert await lines(make_pool(limits=replace(WIDE, ocr_pages=0)), tmp_path / "a.pdf") == ()


async def test_more_scanned_pages_than_are_read(make_pool: MakePool, tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    drawn(["one"]).save(path, save_all=True, append_images=[drawn(["two"]), drawn(["three"])])
    error = await refused(make_pool(limits=replace(WIDE, ocr_pages=2)), path)
    assert error.bound == "ocr_pages" and "more than 2 pages" in error.message


async def test_pages_have_processor_time_of_their_own(make_pool: MakePool, tmp_path: Path) -> None:
    drawn().save(tmp_path / "a.png")
    short = replace(WIDE, cpu_seconds=1, ocr_seconds=1)
    many = [str(number) * 20 for number in range(1000, 1060)]
    drawn(many).save(tmp_path / "b.png")
    assert (await refused(make_pool(limits=short), tmp_path / "b.png")).bound == "cpu_seconds"
    assert await lines(make_pool(limits=replace(short, ocr_seconds=30)), tmp_path / "a.png") == LINES


async def test_an_image_without_text(pool: ParserPool, tmp_path: Path) -> None:
    Image.new("RGB", (300, 300), "navy").save(tmp_path / "a.png")
    assert "no text was found in the image" in (await refused(pool, tmp_path / "a.png")).message


async def test_a_bomb_is_refused_by_its_header(pool: ParserPool, tmp_path: Path) -> None:
    """30 000 x 30 000 pixels in one kilobyte: nothing of it is decoded."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    header = struct.pack("!IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path = tmp_path / "a.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(90_000)))
        + chunk(b"IEND", b"")
    )
    error = await refused(pool, path)
    assert error.bound == "pixels" and "30000 x 30000 pixels" in error.message


async def test_one_as_large_as_is_allowed_stays_within_the_memory(pool: ParserPool, tmp_path: Path) -> None:
    picture = drawn().resize((6300, 6300))
    picture.save(tmp_path / "a.png")
    assert picture.width * picture.height <= WIDE.pixels and WIDE.memory_bytes == 1024 * MIB
    assert len(await lines(pool, tmp_path / "a.png")) == len(LINES)


async def test_a_png_that_breaks_off(pool: ParserPool, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    drawn().save(path)
    whole = path.read_bytes()
    for keep in (8, 20, 40, 400, len(whole) // 2):
        path.write_bytes(whole[:keep])
        assert "cannot be decoded" in (await refused(pool, path)).message, keep


async def test_damage_is_text_or_one_error(pool: ParserPool, tmp_path: Path) -> None:
    dice = random.Random("ocr")
    for suffix in ("png", "jpg", "tiff", "gif", "webp"):
        path = tmp_path / f"a.{suffix}"
        drawn(["short"]).save(path)
        good = path.read_bytes()
        for _ in range(8):
            path.write_bytes(damaged(good, dice))
            with suppress(InvalidFile, UnsupportedFile):
                assert await read(pool, path, patience=PATIENCE)


def test_images_are_among_what_is_read() -> None:
    assert {"image/png", "image/jpeg", "image/tiff", "image/gif", "image/webp"} <= set(supported())
