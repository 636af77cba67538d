"""Files on their way into stores when something dies, is away, or is in two hands: all end right, none is doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from caravan_bus.work.queue import TryLater
from caravan_contracts import vectors as v
from caravan_contracts.errors import InvalidRequest, Overloaded
from PIL import Image, ImageDraw, ImageFont

from tests.ingest.house import House
from tests.ingest.test_service import BREAD, STATIC, WHALES, long

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def texts_of(house: House, store: str, file: str) -> list[str]:
    texts: list[str] = []
    after: int | None = -1
    while after is not None:
        page = await house.files.read(v.ReadStoreFile(store=store, file=file, after=after), house.context)
        texts += page.data
        after = page.next
    return texts


async def forget_leases(house: House) -> None:
    """As if so much time had passed that nobody is believed to be alive."""
    await house.sql("UPDATE vector_files SET lease = now() - interval '1 second' WHERE lease > '-infinity'")


async def test_a_file_goes_on_where_its_worker_died(house: House, another: Callable[..., House]) -> None:
    file = await house.add(long())
    whole = await house.store(file_ids=[file], chunking_strategy=STATIC)
    await house.work()
    wanted = await texts_of(house, whole, file)
    store = await house.store(file_ids=[file], chunking_strategy=STATIC)
    (job,) = await house.jobs()
    house.embedding.texts.clear()

    def die(texts: Any) -> None:
        if len(house.embedding.texts) >= 40:
            house.embedding.before = lambda texts: asyncio.sleep(3600)
            reached.set()

    reached = asyncio.Event()
    house.embedding.before = die
    dying = asyncio.create_task(house.worker.work(job))
    await reached.wait()
    while await house.sql("SELECT done FROM vector_files ORDER BY number DESC LIMIT 1") < 20:
        await asyncio.sleep(0.01)
    dying.cancel()
    await asyncio.wait({dying})
    await forget_leases(house)
    second = another()
    await second.worker.work(job)
    assert (await house.file(store, file)).status == "completed"
    assert await texts_of(house, store, file) == wanted
    assert await house.chunks(store) == len(wanted)
    assert len(second.embedding.texts) <= len(wanted) - 20
    assert await house.sql("SELECT bytes FROM vector_files WHERE status = 'completed' LIMIT 1") == await house.sql(
        "SELECT bytes FROM vector_files ORDER BY number DESC LIMIT 1"
    )
    await second.close()


async def test_two_workers_never_read_one_file(house: House, another: Callable[..., House]) -> None:
    file = await house.add(WHALES)
    await house.store(file_ids=[file])
    (job,) = await house.jobs()
    go, here = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        here.set()
        await go.wait()

    house.embedding.before = lambda texts: wait()
    first = asyncio.create_task(house.worker.work(job))
    await here.wait()
    second = another()
    with pytest.raises(TryLater) as caught:
        await second.worker.work(job)
    assert caught.value.retry_after is not None
    assert 1 < caught.value.retry_after < 20
    go.set()
    await first
    await second.worker.work(job)  # there is nothing left to do
    assert second.embedding.texts == []
    await second.close()


async def test_a_worker_that_was_taken_for_dead_writes_nothing(house: House, another: Callable[..., House]) -> None:
    file = await house.add(long())
    store = await house.store(file_ids=[file], chunking_strategy=STATIC)
    (job,) = await house.jobs()
    go, here = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        here.set()
        await go.wait()

    house.embedding.before = lambda texts: wait()
    sleeping = asyncio.create_task(house.worker.work(job))
    await here.wait()
    await forget_leases(house)
    second = another()
    await second.worker.work(job)
    seen = await house.file(store, file)
    count = await house.chunks(store)
    go.set()
    await sleeping
    assert await house.file(store, file) == seen
    assert seen.status == "completed"
    assert await house.chunks(store) == count == await house.sql("SELECT chunks FROM vector_files")
    await second.close()


async def test_what_a_sleeper_puts_into_a_file_that_was_taken_out_goes_again(house: House) -> None:
    file = await house.add(long())
    store = await house.store(file_ids=[file], chunking_strategy=STATIC)
    (job,) = await house.jobs()
    go, here = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        here.set()
        await go.wait()

    house.embedding.before = lambda texts: wait()
    sleeping = asyncio.create_task(house.worker.work(job))
    await here.wait()
    await house.files.detach(v.DetachFile(store=store, file=file), house.context)
    go.set()
    await sleeping
    assert await house.chunks(store) == 0
    await forget_leases(house)
    await house.sweeper.sweep()
    assert await house.sql("SELECT count(*) FROM vector_files") == 0


async def test_a_model_that_is_away_is_waited_for_and_then_no_more(house: House, another: Callable[..., House]) -> None:
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    (job,) = await house.jobs()
    house.embedding.failure = Overloaded("all workers are busy", retry_after=7)
    with pytest.raises(TryLater) as caught:
        await house.worker.work(job)
    assert caught.value.retry_after is not None
    assert 4 < caught.value.retry_after <= 7
    assert (await house.file(store, file)).status == "in_progress"
    impatient = another(patience=60.0)
    impatient.embedding.failure = house.embedding.failure
    await house.sql("UPDATE vector_files SET troubled = now() - interval '90 seconds'")
    await impatient.worker.work(job)
    failed = await house.file(store, file)
    assert failed.status == "failed"
    assert failed.last_error is not None
    assert failed.last_error.code == "server_error"
    assert "all workers are busy" in failed.last_error.message
    await impatient.close()


async def test_a_model_that_refuses_fails_the_file_at_once_and_leaves_nothing(house: House) -> None:
    files = [await house.add(long()), await house.add(BREAD)]
    store = await house.store(file_ids=files[:1], chunking_strategy=STATIC)

    def refuse(texts: Any) -> None:
        if len(house.embedding.texts) > 20:
            raise InvalidRequest("the input is too long")

    house.embedding.before = refuse
    await house.work()
    failed = await house.file(store, files[0])
    assert (failed.status, failed.usage_bytes) == ("failed", 0)
    assert await house.chunks(store) == 0
    house.embedding.before = lambda texts: None
    await house.attach(store, files[0], chunking_strategy=STATIC)  # another try is an attachment more
    await house.work()
    assert (await house.file(store, files[0])).status == "completed"
    assert await house.sql("SELECT count(*) FROM vector_files") == 1


async def test_a_file_that_kills_its_workers_is_given_up(house: House) -> None:
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    (job,) = await house.jobs()
    for _ in range(6):
        number = await house.sql("SELECT number FROM vector_files")
        assert await house.claims.take(number) is not None
        await forget_leases(house)
    await house.worker.work(job)
    failed = await house.file(store, file)
    assert failed.status == "failed"
    assert failed.last_error is not None
    assert "no worker got on with it" in failed.last_error.message


async def test_an_image_is_found_by_what_stands_in_it(house: House) -> None:
    pytest.importorskip("rapidocr", reason="the extra ocr is not installed (make setup INSTALL_OCR=1)")
    picture, bytes_of = Image.new("RGB", (500, 90), "white"), BytesIO()
    ImageDraw.Draw(picture).text((20, 20), WHALES[:24], fill="black", font=ImageFont.load_default(30))
    picture.save(bytes_of, "PNG")
    photo = await house.add(bytes_of.getvalue(), "a.png", "image/png")
    store = await house.store(file_ids=[photo])
    await house.work()
    assert (await house.file(store, photo)).status == "completed"
    assert await house.found(store, "whales") == [photo]


async def test_a_poisoned_file_fails_alone(house: House) -> None:
    good = [await house.add(f"{WHALES} {number}") for number in range(4)]
    bad = {
        await house.add(b"%PDF-1.7\nnothing of a PDF", "a.pdf", "application/pdf"): "invalid_file",
        await house.add(b"\x1f\x8b" + bytes(64), "b.gz", "application/gzip"): "unsupported_file",
        await house.add(b"   \n\n  ", "c.txt"): "invalid_file",
    }
    store = await house.store(file_ids=[*good, *bad])
    del house.shelf.files["acme", good[3]]  # deleted before it was read
    await house.work()
    for file, code in {**bad, good[3]: "invalid_file"}.items():
        seen = await house.file(store, file)
        assert seen.status == "failed", seen
        assert seen.last_error is not None
        assert seen.last_error.code == code
    assert sorted(await house.found(store, "whales")) == sorted(good[:3])
    assert await house.chunks(store) == 3


async def test_files_whose_jobs_were_lost_are_read(house: House) -> None:
    house.server.stop()
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    assert (await house.file(store, file)).status == "in_progress"
    house.server.start()
    assert await house.jobs() == []
    await house.sql("UPDATE vector_files SET created = now() - interval '1 minute'")
    await house.sweeper.sweep()
    await house.work()
    assert (await house.file(store, file)).status == "completed"
    # kept once, but never taken up: as when the queue lost it
    other = await house.add(BREAD)
    await house.attach(store, other)
    assert len(await house.jobs()) == 1
    await house.sweeper.sweep()
    assert await house.jobs() == []
    await house.sql("UPDATE vector_files SET queued = now() - interval '1 hour'")
    await house.sweeper.sweep()
    await house.work()
    assert (await house.file(store, other)).status == "completed"


async def test_contexts_are_written_before_chunks_and_asked_for_again(house: House) -> None:
    file = await house.add(f"{WHALES}\n\n{BREAD}")
    house.writing.failures = [Overloaded("busy", retry_after=0)]
    store = await house.store(file_ids=[file], chunking_strategy={"type": "contextual"})
    await house.work()
    (text,) = await texts_of(house, store, file)
    assert text == f"From the handbook.\n\n{WHALES}\n\n{BREAD}"
    assert len(house.writing.asked) == 2
    assert WHALES in house.writing.asked[0]
    assert await house.found(store, "handbook", search_mode="keyword") == [file]


async def test_indexes_are_made_ready_once_files_came(house: House) -> None:
    store = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    assert [each.id for each, _ in await house.table.unsettled()] == [store]
    await house.sweeper.settle()
    assert list(await house.table.unsettled()) == []


async def test_a_store_whose_maker_died_is_swept(house: House) -> None:
    store = await house.store()
    await house.sql("UPDATE vector_stores SET state = 'making', created = now() - interval '1 hour'")
    await house.sweeper.sweep()
    assert await house.sql("SELECT count(*) FROM vector_stores") == 0
    assert await house.sql("SELECT count(*) FROM vector_index_stores WHERE id = $1", store) == 0


@pytest.mark.parametrize("provider", ["faiss", "qdrant"])
async def test_other_indexes_give_the_same_answers(house: House, another: Callable[..., House], provider: str) -> None:
    files = [await house.add(f"{WHALES} {number}") for number in range(3)] + [await house.add(BREAD)]
    stores = [await house.store(file_ids=files), await house.store(file_ids=files, provider_id=provider)]
    await house.work()
    second = another()
    for mode in ("vector", "keyword", "hybrid"):
        pages = [await second.search(store, "milk of whales", search_mode=mode) for store in stores]
        assert [each.file_id for each in pages[0].data] == [each.file_id for each in pages[1].data]
    await house.files.detach(v.DetachFile(store=stores[1], file=files[3]), house.context)
    assert files[3] not in await second.found(stores[1], "bread")
    await second.close()
