"""The files service by itself: what ends, what is too much, and what is swept, by however many."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from caravan_contracts import files as f
from caravan_contracts.context import Principal, RequestContext
from caravan_contracts.errors import InvalidRequest, NotFound, RequestTooLarge
from caravan_files.errors import StorageFull, UploadClosed
from caravan_files.joining import UploadService
from caravan_files.room import Room
from caravan_files.service import FileService
from caravan_files.store import Store
from caravan_files.sweeping import Sweeper
from caravan_files.uploads import UploadStore
from caravan_storage import migrations
from caravan_storage.objects import Objects, from_url
from caravan_storage.postgres import Postgres, PostgresOptions

from tests.infrastructure import choice
from tests.infrastructure.protocol import Servers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("files")) as running:
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")


class House:
    """Both services over real stores, for one tenant of its own."""

    def __init__(self, postgres: Postgres, objects: Objects, tenant: str, room: Room) -> None:
        store = Store(postgres, room, 60.0)
        self.postgres = postgres
        self.objects = objects
        self.told: list[f.FilesRemoved] = []
        self.files = FileService(store, objects, room, self.told.append)
        self.uploads = UploadService(UploadStore(postgres, store, room, 60.0), store, self.files, objects)
        self.sweeper = Sweeper(postgres, objects, 1.0, 3600.0)
        self.context = RequestContext("req_t", Principal(tenant))

    async def write(self, place: f.Place, data: bytes) -> tuple[int, str]:
        async def pieces() -> AsyncIterator[bytes]:
            yield data

        stored = await self.objects.put(place.key, pieces(), place.most)
        return stored.size, stored.sha256

    async def finish(self, place: f.Place, data: bytes, **more: Any) -> f.File:
        size, digest = await self.write(place, data)
        asked: dict[str, Any] = {"purpose": "user_data", "filename": "a.txt", **more}
        return await self.files.finish(f.FinishFile(id=place.id, bytes=size, sha256=digest, **asked), self.context)

    async def make(self, data: bytes = b"hello", **more: Any) -> f.File:
        return await self.finish(await self.files.begin(f.BeginFile(), self.context), data, **more)

    async def part(self, upload: str, data: bytes) -> str:
        place = await self.uploads.begin_part(f.BeginPart(upload=upload), self.context)
        size, digest = await self.write(place, data)
        done = await self.uploads.finish_part(f.FinishPart(id=place.id, bytes=size, sha256=digest), self.context)
        return done.id

    async def upload(self, size: int, name: str = "a.txt", purpose: str = "user_data") -> str:
        asked = f.CreateUpload(bytes=size, filename=name, mime_type="text/plain", purpose=purpose)
        return (await self.uploads.create(asked, self.context)).id

    async def complete(self, upload: str, *parts: str) -> f.Upload:
        return await self.uploads.complete(f.CompleteUpload(id=upload, part_ids=list(parts)), self.context)

    async def sql(self, statement: str, *values: Any) -> Any:
        async with self.postgres.acquire() as connection:
            return await connection.fetchval(statement, *values)

    async def lies(self) -> int:
        """Objects in the store."""
        return len([key async for key, _ in self.objects.keys("files/")])


@pytest_asyncio.fixture(loop_scope="module")
async def postgres(servers: Servers) -> AsyncIterator[Postgres]:
    made = Postgres(PostgresOptions(servers.database_url))
    await migrations.migrate(made, "files", migrations.load("caravan_files.migrations"))
    async with made.acquire() as connection:
        await connection.execute("TRUNCATE files_files, files_uploads, files_parts")
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def objects(tmp_path: Path) -> AsyncIterator[Objects]:
    made = from_url((tmp_path / "objects").as_uri(), {})
    yield made
    await made.close()


@pytest.fixture
def house(postgres: Postgres, objects: Objects) -> House:
    return House(postgres, objects, "acme", Room(1_000_000, 0))


async def test_several_files_are_located_at_once_and_only_ones_own(house: House) -> None:
    mine = [await house.make(), await house.make()]
    other = House(house.postgres, house.objects, "umbrella", Room(1_000_000, 0))
    theirs = await other.make()
    asked = f.LocateFiles(ids=[mine[0].id, theirs.id, "file-nobody", mine[1].id, "\x00"])
    found = await house.files.locate_many(asked, house.context)
    assert {each.file.id: each.key for each in found.data} == {
        each.id: (await house.files.locate(f.LocateFile(id=each.id), house.context)).key for each in mine
    }


async def test_who_has_to_know_is_told_of_a_file_that_was_deleted(house: House) -> None:
    made = await house.make()
    await house.files.delete(f.DeleteFile(id=made.id), house.context)
    assert house.told == [f.FilesRemoved(tenant="acme", ids=[made.id])]


async def test_a_place_is_nothing_that_anybody_sees(house: House) -> None:
    place = await house.files.begin(f.BeginFile(), house.context)
    await house.write(place, b"x")
    assert (await house.files.list(f.ListFiles(), house.context)).data == []
    for ask in (house.files.get(f.GetFile(id=place.id), house.context),
                house.files.locate(f.LocateFile(id=place.id), house.context),
                house.files.delete(f.DeleteFile(id=place.id), house.context)):  # fmt: skip
        with pytest.raises(NotFound):
            await ask
    await house.files.abandon(f.Abandon(id=place.id), house.context)
    assert await house.lies() == 0
    with pytest.raises(NotFound):
        await house.finish(place, b"x")


async def test_a_file_is_finished_once_however_often_it_is_said(house: House) -> None:
    place = await house.files.begin(f.BeginFile(), house.context)
    first = await house.finish(place, b"x")
    assert await house.finish(place, b"x") == first
    with pytest.raises(NotFound):
        await house.files.finish(
            f.FinishFile(id=place.id, bytes=1, sha256="0" * 64, purpose="user_data", filename="a"), house.context
        )


async def test_nobody_sees_a_file_whose_time_is_over_and_it_is_swept(house: House) -> None:
    made = await house.make(expires_after=f.ExpiresAfter(anchor="created_at", seconds=3600))
    assert await house.sweeper.sweep() == 0
    await house.sql("UPDATE files_files SET expires = now() - interval '1 second' WHERE id = $1", made.id)
    assert (await house.files.list(f.ListFiles(), house.context)).data == []
    with pytest.raises(NotFound):
        await house.files.get(f.GetFile(id=made.id), house.context)
    assert await house.sweeper.sweep() == 1
    assert await house.lies() == 0
    assert await house.sql("SELECT count(*) FROM files_files") == 0


async def test_what_was_never_finished_is_swept_when_its_lease_is_over(house: House) -> None:
    place = await house.files.begin(f.BeginFile(), house.context)
    await house.write(place, b"x")
    upload = await house.upload(5)
    part = await house.uploads.begin_part(f.BeginPart(upload=upload), house.context)
    await house.write(part, b"x")
    assert await house.sweeper.sweep() == 0
    for table in ("files_files", "files_parts"):
        await house.sql(f"UPDATE {table} SET lease = now() - interval '1 hour'")
    with pytest.raises(NotFound):
        await house.finish(place, b"x")
    assert await house.sweeper.sweep() == 2
    assert await house.lies() == 0


async def test_bytes_without_a_row_are_swept_and_others_are_not(house: House) -> None:
    kept = await house.make()
    place = await house.files.begin(f.BeginFile(), house.context)
    await house.write(place, b"x")
    await house.sql("DELETE FROM files_files WHERE id = $1", place.id)
    assert await house.sweeper.sweep_orphans() == 0, "it is too young"
    assert await Sweeper(house.postgres, house.objects, 1.0, 0.0).sweep_orphans() == 1
    assert await house.lies() == 1
    assert (await house.files.locate(f.LocateFile(id=kept.id), house.context)).file == kept


async def test_several_sweep_at_once_without_harm(house: House) -> None:
    kept = [await house.make() for _ in range(3)]
    over = [(await house.make()).id for _ in range(30)]
    await house.sql("UPDATE files_files SET expires = now() WHERE id = ANY($1) RETURNING 1", over)
    await asyncio.gather(*(house.sweeper.sweep() for _ in range(4)))
    assert await house.lies() == len(kept)
    page = await house.files.list(f.ListFiles(), house.context)
    assert {file.id for file in page.data} == {file.id for file in kept}


async def test_a_removal_that_was_cut_off_is_ended_by_the_sweeper(house: House) -> None:
    made = await house.make()
    await house.sql("UPDATE files_files SET state = 'removing' WHERE id = $1", made.id)
    with pytest.raises(NotFound):
        await house.files.get(f.GetFile(id=made.id), house.context)
    assert await house.sweeper.sweep() == 1
    assert await house.lies() == 0


async def test_the_parts_of_what_is_over_are_swept(house: House) -> None:
    cancelled, expired, open_one = [await house.upload(5) for _ in range(3)]
    for upload in (cancelled, expired, open_one):
        await house.part(upload, b"hello")
    await house.uploads.cancel(f.CancelUpload(id=cancelled), house.context)
    await house.sql("UPDATE files_uploads SET expires = now() WHERE id = $1", expired)
    with pytest.raises(UploadClosed):
        await house.part(expired, b"x")
    with pytest.raises(UploadClosed):
        await house.uploads.cancel(f.CancelUpload(id=expired), house.context)
    assert await house.sweeper.sweep() == 2
    assert await house.lies() == 1
    await house.sql("UPDATE files_uploads SET expires = now() - interval '2 days' WHERE status = 'cancelled'")
    await house.sweeper.sweep()
    with pytest.raises(NotFound):
        await house.uploads.cancel(f.CancelUpload(id=cancelled), house.context)


async def test_an_upload_is_completed_once_by_however_many(house: House) -> None:
    upload = await house.upload(10)
    parts = [await house.part(upload, b"hello"), await house.part(upload, b"world")]
    done = await asyncio.gather(*(house.complete(upload, *parts) for _ in range(4)))
    assert len({one.file.id for one in done if one.file}) == 1
    assert len((await house.files.list(f.ListFiles(), house.context)).data) == 1
    await house.sweeper.sweep()
    assert await house.lies() == 1
    with pytest.raises(UploadClosed):
        await house.complete(upload, *parts[::-1])


async def test_what_is_wrong_with_the_whole_leaves_the_upload_open(house: House) -> None:
    upload = await house.upload(4, "a.jsonl", "batch")
    wrong, right = await house.part(upload, b"{a}\n"), await house.part(upload, b"{ }\n")
    with pytest.raises(InvalidRequest):
        await house.complete(upload, wrong)
    assert await house.lies() == 2
    assert (await house.complete(upload, right)).status == "completed"


async def test_the_bounds_of_a_file_and_of_a_tenant(postgres: Postgres, objects: Objects) -> None:
    house = House(postgres, objects, "small", Room(100, 150))
    with pytest.raises(RequestTooLarge):
        await house.files.begin(f.BeginFile(length=101), house.context)
    with pytest.raises(RequestTooLarge):
        await house.upload(101)
    await house.make(b"x" * 100)
    places = [await house.files.begin(f.BeginFile(), house.context) for _ in range(2)]
    assert [place.most for place in places] == [50, 50]
    results = await asyncio.gather(*(house.finish(place, b"x" * 40) for place in places), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["File", "StorageFull"]
    with pytest.raises(StorageFull):
        await house.files.begin(f.BeginFile(length=11), house.context)
    with pytest.raises(StorageFull):
        await house.upload(11)
    other = House(postgres, objects, "other", Room(100, 150))
    assert (await other.make(b"x" * 100)).bytes == 100


async def test_the_parts_of_an_upload_have_bounds(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caravan_files.uploads.MOST_PARTS", 2)
    upload = await house.upload(2)
    await house.part(upload, b"a")
    await house.part(upload, b"b")
    with pytest.raises(InvalidRequest):
        await house.part(upload, b"c")
    monkeypatch.setattr("caravan_files.uploads.LARGEST_PART", 2)
    other = await house.upload(1)
    monkeypatch.setattr("caravan_files.uploads.MOST_PARTS", 9)
    for _ in range(2):
        await house.part(other, b"ab")
    with pytest.raises(InvalidRequest):
        await house.part(other, b"c")


async def test_pages_reach_every_file_once_while_others_come_and_go(house: House) -> None:
    made = [(await house.make()).id for _ in range(7)]
    seen: list[str] = []
    place = ""
    while True:
        page = await house.files.list(f.ListFiles(place=place, limit=2, order="asc"), house.context)
        seen += [file.id for file in page.data]
        if not page.has_more:
            break
        place = page.next
        await house.files.delete(f.DeleteFile(id=page.data[-1].id), house.context)
    assert seen == made


async def test_md5_and_digest(house: House) -> None:
    upload = await house.upload(5)
    part = await house.part(upload, b"hello")
    asked = f.CompleteUpload(id=upload, part_ids=[part], md5=hashlib.md5(b"hello").hexdigest().upper())
    done = await house.uploads.complete(asked, house.context)
    assert done.file is not None
    located = await house.files.locate(f.LocateFile(id=done.file.id), house.context)
    assert located.sha256 == hashlib.sha256(b"hello").hexdigest()
