"""Good documents with random damage: each is text or one error, and the pool serves on."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from caravan_vector.parsing.errors import InvalidFile, UnsupportedFile
from caravan_vector.parsing.pool import ParserPool

from tests.parsing import making
from tests.parsing.conftest import read

VARIANTS = 12


def sample(path: Path) -> bytes:
    """A good document of this type."""
    if path.suffix == ".pdf":
        making.pdf(path, ["The first page", "The second"])
    elif path.suffix == ".docx":
        document = docx.Document()
        document.add_heading("A heading", 1)
        document.add_paragraph("Some words. " * 20)
        document.save(str(path))
    elif path.suffix == ".pptx":
        deck = pptx.Presentation()
        deck.slides.add_slide(deck.slide_layouts[0]).shapes.title.text = "A talk"
        deck.save(str(path))
    elif path.suffix == ".xlsx":
        book = openpyxl.Workbook()
        book.active.append(["a", 1, 2.5, True])
        book.save(path)
    else:
        path.write_text("<h1>One</h1><table><tr><td>1</table># Two\n\n- a; b, c\n" * 20)
    return path.read_bytes()


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, or a part taken out, or the end cut off."""
    made = bytearray(data)
    for _ in range(dice.choice([1, 5, 50])):
        made[dice.randrange(len(made))] = dice.randrange(256)
    start = dice.randrange(len(made))
    how = dice.randrange(3)
    if how == 1:
        del made[start : start + dice.randrange(1, 200)]
    elif how == 2:
        del made[start + 1 :]
    return bytes(made)


@pytest.mark.parametrize("suffix", ["pdf", "docx", "pptx", "xlsx", "html", "md", "csv"])
async def test_damage_is_text_or_one_error(pool: ParserPool, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    good = sample(path)
    dice = random.Random(suffix)
    for _ in range(VARIANTS):
        path.write_bytes(damaged(good, dice))
        with suppress(InvalidFile, UnsupportedFile):
            assert all(piece.text for piece in await read(pool, path))
    path.write_bytes(good)
    assert await read(pool, path)
