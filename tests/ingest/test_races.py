"""What happens to the same rows at the same time, and what goes wrong after something was promised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from caravan_contracts import vectors as v
from caravan_contracts.errors import DependencyDown, NotFound

from tests.ingest.house import DIMENSION, House
from tests.ingest.test_service import BREAD, WHALES

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_a_file_ends_while_it_is_attached_again(house: House) -> None:
    """Whoever attaches locks the store, then its files; whoever has read a file must not do it the other way round."""
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    number = await house.sql("SELECT number FROM vector_files")
    claim = await house.claims.take(number)
    assert claim is not None
    async with house.postgres.transaction() as connection:
        await connection.execute("SELECT FROM vector_stores WHERE id = $1 FOR UPDATE", store)
        finishing = asyncio.create_task(house.claims.finish(claim))
        while not await house.sql(WAITING) and not finishing.done():
            await asyncio.sleep(0.01)
        await connection.execute("UPDATE vector_files SET attributes = '{}' WHERE number = $1", number)
    assert await finishing
    assert (await house.file(store, file)).status == "completed"


async def test_a_deadlock_is_tried_again(house: House) -> None:
    """PostgreSQL ends one of two that wait for each other; that one may come again."""
    await house.store(file_ids=[await house.add(WHALES), await house.add(BREAD)])
    change = "UPDATE vector_files SET seen = now() WHERE filename = 'notes.txt' AND id = $1"
    one, other = await house.sql("SELECT array_agg(id) FROM vector_files")
    first = asyncio.Barrier(2)

    async def cross(*files: str) -> None:
        async with house.postgres.transaction() as connection:
            await connection.execute(change, files[0])
            await first.wait()
            await connection.execute(change, files[1])

    results = await asyncio.gather(cross(one, other), cross(other, one), return_exceptions=True)
    (failed,) = [result for result in results if result is not None]
    assert isinstance(failed, DependencyDown)
    assert failed.retryable


async def test_sweeps_go_on_after_what_nobody_foresaw(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    swept = asyncio.Event()

    async def fail() -> None:
        if tries:
            swept.set()
        tries.append(1)
        raise ZeroDivisionError

    tries: list[int] = []
    monkeypatch.setattr(house.sweeper, "sweep", fail)
    monkeypatch.setattr(house.sweeper, "_every", 0.01)
    running = asyncio.create_task(house.sweeper.run())
    try:
        async with asyncio.timeout(30):
            await swept.wait()
    finally:
        running.cancel()
        await asyncio.wait({running})


async def test_what_comes_while_a_store_is_made_ready_is_not_forgotten(house: House) -> None:
    store = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    ((row, version),) = await house.table.unsettled()
    await house.attach(store, await house.add(BREAD))
    await house.work()
    await house.table.settled(row.number, version)
    ((again, version),) = await house.table.unsettled()
    assert again.id == store
    await house.table.settled(again.number, version)
    assert await house.table.unsettled() == []


async def test_a_store_into_which_files_never_cease_to_come_is_made_ready_now_and_then(house: House) -> None:
    store = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    await house.attach(store, await house.add(BREAD))
    assert await house.table.unsettled() == []
    await house.sql("UPDATE vector_stores SET unsettled = now() - interval '11 minutes'")
    assert [each.id for each, _ in await house.table.unsettled()] == [store]


async def test_raw_chunks_make_a_store_unsettled(house: House) -> None:
    store = await house.store()
    chunk = v.RawChunk(chunk_id="c", document_id="d", text=WHALES, embedding=[1.0] * DIMENSION)
    await house.raw.insert(v.InsertChunks(store=store, chunks=[chunk]), house.context)
    assert [each.id for each, _ in await house.table.unsettled()] == [store]


async def test_a_store_that_cannot_be_made_ready_keeps_no_other(house: House) -> None:
    broken = await house.store(file_ids=[await house.add(WHALES)])
    await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    await house.sql("UPDATE vector_stores SET provider = 'gone' WHERE id = $1", broken)
    await house.sweeper.settle()
    assert [each.id for each, _ in await house.table.unsettled()] == [broken]


async def test_attributes_that_are_told_late_are_not_the_last_word(house: House) -> None:
    """Two changes are written one way round, and told the other."""
    file = await house.add(WHALES)
    store = await house.store()
    await house.attach(store, file, attributes={"kind": 1})
    await house.work()
    for kind in (True, 2):
        await house.files.update(v.UpdateStoreFile(store=store, file=file, attributes={"kind": kind}), house.context)
        row = await house.table.find("acme", store)
        await house.telling.tell(row, await house.sql("SELECT number FROM vector_files"), {"kind": 1})
        (found,) = (await house.search(store, "whales")).data
        assert found.attributes == {"kind": kind}
        assert type(found.attributes["kind"]) is type(kind)


async def test_attributes_of_a_file_that_was_taken_out_leave_nothing(house: House) -> None:
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    await house.work()
    number, row = await house.sql("SELECT number FROM vector_files"), await house.table.find("acme", store)
    await house.files.detach(v.DetachFile(store=store, file=file), house.context)
    await house.telling.tell(row, number, {"kind": 1})
    assert (
        await house.sql(
            "SELECT count(*) FROM vector_index_files f JOIN vector_index_stores s ON s.number = f.store "
            "WHERE s.id = $1",
            store,
        )
        == 0
    )


async def test_a_file_is_taken_out_although_its_chunks_cannot_go_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row says that it is gone: an error would be a lie, and one more try a 404."""
    monkeypatch.setattr("caravan_vector.cleaning.PATIENCE", 0.2)
    file, other = await house.add(WHALES), await house.add(BREAD)
    store = await house.store(file_ids=[file, other])
    await house.work()
    async with _locked(house, store):
        gone = await house.files.detach(v.DetachFile(store=store, file=file), house.context)
        assert gone.id == file
    await house.sql("UPDATE vector_stores SET provider = 'gone'")
    await house.files.detach(v.DetachFile(store=store, file=other), house.context)
    await house.sql("UPDATE vector_stores SET provider = 'pgvector'")
    assert await house.found(store, "whales") == []
    await house.sweeper.sweep()
    assert await house.chunks(store) == 0
    assert await house.sql("SELECT count(*) FROM vector_files") == 0


