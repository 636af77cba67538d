"""What every object store must do. A class of tests inherits it and has a fixture `objects`, empty each time."""

from __future__ import annotations

import asyncio

import pytest
from caravan_contracts.errors import InvalidRequest, NotFound, RequestTooLarge
from caravan_storage.objects import PIECE, Objects

from tests.storage.objects.data import LARGE, MUCH, breaking, digest, listed, pieces, put, read, some, waiting

SECONDS = 30.0


class Keeping:
    """Objects that go in and come out."""

    @pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3_000_000])
    async def test_what_was_put_is_what_comes(self, objects: Objects, size: int) -> None:
        data = some(size)
        await put(objects, "files/a/b", data)
        assert await read(objects, "files/a/b") == data

    async def test_a_large_one_comes_in_bounded_pieces(self, objects: Objects) -> None:
        data = some(LARGE)
        stored = await objects.put("large", pieces(data, 1_234_567), LARGE)
        assert (stored.size, stored.sha256) == (LARGE, digest(data)), "`most` is what may come"
        got = [piece async for piece in objects.get("large")]
        assert b"".join(got) == data
        assert all(0 < len(piece) <= PIECE for piece in got)

    async def test_empty_pieces_are_no_end(self, objects: Objects) -> None:
        async def data():
            for piece in (b"", b"a", b"", b"b", b""):
                yield piece

        assert (await objects.put("a", data(), 2)).size == 2
        assert await read(objects, "a") == b"ab"

    @pytest.mark.parametrize("size", [7, PIECE * 3 + 17])
    async def test_a_range_is_a_slice(self, objects: Objects, size: int) -> None:
        data = some(size)
        await put(objects, "a", data)
        edges = (0, 1, size - 1, size, size + 1, size + 100)
        for start in edges:
            for end in (*(edge for edge in edges if edge >= start), None):
                assert await read(objects, "a", start, end) == data[start:end], (start, end)

    async def test_ranges_of_an_empty_object_are_empty(self, objects: Objects) -> None:
        await put(objects, "a", b"")
        for start, end in ((0, None), (0, 0), (0, 10), (5, None)):
            assert await read(objects, "a", start, end) == b""

    @pytest.mark.parametrize(("start", "end"), [(2, 1), (-1, None), (0, -1)])
    async def test_a_range_that_runs_backwards_is_a_mistake(
        self, objects: Objects, start: int, end: int | None
    ) -> None:
        await put(objects, "a", b"abc")
        with pytest.raises(ValueError, match="no range"):
            await read(objects, "a", start, end)

    async def test_what_is_not_there_is_not_found(self, objects: Objects) -> None:
        for start, end in ((0, None), (0, 0), (5, 9)):
            with pytest.raises(NotFound):
                await read(objects, "files/none", start, end)

    async def test_the_second_put_is_what_stays(self, objects: Objects) -> None:
        await put(objects, "a", some(300_000))
        await put(objects, "a", b"short")
        assert await read(objects, "a") == b"short"

    async def test_who_stops_reading_holds_nothing(self, objects: Objects) -> None:
        await put(objects, "a", some(3_000_000))
        for _ in range(3):
            reading = objects.get("a")
            assert await anext(reading)
            await reading.aclose()
        await objects.delete("a")
        assert await listed(objects) == []

    async def test_deleting_twice_is_no_error(self, objects: Objects) -> None:
        await put(objects, "files/a/b", b"x")
        await objects.delete("files/a/b")
        await objects.delete("files/a/b")
        with pytest.raises(NotFound):
            await read(objects, "files/a/b")
        await put(objects, "files/a/b", b"y")
        assert await read(objects, "files/a/b") == b"y"

    @pytest.mark.parametrize(
        "key",
        [
            *("", "/", "a//b", "/a", "a/", "../a", "a/../b", "a/.b", ".", "a b", "ä", "a\n", "a~"),
            "a" * 201,
            "a/" * 300 + "a",
        ],
    )
    async def test_a_key_that_is_none_is_refused_everywhere(self, objects: Objects, key: str) -> None:
        with pytest.raises(InvalidRequest):
            await objects.put(key, pieces(b"x"), MUCH)
        with pytest.raises(InvalidRequest):
            await read(objects, key)
        with pytest.raises(InvalidRequest):
            await objects.delete(key)
        with pytest.raises(InvalidRequest):
            await objects.join(key, [])
        with pytest.raises(InvalidRequest):
            await objects.join("a", [key])

    async def test_every_character_of_a_key_is_kept(self, objects: Objects) -> None:
        key = "Az09_-/a.b..c/-/_/" + "k" * 200
        await put(objects, key, b"x")
        assert await listed(objects) == [key]


