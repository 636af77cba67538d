"""What files are called, what is in them, and which bytes of them are asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from caravan_contracts.errors import InvalidRequest
from caravan_contracts.file_content import LONGEST_LINE, ContentCheck, WrongContent
from caravan_contracts.files import LONGEST_NAME, check_purpose, plain_name
from caravan_gateway.asgi import Event
from caravan_gateway.files.content import Bytes, disposition
from caravan_gateway.files.ranges import RangeNotSatisfiable, wanted
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\notes.txt", "notes.txt"),
        ("a\r\nSet-Cookie: x.txt", "aSet-Cookie: x.txt"),
        ("\u202egnp.exe", "gnp.exe"),
        ("", "file"),
        ("..", "file"),
        ("/", "file"),
        ("\x00\x01", "file"),
        ("  naïve 文.pdf ", "naïve 文.pdf"),
        ("x" * 1000 + ".pdf", "x" * 251 + ".pdf"),
    ],
)
def test_names(given: str, kept: str) -> None:
    assert plain_name(given) == kept


@given(name=st.text(max_size=600))
def test_any_name_is_harmless(name: str) -> None:
    made = plain_name(name)
    assert 0 < len(made) <= LONGEST_NAME
    assert not set("/\\\r\n\0") & set(made)
    assert plain_name(made) == made
    header = disposition(made)
    assert header.isascii() and header.isprintable()
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2


def check(
    name: str, data: bytes, purpose: str = "user_data", media: str = "", known: bool = True, step: int = 3
) -> None:
    made = ContentCheck(name, media, purpose if known else "")
    for at in range(0, len(data), step):
        made.feed(data[at : at + step])
    made.end(purpose)


@pytest.mark.parametrize(
    ("name", "media", "data"),
    [
        ("a.pdf", "application/pdf", b"%PDF-1.7 ..."),
        ("a.pdf", "", b"junk before\n%PDF-1.4"),
        ("a.PNG", "image/png", b"\x89PNG\r\n\x1a\n...."),
        ("a.jpeg", "", b"\xff\xd8\xff\xe0...."),
        ("a.gif", "", b"GIF89a...."),
        ("a.webp", "", b"RIFF1234WEBPVP8 "),
        ("a.docx", "", b"PK\x03\x04...."),
        ("a", "application/pdf; x=y", b"%PDF-1.7"),
        ("a.txt", "text/plain", b"%anything"),
        ("a.pdf.txt", "application/octet-stream", b"text"),
    ],
)
def test_files_that_are_what_they_say(name: str, media: str, data: bytes) -> None:
    check(name, data, media=media)


@pytest.mark.parametrize(("name", "media"), [("a.pdf", ""), ("a", "application/pdf"), ("a.docx", "text/plain")])
def test_files_that_are_not(name: str, media: str) -> None:
    with pytest.raises(WrongContent):
        check(name, b"hello", media=media)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_lines(known: bool, step: int) -> None:
    for good in (b'{"a":1}', b'{"a":1}\n', b'\xef\xbb\xbf{"a":1}\r\n\r\n{"b":"\xc3\xa9"}\n'):
        check("a.jsonl", good, "batch", known=known, step=step)
    for bad in (b"\n\n", b'{"a":1}\n[1]', b'{"a":NaN}\n', b'{"a":1}{"b":2}', b'{"a":"\xff"}', b"{\n}"):
        with pytest.raises(WrongContent):
            check("a.jsonl", bad, "fine-tune", known=known, step=step)
        check("a.jsonl", bad, "user_data", known=known, step=step)


def test_a_line_has_its_bound() -> None:
    with pytest.raises(WrongContent):
        check("a.jsonl", b'{"a":"' + b"x" * LONGEST_LINE + b'"}', "batch", step=65536)


def test_an_empty_file_is_none() -> None:
    with pytest.raises(WrongContent):
        check("a.txt", b"")


def test_purposes() -> None:
    assert check_purpose("fine-tune") == "fine-tune"
    with pytest.raises(InvalidRequest):
        check_purpose("assistants_output")


@pytest.mark.parametrize(
    ("header", "range"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=2-", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=5-99", (5, 10)),
        ("bytes = 1 - 2", (1, 3)),
        ("bytes=0-1,3-4", None),
        ("bytes=5-2", None),
        ("bytes=-", None),
        ("lines=1-2", None),
        ("", None),
    ],
)
def test_ranges(header: str, range: tuple[int, int] | None) -> None:
    assert wanted(header, 10) == range


@pytest.mark.parametrize("header", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_ranges_behind_the_end(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        wanted(header, 10)


async def test_a_file_that_breaks_off_when_its_client_has_gone_breaks_nothing_else() -> None:
    async def none() -> AsyncIterator[bytes]:
        for piece in ():
            yield piece

    async def send(event: Event) -> None:
        """As a server does for a client that has gone."""

    answer = await Bytes.open(none(), 10, 200, {})
    await answer({"type": "http"}, _never, send)


async def _never() -> Event:
    await asyncio.Event().wait()
    return {}
