"""What is counted and listed: every file where it belongs, and pages that fit into a message."""

from __future__ import annotations

import pytest
from caravan_contracts import vectors as v

from tests.ingest.house import House
from tests.ingest.test_service import BREAD, WHALES

pytestmark = pytest.mark.asyncio(loop_scope="package")


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_of_stores_fits_into_a_message(house: House, order: str) -> None:
    metadata = {f"{number:064}": "\u20ac" * 512 for number in range(16)}
    ids = [await house.store(metadata=metadata, description="\u20ac" * 2_000) for _ in range(30)]
    if order == "desc":
        ids.reverse()
    listed: list[str] = []
    while True:
        asked = v.ListStores.model_validate({"limit": 100, "order": order, "after": listed[-1] if listed else ""})
        page = await house.stores.page(asked, house.context)
        assert len(page.model_dump_json().encode()) < 700 * 1024
        listed += [store.id for store in page.data]
        if not page.has_more:
            break
    assert listed == ids
    back = await house.stores.page(
        v.ListStores.model_validate({"limit": 100, "order": order, "before": ids[-1]}), house.context
    )
    assert back.has_more
    assert [store.id for store in back.data] == ids[-1 - len(back.data) : -1]


async def test_a_file_counts_in_every_batch_that_it_came_with(house: House) -> None:
    whales, bread = await house.add(WHALES), await house.add(BREAD)
    store = await house.store()
    first, second = await house.batch(store, whales, bread), await house.batch(store, whales)

    async def seen(batch: v.FileBatch) -> v.FileBatch:
        return await house.files.get_batch(v.GetBatch(store=store, batch=batch.id), house.context)

    async def files(batch: v.FileBatch) -> list[str]:
        asked = v.ListStoreFiles(store=store, batch=batch.id, order="asc")
        return [file.id for file in (await house.files.page(asked, house.context)).data]

    assert await seen(first) == first
    assert (first.status, first.file_counts) == ("in_progress", v.FileCounts(in_progress=2, total=2))
    assert (await files(first), await files(second)) == ([whales, bread], [whales])
    await house.attach(store, whales)
    await house.work()
    assert (await seen(first)).file_counts == v.FileCounts(completed=2, total=2)
    assert (await seen(second)).file_counts == v.FileCounts(completed=1, total=1)
    await house.files.detach(v.DetachFile(store=store, file=whales), house.context)
    assert (await seen(first)).file_counts == v.FileCounts(completed=1, total=1)
    assert (await seen(second)).file_counts == v.FileCounts()