async def test_what_was_cancelled_is_not_found_before_it_is_removed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("caravan_vector.cleaning.PATIENCE", 0.2)
    file = await house.add(WHALES)
    store = await house.store()
    batch = await house.batch(store, file)
    await house.work()
    await house.sql("UPDATE vector_files SET status = 'in_progress'")  # its chunks are there
    async with _locked(house, store):
        cancelled = await house.files.cancel_batch(v.CancelBatch(store=store, batch=batch.id), house.context)
        assert (cancelled.status, cancelled.file_counts.cancelled) == ("cancelled", 1)
    assert await house.chunks(store) == 1
    assert await house.found(store, "whales") == []


async def test_a_store_that_is_large_is_gone_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caravan_vector.stores.service.PATIENCE", 0.2)
    store = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    async with _locked(house, store):
        await house.stores.delete(v.DeleteStore(id=store), house.context)
        with pytest.raises(NotFound):
            await house.stores.get(v.GetStore(id=store), house.context)
    await house.sweeper.sweep()
    assert await house.sql("SELECT count(*) FROM vector_stores") == 0


async def test_a_batch_is_cancelled_while_its_files_are_attached_again(house: House) -> None:
    files = [await house.add(f"{WHALES} {number}") for number in range(2)]
    store = await house.store()
    batch = await house.batch(store, *files)
    async with house.postgres.transaction() as connection:
        await connection.execute("SELECT FROM vector_stores WHERE id = $1 FOR UPDATE", store)
        await connection.execute("UPDATE vector_files SET attributes = '{}' WHERE id = $1", files[1])
        asked = v.CancelBatch(store=store, batch=batch.id)
        cancelling = asyncio.create_task(house.files.cancel_batch(asked, house.context))
        while not await house.sql(WAITING):
            await asyncio.sleep(0.01)
        await connection.execute("UPDATE vector_files SET attributes = '{}' WHERE id = $1", files[0])
    assert (await cancelling).file_counts.cancelled == 2


async def test_stores_that_cannot_be_cleaned_keep_no_other(house: House) -> None:
    broken, store, expired = [await house.store(file_ids=[await house.add(WHALES)]) for _ in range(3)]
    await house.work()
    later = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    await house.sql("UPDATE vector_files SET status = 'removing', lease = '-infinity'")
    await house.sql("UPDATE vector_stores SET provider = 'gone' WHERE id = ANY($1)", [broken, expired])
    expire = "UPDATE vector_stores SET expires_days = 1, active = now() - interval '2 days' WHERE id = ANY($1)"
    await house.sql(expire, [expired, later])
    await house.sweeper.sweep()
    assert (
        await house.sql(
            "SELECT count(*) FROM vector_files f JOIN vector_stores s ON s.number = f.store WHERE s.id = $1", store
        )
        == 0
    )
    assert await house.sql("SELECT array_agg(id) FROM vector_stores WHERE emptied") == [later]
    await house.sweeper.settle()
    assert {each.id for each, _ in await house.table.unsettled()} == {broken, expired}


async def test_a_file_of_a_process_that_ends_goes_on_at_once(house: House, another: Callable[..., House]) -> None:
    """Nobody waits for its lease, and nobody takes the file for one that kills its workers."""
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    (job,) = await house.jobs()
    here = asyncio.Event()

    async def wait() -> None:
        here.set()
        await asyncio.Event().wait()

    house.embedding.before = lambda texts: wait()
    ending = asyncio.create_task(house.worker.work(job))
    await here.wait()
    ending.cancel()
    await asyncio.wait({ending})
    assert ending.cancelled()
    second = another()
    await second.worker.work(job)
    assert (await house.file(store, file)).status == "completed"
    assert await house.sql("SELECT lost FROM vector_files") == 0
    await second.close()


async def test_a_store_whose_removal_was_cut_off_leaves_no_graph(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("caravan_vector.stores.service.PATIENCE", 0.2)
    store = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    number = await house.sql("SELECT number FROM vector_index_stores WHERE id = $1", store)
    part = await house.sql("SELECT tableoid::regclass::text FROM vector_chunks WHERE store = $1", number)
    await house.sql(
        f"CREATE INDEX vector_chunks_near_{number} ON {part} "
        f"USING hnsw ((embedding::halfvec({DIMENSION})) halfvec_ip_ops) WHERE store = {number}"
    )
    async with house.postgres.transaction() as connection:
        await connection.execute(f"LOCK TABLE {part} IN SHARE UPDATE EXCLUSIVE MODE")
        await house.stores.delete(v.DeleteStore(id=store), house.context)
    await house.sweeper.sweep()
    assert await house.sql("SELECT count(*) FROM vector_stores") == 0
    assert await house.sql("SELECT to_regclass($1)", f"vector_chunks_near_{number}") is None


@asynccontextmanager
async def _locked(house: House, store: str) -> AsyncIterator[None]:
    """Whoever changes the index of the store has to wait."""
    async with house.postgres.transaction() as connection:
        await connection.execute("SELECT FROM vector_index_stores WHERE id = $1 FOR UPDATE", store)
        yield
