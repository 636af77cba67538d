"""Objects in a bucket of a real server, over HTTP."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from caravan_contracts.errors import DependencyDown
from caravan_storage.objects import from_url
from caravan_storage.objects.s3 import S3Objects

from tests.infrastructure.ports import free_port
from tests.storage.objects.contract import ObjectsContract
from tests.storage.objects.data import LARGE, MUCH, breaking, listed, pieces, put, read, some, waiting
from tests.storage.objects.line import Line
from tests.storage.objects.seaweed import KEYS, SECRET_KEY, Seaweed

pytestmark = pytest.mark.timeout(120)


async def rest(reading: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in reading])


@pytest_asyncio.fixture
async def objects(seaweed: Seaweed) -> AsyncIterator[S3Objects]:
    made = seaweed.objects(f"tests/{uuid.uuid4().hex}")
    yield made
    await made.close()


class TestS3Objects(ObjectsContract):
    """A bucket does what every object store does."""


async def test_an_upload_that_breaks_leaves_no_parts(objects: S3Objects, seaweed: Seaweed) -> None:
    with pytest.raises(ConnectionResetError):
        await objects.put("broken", breaking(some(LARGE), ConnectionResetError()), MUCH)
    come = asyncio.Event()
    putting = asyncio.create_task(objects.put("cancelled", waiting(some(LARGE), come, asyncio.Event()), MUCH))
    await asyncio.wait_for(come.wait(), 30)
    assert [key for key in await seaweed.uploads() if key.endswith("cancelled")], "it is under way"
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    assert not [key for key in await seaweed.uploads() if key.endswith(("broken", "cancelled"))]


async def test_keys_come_in_pages(objects: S3Objects) -> None:
    many = [f"many/{number:04}" for number in range(1_050)]
    await asyncio.gather(*(put(objects, key, b"x") for key in many))
    assert await listed(objects, "many/") == many


async def test_what_is_not_ours_is_not_listed(objects: S3Objects) -> None:
    await put(objects, "a", b"x")
    async with objects._client.calls() as s3:
        await s3.put_object(Bucket=objects._bucket.name, Key=f"{objects._bucket.prefix}some body's", Body=b"")
    assert await listed(objects) == ["a"]


async def test_another_prefix_is_another_store(seaweed: Seaweed, objects: S3Objects) -> None:
    other = seaweed.objects(f"tests/{uuid.uuid4().hex}")
    await put(objects, "a", b"x")
    assert await listed(other) == []
    await other.close()


async def test_a_download_goes_on_after_its_line_broke(seaweed: Seaweed, objects: S3Objects) -> None:
    data = some(6_000_000)
    await put(objects, "a", data)
    async with Line(seaweed.port) as line:
        line.up_to = 2_500_000
        through = seaweed.objects(objects._bucket.prefix, line.port)
        assert await read(through, "a", 10, 5_999_990) == data[10:5_999_990]
        assert line.connections >= 3
        await through.close()


async def test_a_download_never_goes_on_in_another_object(seaweed: Seaweed, objects: S3Objects) -> None:
    await put(objects, "a", some(6_000_000, 1))
    await put(objects, "b", some(6_000_000, 2))
    async with Line(seaweed.port) as line:
        line.up_to = 2_500_000
        through = seaweed.objects(objects._bucket.prefix, line.port)
        for key, change in (("a", put(objects, "a", some(6_000_000, 3))), ("b", objects.delete("b"))):
            reading = through.get(key)
            assert await anext(reading)
            await change
            with pytest.raises(DependencyDown, match="while it was read"):
                await rest(reading)
        await through.close()


async def test_a_server_that_goes_away_in_mid_put_leaves_nothing(seaweed: Seaweed, objects: S3Objects) -> None:
    come, go_on = asyncio.Event(), asyncio.Event()
    async with Line(seaweed.port) as line:
        through = seaweed.objects(objects._bucket.prefix, line.port)
        putting = asyncio.create_task(through.put("a", waiting(some(LARGE), come, go_on), MUCH))
        await asyncio.wait_for(come.wait(), 30)
        await line.cut()
        go_on.set()
        with pytest.raises(DependencyDown):
            await asyncio.wait_for(putting, 60)
        await through.close()
    assert await listed(objects) == []


async def test_a_connection_that_breaks_is_tried_again(seaweed: Seaweed, objects: S3Objects) -> None:
    async with Line(seaweed.port) as line:
        through = seaweed.objects(objects._bucket.prefix, line.port)
        await put(through, "a", b"x")
        line.hang_up()
        await put(through, "b", b"y")
        assert await read(through, "b") == b"y"
        await through.close()


async def test_a_server_that_is_away_is_a_dependency_that_is_down(seaweed: Seaweed) -> None:
    objects = seaweed.objects("x", free_port())
    began = time.monotonic()
    with pytest.raises(DependencyDown, match=r"s3://caravan at http://127\.0\.0\.1:\d+ cannot be used now"):
        await objects.put("a", pieces(b"x"), MUCH)
    with pytest.raises(DependencyDown):
        await read(objects, "a")
    with pytest.raises(DependencyDown):
        await objects.delete("a")
    with pytest.raises(DependencyDown):
        await listed(objects)
    assert time.monotonic() - began < 40, "tries are few and their pauses short"
    await objects.close()


async def test_keys_that_are_wrong_are_said_so_without_them(seaweed: Seaweed) -> None:
    objects = from_url(seaweed.url("x"), KEYS | {"AWS_SECRET_ACCESS_KEY": "another-secret"})
    with pytest.raises(DependencyDown, match="SignatureDoesNotMatch") as caught:
        await put(objects, "a", b"x")
    assert "secret" not in str(caught.value)
    await objects.close()


async def test_a_bucket_that_is_not_there_is_a_dependency_that_is_down(seaweed: Seaweed) -> None:
    objects = from_url(seaweed.url("x", bucket="nobodys"), KEYS)
    with pytest.raises(DependencyDown):
        await read(objects, "a")
    with pytest.raises(DependencyDown):
        await listed(objects)
    await objects.close()


async def test_keys_are_never_logged(
    seaweed: Seaweed, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    objects = from_url(seaweed.url("x"), KEYS | {"AWS_SESSION_TOKEN": "a-token-on-time"})
    with pytest.raises(DependencyDown):
        await put(objects, "a", b"x")
    assert "a-token-on-time" not in caplog.text + repr(objects._bucket)
    assert SECRET_KEY not in caplog.text + repr(objects._bucket)
    await objects.close()