class WholeOrNotAtAll:
    """What a put leaves that did not end well, and what is seen of one under way."""

    @pytest.mark.parametrize("size", [10, LARGE])
    async def test_one_byte_too_many_leaves_nothing(self, objects: Objects, size: int) -> None:
        with pytest.raises(RequestTooLarge):
            await objects.put("a", pieces(some(size)), size - 1)
        assert await listed(objects) == []

    @pytest.mark.parametrize("size", [10, LARGE])
    async def test_data_that_breaks_leaves_what_was_there(self, objects: Objects, size: int) -> None:
        await put(objects, "a", b"before")
        with pytest.raises(ConnectionResetError, match="the client left"):
            await objects.put("a", breaking(some(size), ConnectionResetError("the client left")), MUCH)
        assert await read(objects, "a") == b"before"

    @pytest.mark.parametrize("size", [10, LARGE])
    async def test_who_is_cancelled_leaves_nothing(self, objects: Objects, size: int) -> None:
        come, go_on = asyncio.Event(), asyncio.Event()
        putting = asyncio.create_task(objects.put("a", waiting(some(size), come, go_on), MUCH))
        await asyncio.wait_for(come.wait(), SECONDS)
        putting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await putting
        assert await listed(objects) == []

    @pytest.mark.parametrize("size", [10, LARGE])
    async def test_nothing_is_seen_before_the_end(self, objects: Objects, size: int) -> None:
        come, go_on = asyncio.Event(), asyncio.Event()
        putting = asyncio.create_task(objects.put("a", waiting(some(size), come, go_on), MUCH))
        await asyncio.wait_for(come.wait(), SECONDS)
        with pytest.raises(NotFound):
            await read(objects, "a")
        assert await listed(objects) == []
        go_on.set()
        assert (await asyncio.wait_for(putting, SECONDS)).size == size + len(b"the end")
        assert await read(objects, "a") == some(size) + b"the end"

    async def test_of_several_at_the_same_time_one_is_kept_whole(self, objects: Objects) -> None:
        all_data = [some(400_000 + seed, seed) for seed in range(8)]
        await asyncio.gather(*(put(objects, "deep/er/a", data) for data in all_data))
        assert await read(objects, "deep/er/a") in all_data
        assert await listed(objects) == ["deep/er/a"]

    async def test_puts_and_deletes_in_one_folder_do_not_hinder_each_other(self, objects: Objects) -> None:
        async def come_and_go(key: str) -> None:
            for _ in range(10):
                await put(objects, key, b"x")
                await objects.delete(key)

        await asyncio.gather(*(come_and_go(f"one/folder/{number}") for number in range(4)))
        assert await listed(objects) == []


class Joining:
    """One object of several."""

    async def test_parts_are_joined_in_their_order_and_stay(self, objects: Objects) -> None:
        parts = {f"parts/{number}": some(size, number) for number, size in enumerate((6_000_000, 10, 0, 6_000_000))}
        for key, data in parts.items():
            await put(objects, key, data)
        order = ["parts/3", "parts/0", "parts/2", "parts/1"]
        whole = b"".join(parts[key] for key in order)
        stored = await objects.join("whole", order)
        assert (stored.size, stored.sha256) == (len(whole), digest(whole))
        assert await read(objects, "whole") == whole
        assert await listed(objects) == sorted([*parts, "whole"])

    async def test_a_part_may_be_used_twice_and_be_replaced_by_the_whole(self, objects: Objects) -> None:
        await put(objects, "a", b"ab")
        assert (await objects.join("a", ["a", "a"])).size == 4
        assert await read(objects, "a") == b"abab"

    async def test_of_nothing_an_empty_object_is_made(self, objects: Objects) -> None:
        assert (await objects.join("a", [])).size == 0
        assert await read(objects, "a") == b""

    async def test_a_part_that_is_missing_leaves_nothing(self, objects: Objects) -> None:
        await put(objects, "parts/0", some(100))
        with pytest.raises(NotFound):
            await objects.join("whole", ["parts/0", "parts/1"])
        assert await listed(objects) == ["parts/0"]


class Listing:
    """What is there."""

    async def test_keys_begin_with_the_prefix_wherever_it_ends(self, objects: Objects) -> None:
        keys = ["files/aa/1", "files/ab/2", "files/b/3", "filesystem", "parts/a/4"]
        for key in keys:
            await put(objects, key, b"x")
        for prefix in ("", "files", "files/", "files/a", "files/aa/", "files/aa/1", "f", "none/", "files/aa/1/2"):
            assert await listed(objects, prefix) == [key for key in keys if key.startswith(prefix)], prefix

    @pytest.mark.parametrize("prefix", ["/", "a//", "../", "a/.", "a b"])
    async def test_a_prefix_that_no_key_has_is_refused(self, objects: Objects, prefix: str) -> None:
        with pytest.raises(InvalidRequest):
            await listed(objects, prefix)

    async def test_each_has_its_age(self, objects: Objects) -> None:
        await put(objects, "a", b"x")
        ages = [age async for _key, age in objects.keys("")]
        assert len(ages) == 1
        assert 0 <= ages[0] < 30

    async def test_who_stops_listing_holds_nothing(self, objects: Objects) -> None:
        for number in range(5):
            await put(objects, f"a/{number}", b"x")
        listing = objects.keys("a/")
        assert await anext(listing)
        await listing.aclose()


class ObjectsContract(Keeping, WholeOrNotAtAll, Joining, Listing):
    """All of it."""
