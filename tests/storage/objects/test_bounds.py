"""What goes in is put together, however it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from caravan_contracts.errors import RequestTooLarge
from caravan_storage.objects.bounds import gathered

from tests.storage.objects.data import pieces, some


async def test_tiny_pieces_become_few_large_ones() -> None:
    data = some(10_001)
    parts = [part async for part in gathered(pieces(data, 2), 10_001, 4_000)]
    assert b"".join(parts) == data
    assert [len(part) for part in parts] == [4_000, 4_000, 2_001]


async def test_a_large_piece_is_not_cut() -> None:
    assert [len(part) async for part in gathered(pieces(some(9_000), 9_000), 9_000, 4_000)] == [9_000]


async def test_nothing_gives_nothing() -> None:
    assert [part async for part in gathered(pieces(b""), 0, 4_000)] == []


async def test_more_than_the_bound_is_refused_at_its_first_byte() -> None:
    asked = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield b"0123456789"

    with pytest.raises(RequestTooLarge, match="more than 95 bytes"):
        async for _part in gathered(endless(), 95, 4_000):
            pass
    assert asked == 10
