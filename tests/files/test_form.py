"""However a body is cut up on its way, the same comes out; and what is no form is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise

import pytest
from caravan_contracts.errors import ClientGone, InvalidRequest, UnsupportedMediaType
from caravan_gateway.asgi import BodyTimeout, Event
from caravan_gateway.files.fields import Fields
from caravan_gateway.files.form import BadForm, Form, Part
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.files.bodies import BOUNDARY, END, field, file_head, form

TYPE = f"multipart/form-data; boundary={BOUNDARY}".encode()


def reading(pieces: Iterable[bytes], gone: bool = False) -> Form:
    events: list[Event] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    events.append({"type": "http.disconnect"} if gone else {"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> Event:
        return events.pop(0)

    return Form(TYPE, receive, 5.0)


async def whole(read: Form) -> list[tuple[Part, bytes]]:
    made = []
    while (part := await read.part()) is not None:
        made.append((part, b"".join([piece async for piece in read.data()])))
    return made


def cut(body: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return [body[a:b] for a, b in pairwise(marks)]


# what looks like a boundary, in part or nearly, is what a parser trips over
PIECES = st.lists(
    st.sampled_from(
        [b"\r", b"\n", b"\r\n", b"--", BOUNDARY.encode()[:5], f"\r\n--{BOUNDARY[:-1]}".encode(), b"a", b"\0"]
    )
    | st.binary(max_size=40),
    max_size=30,
).map(b"".join)


@settings(max_examples=150, deadline=None)
@given(data=PIECES, places=st.lists(st.integers(0, 5000), max_size=40), late=st.booleans())
def test_any_cuts_give_the_same_file(data: bytes, places: list[int], late: bool) -> None:
    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + data:
        return
    body = form("a.bin", data, late=late)
    found = {part.name: (part, made) for part, made in asyncio.run(whole(reading(cut(body, places))))}
    assert found["file"][1] == data
    assert found["file"][0] == Part("file", "a.bin", "application/octet-stream")
    assert found["purpose"][1] == b"user_data"


@settings(max_examples=100, deadline=None)
@given(junk=st.binary(max_size=400), places=st.lists(st.integers(0, 400), max_size=10))
def test_junk_is_refused_and_nothing_else_happens(junk: bytes, places: list[int]) -> None:
    for body in (junk, file_head("a") + junk, field("purpose", "x") + junk):
        if END in body:
            continue
        with pytest.raises(BadForm):
            asyncio.run(whole(reading(cut(body, places))))


@settings(max_examples=60, deadline=None)
@given(place=st.integers(1, 10_000))
def test_a_body_that_ends_too_early_is_no_file(place: int) -> None:
    body = form("a.bin", b"x" * 300)
    short = body[: place % (len(body) - 4)]
    with pytest.raises(BadForm):
        asyncio.run(whole(reading([short])))
    with pytest.raises(ClientGone):
        asyncio.run(whole(reading([short], gone=True)))


async def test_silence_has_an_end() -> None:
    async def receive() -> Event:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(BodyTimeout):
        await Form(TYPE, receive, 0.05).part()


@pytest.mark.parametrize("kind", [b"", b"application/json", b"multipart/mixed; boundary=x"])
def test_other_bodies_are_not_read(kind: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        Form(kind, reading([])._receive, 1.0)


@pytest.mark.parametrize("kind", [b"multipart/form-data", b"multipart/form-data; boundary=" + b"x" * 5000])
def test_a_boundary_is_needed(kind: bytes) -> None:
    with pytest.raises(BadForm):
        Form(kind, reading([])._receive, 1.0)


async def test_bounds_of_parts_fields_and_headers() -> None:
    with pytest.raises(BadForm):
        await whole(reading([field(f"f{n}", "x") for n in range(100)] + [END]))
    read = reading([field("purpose", "x" * 100_000) + END.lstrip()])
    part = await read.part()
    assert part is not None
    with pytest.raises(BadForm):
        await read.text(part)
    with pytest.raises(BadForm):
        await whole(reading([file_head("x" * 100_000) + END]))


async def test_names_of_files_in_the_forms_that_clients_write() -> None:
    async def name(head: str) -> str | None:
        body = f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\nx".encode() + END
        return (await whole(reading([body])))[0][0].filename

    assert await name('name="file"; filename="naïve.txt"') == "naïve.txt"
    assert await name("name=file; filename*=UTF-8''na%C3%AFve.txt") == "naïve.txt"
    assert await name('name="file"; filename=""') == ""
    assert await name('name="file"') is None


def test_both_ways_to_say_when_a_file_ends() -> None:
    whole_object, brackets = Fields(), Fields()
    whole_object.take("expires_after", '{"anchor": "created_at", "seconds": 7200}')
    brackets.take("expires_after[seconds]", "7200")
    brackets.take("expires_after[anchor]", "created_at")
    assert whole_object.expires_after() == brackets.expires_after()
    for wrong in ("", "7", "[]", '{"anchor": "created_at"}', '{"anchor": "now", "seconds": 7200}'):
        with pytest.raises(InvalidRequest):
            Fields().take("expires_after", wrong)
    half = Fields()
    half.take("expires_after[seconds]", "7200")
    with pytest.raises(InvalidRequest):
        half.expires_after()
