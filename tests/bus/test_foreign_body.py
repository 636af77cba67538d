"""A body in parts: whole, or a clear error."""

from __future__ import annotations

import pytest
from caravan_bus.foreign.body import MAX_ALL, MAX_BODY, ForeignBody
from caravan_bus.transport import Message, encode_headers
from caravan_contracts import headers as h
from caravan_contracts.errors import InvalidRequest, Overloaded, RequestTooLarge, Unavailable


def message(size: str, data: bytes = b"") -> Message:
    return Message("s", data, "_INBOX.app.i.1", encode_headers({h.BODY_SIZE: size}))


def announced(size: int) -> ForeignBody:
    made = ForeignBody.of(message(str(size)), 0)
    assert made is not None
    return made


async def test_parts_in_order_are_the_body() -> None:
    body = announced(5)
    body.add(1, b"hel")
    body.add(2, b"lo")
    assert await body.whole() == b"hello"
    body.release()


async def test_a_lost_part_is_an_error_that_says_send_it_again() -> None:
    body = announced(5)
    body.add(2, b"lo")
    body.add(1, b"hel")
    with pytest.raises(Unavailable, match="send it again"):
        await body.whole()


async def test_more_than_was_announced_is_refused() -> None:
    body = announced(5)
    body.add(1, b"hello!")
    with pytest.raises(InvalidRequest, match="larger than"):
        await body.whole()
    body.release()


async def test_what_nobody_waited_for_warns_nobody() -> None:
    body = announced(5)
    body.add(2, b"lo")
    body.release()
    announced(5).release()


@pytest.mark.parametrize("size", ["", "-1", "1.5", "x", "9" * 13, "\u0663"])
async def test_sizes_that_are_none(size: str) -> None:
    with pytest.raises(InvalidRequest):
        ForeignBody.of(message(size), 0)


async def test_bounds() -> None:
    assert ForeignBody.of(Message("s", b"{}"), MAX_ALL) is None
    for size in (0, MAX_BODY + 1):
        with pytest.raises(RequestTooLarge):
            ForeignBody.of(message(str(size)), 0)
    with pytest.raises(Overloaded):
        ForeignBody.of(message("2"), MAX_ALL - 1)
    with pytest.raises(InvalidRequest):
        ForeignBody.of(message("2", b"{}"), 0)
