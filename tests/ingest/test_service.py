"""Stores, files in them and searches, by themselves: what one sees of them, and what is whose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from caravan_contracts import vectors as v
from caravan_contracts.errors import InvalidRequest, NotFound
from caravan_contracts.files import FilesRemoved

from tests.ingest.house import DIMENSION, MODEL, House

pytestmark = pytest.mark.asyncio(loop_scope="package")

WHALES = "Whales are mammals. They breathe air and give milk to their young."
BREAD = "Bread is made of flour, water, salt and yeast, and baked in an oven."
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 20}}


def long(words: int = 3_000) -> str:
    return " ".join(f"word{number % 97} sentence{number}." for number in range(words))


async def test_a_store_is_what_was_said_of_it(house: House) -> None:
    made = await house.stores.create(
        v.CreateStore(
            name="n", description="d", metadata={"a": "b"}, expires_after=v.StoreExpiry(anchor="last_active_at", days=3)
        ),
        house.context,
    )
    assert made == await house.stores.get(v.GetStore(id=made.id), house.context)
    assert (made.name, made.description, made.metadata, made.status) == ("n", "d", {"a": "b"}, "completed")
    assert made.last_active_at is not None
    assert made.expires_at == made.last_active_at + 3 * 86_400
    assert (made.embedding_model, made.embedding_dimension, made.provider_id) == (MODEL, DIMENSION, "pgvector")
    assert made.file_counts == v.FileCounts()


async def test_a_file_is_read_and_found(house: House) -> None:
    whales, bread = await house.add(WHALES, "whales.md", "text/markdown"), await house.add(BREAD, "bread.txt")
    store = await house.store(file_ids=[whales])
    assert (await house.attach(store, bread)).status == "in_progress"
    assert (await house.stores.get(v.GetStore(id=store), house.context)).file_counts.in_progress == 2
    await house.work()
    seen = await house.stores.get(v.GetStore(id=store), house.context)
    assert seen.file_counts == v.FileCounts(completed=2, total=2)
    assert seen.usage_bytes == len(WHALES) + len(BREAD) + 2 * DIMENSION * 2
    for mode in ("vector", "keyword", "hybrid"):
        page = await house.search(store, "flour and yeast", search_mode=mode)
        best = page.data[0]
        assert (best.file_id, best.filename, best.content) == (bread, "bread.txt", [v.FoundText(text=BREAD)])
        assert 0 < best.score <= 1


async def test_filters_look_at_attributes_which_can_change(house: House) -> None:
    files = [await house.add(f"{WHALES} {year}", f"{year}.txt") for year in (1999, 2005, 2011)]
    store = await house.store()
    for file, year in zip(files, (1999, 2005, 2011), strict=True):
        await house.attach(store, file, attributes={"year": year})
    await house.work()
    young = {"type": "gte", "key": "year", "value": 2000}
    assert sorted(await house.found(store, "whales", filters=young)) == sorted(files[1:])
    await house.files.update(v.UpdateStoreFile(store=store, file=files[0], attributes={"year": 2020}), house.context)
    assert sorted(await house.found(store, "whales", filters=young)) == sorted(files)
    assert (await house.file(store, files[0])).attributes == {"year": 2020}


async def test_attributes_that_change_while_a_file_is_read(house: House) -> None:
    file = await house.add(WHALES)
    store = await house.store()
    await house.attach(store, file, attributes={"version": 1})

    async def change() -> None:
        await house.files.update(v.UpdateStoreFile(store=store, file=file, attributes={"version": 2}), house.context)

    house.embedding.before = lambda texts: change()
    await house.work()
    house.embedding.before = lambda texts: None
    second = {"type": "eq", "key": "version", "value": 2}
    assert await house.found(store, "whales", filters=second) == [file]


async def test_a_file_that_is_taken_out_is_not_found(house: House) -> None:
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    await house.work()
    await house.files.detach(v.DetachFile(store=store, file=file), house.context)
    assert await house.found(store, "whales") == []
    assert await house.chunks(store) == 0
    with pytest.raises(NotFound):
        await house.file(store, file)
    await house.attach(store, file)
    await house.work()
    assert await house.found(store, "whales") == [file]


async def test_the_texts_of_a_file_in_order(house: House) -> None:
    file = await house.add(long())
    store = await house.store(file_ids=[file], chunking_strategy=STATIC)
    await house.work()
    texts: list[str] = []
    after: int | None = -1
    while after is not None:
        page = await house.files.read(v.ReadStoreFile(store=store, file=file, after=after), house.context)
        texts += page.data
        after = page.next
    assert len(texts) == await house.chunks(store) > 100
    assert texts[0].startswith("word0 sentence0.")
    assert texts[-1].rstrip().endswith("sentence2999.")


async def test_attaching_again_changes_nothing_unless_it_is_to_be_read_otherwise(house: House) -> None:
    file = await house.add(WHALES)
    store = await house.store()
    first = await house.attach(store, file, attributes={"a": 1})
    assert await house.attach(store, file) == first
    await house.work()
    again = await house.attach(store, file, attributes={"a": 2})
    assert (again.status, again.attributes) == ("completed", {"a": 2})
    assert await house.jobs() == []
    other = await house.attach(store, file, chunking_strategy=STATIC)
    assert other.status == "in_progress"
    await house.work()
    assert await house.chunks(store) == 1
    assert (await house.file(store, file)).chunking_strategy == STATIC


async def test_a_batch_counts_its_files(house: House) -> None:
    files = [await house.add(f"{WHALES} {number}") for number in range(5)]
    poisoned = await house.add(b"\x00\x01\x02\x03" * 99, "broken.pdf", "application/pdf")
    store = await house.store()
    batch = await house.batch(store, *files, poisoned, attributes={"of": "batch"})
    assert (batch.status, batch.file_counts.in_progress) == ("in_progress", 6)
    await house.work()
    batch = await house.files.get_batch(v.GetBatch(store=store, batch=batch.id), house.context)
    assert batch.status == "completed"
    assert batch.file_counts == v.FileCounts(completed=5, failed=1, total=6)
    asked = v.ListStoreFiles(store=store, batch=batch.id, filter="failed")
    (failed,) = (await house.files.page(asked, house.context)).data
    assert failed.id == poisoned
    assert failed.last_error is not None
    assert failed.last_error.code in ("invalid_file", "unsupported_file")
    assert failed.last_error.message


async def test_a_batch_that_is_cancelled_leaves_nothing_of_what_was_not_finished(house: House) -> None:
    done, file = await house.add(BREAD), await house.add(long())
    store = await house.store()
    batch = await house.batch(store, done)
    await house.work()
    second = await house.batch(store, file, done, chunking_strategy=None)

    async def cancel() -> None:
        house.embedding.before = lambda texts: None
        await house.files.cancel_batch(v.CancelBatch(store=store, batch=second.id), house.context)

    texts = 0

    def count(some: Any) -> Any:
        nonlocal texts
        texts += len(some)
        return cancel() if texts > 8 else None

    house.embedding.before = count
    await house.work()
    seen = await house.files.get_batch(v.GetBatch(store=store, batch=second.id), house.context)
    assert (seen.status, seen.file_counts) == ("cancelled", v.FileCounts(completed=1, cancelled=1, total=2))
    assert (await house.file(store, file)).status == "cancelled"
    await house.sql("UPDATE vector_files SET lease = '-infinity'")
    await house.sweeper.sweep()
    assert await house.chunks(store) == 1
    assert (await house.files.get_batch(v.GetBatch(store=store, batch=batch.id), house.context)).id == batch.id


async def test_pages_of_stores_and_files_go_both_ways(house: House) -> None:
    stores = [await house.store(name=str(number)) for number in range(5)]
    page = await house.stores.page(v.ListStores(limit=2, order="asc"), house.context)
    assert ([each.id for each in page.data], page.has_more) == (stores[:2], True)
    page = await house.stores.page(v.ListStores(limit=3, order="asc", after=stores[1]), house.context)
    assert ([each.id for each in page.data], page.has_more) == (stores[2:], False)
    page = await house.stores.page(v.ListStores(limit=2, order="asc", before=stores[3]), house.context)
    assert ([each.id for each in page.data], page.has_more) == (stores[1:3], True)
    page = await house.stores.page(v.ListStores(limit=9), house.context)
    assert [each.id for each in page.data] == stores[::-1]
    files = [await house.add(f"{number}") for number in range(4)]
    await house.batch(stores[0], *files)
    asked = v.ListStoreFiles(store=stores[0], limit=2, before=files[0])
    assert [each.id for each in (await house.files.page(asked, house.context)).data] == [files[2], files[1]]


async def test_several_queries_are_each_looked_for(house: House) -> None:
    files = [await house.add(WHALES), await house.add(BREAD)]
    store = await house.store(file_ids=files)
    await house.work()
    page = await house.search(store, "milk of mammals", "yeast in an oven", max_num_results=2)
    assert sorted(each.file_id for each in page.data) == sorted(files)
    assert page.search_query == ["milk of mammals", "yeast in an oven"]


async def test_results_come_in_pages(house: House) -> None:
    store = await house.store(file_ids=[await house.add(long())], chunking_strategy=STATIC)
    await house.work()
    whole = [each.chunk_id for each in (await house.search(store, "word5 word6", max_num_results=30)).data]
    parts: list[str] = []
    page = ""
    while len(parts) < 30:
        some = await house.search(store, "word5 word6", max_num_results=10, page=page)
        parts += [each.chunk_id for each in some.data]
        assert some.has_more
        page = some.next_page or ""
    assert parts == whole


async def test_a_query_can_be_rewritten_and_results_ordered_by_a_model(house: House) -> None:
    store = await house.store(file_ids=[await house.add(WHALES), await house.add(BREAD)])
    await house.work()
    page = await house.search(store, "whales please", rewrite_query=True)
    assert page.search_query == ["whales"]
    ranked = await house.search(store, "whales", ranking_options={"ranker": "neural", "model": "r"})
    lengths = [len(each.content[0].text) for each in ranked.data]
    assert lengths == sorted(lengths, reverse=True)


async def test_an_expired_store_is_seen_and_not_used(house: House) -> None:
    file = await house.add(WHALES)
    expiry = v.StoreExpiry(anchor="last_active_at", days=1)
    store = await house.store(file_ids=[file], expires_after=expiry)
    await house.work()
    await house.sql("UPDATE vector_stores SET active = now() - interval '25 hours' WHERE id = $1", store)
    assert (await house.stores.get(v.GetStore(id=store), house.context)).status == "expired"
    for refused in (house.search(store, "whales"), house.attach(store, file)):
        with pytest.raises(InvalidRequest, match="expired"):
            await refused
    await house.sweeper.sweep()
    assert (await house.stores.get(v.GetStore(id=store), house.context)).usage_bytes == 0
    with pytest.raises(NotFound):
        await house.chunks(store)


async def test_a_store_that_is_used_does_not_expire(house: House) -> None:
    store = await house.store(expires_after=v.StoreExpiry(anchor="last_active_at", days=1))
    await house.sql("UPDATE vector_stores SET active = now() - interval '23 hours' WHERE id = $1", store)
    await house.search(store, "whales")
    seen = await house.stores.get(v.GetStore(id=store), house.context)
    assert seen.last_active_at is not None
    assert seen.last_active_at >= seen.created_at


async def test_a_store_that_is_deleted_takes_its_chunks_along(house: House) -> None:
    store = await house.store(file_ids=[await house.add(WHALES)])
    await house.work()
    await house.stores.delete(v.DeleteStore(id=store), house.context)
    assert await house.sql("SELECT count(*) FROM vector_files") == 0
    with pytest.raises(NotFound):
        await house.chunks(store)
    with pytest.raises(NotFound):
        await house.stores.get(v.GetStore(id=store), house.context)


async def test_a_file_that_is_deleted_is_in_no_store_any_more(house: House) -> None:
    files = [await house.add(WHALES), await house.add(BREAD)]
    stores = [await house.store(file_ids=files) for _ in range(2)]
    await house.work()
    await house.sweeper.forget(FilesRemoved(tenant="acme", ids=[files[0]]))
    for store in stores:
        assert await house.found(store, "whales bread") == [files[1]]
    # nobody said so, but it is asked now and then
    del house.shelf.files["acme", files[1]]
    await house.sql("UPDATE vector_files SET seen = now() - interval '2 hours'")
    await house.sweeper.sweep()
    for store in stores:
        assert await house.found(store, "whales bread") == []


async def test_update_changes_what_is_named_and_nothing_else(house: House) -> None:
    store = await house.store(name="a", metadata={"x": "1"})

    async def update(**fields: Any) -> v.VectorStore:
        return await house.stores.update(v.UpdateStore(id=store, set=fields), house.context)

    assert (await update(name="b")).metadata == {"x": "1"}
    assert (await update(metadata=None)).metadata == {}
    assert (await update(expires_after={"anchor": "last_active_at", "days": 2})).expires_at is not None
    assert (await update(expires_after=None)).expires_at is None
    for wrong in (
        {"expires_after": {"anchor": "created_at", "days": 2}},
        {"metadata": {"a": 1}},
        {"embedding_model": "x"},
        {"name": 7},
    ):
        with pytest.raises(InvalidRequest):
            await update(**wrong)
    assert (await house.stores.get(v.GetStore(id=store), house.context)).name == "b"


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"attributes": {str(number): 1 for number in range(17)}}, "attributes"),
        ({"attributes": {"k" * 65: 1}}, "attributes"),
        ({"attributes": {"k": ["list"]}}, "attributes.k"),
        ({"chunking_strategy": {"type": "static"}}, "chunking_strategy.static"),
        ({"chunking_strategy": {"type": "no"}}, "chunking_strategy"),
        (
            {
                "chunking_strategy": {
                    "type": "static",
                    "static": {"max_chunk_size_tokens": 9, "chunk_overlap_tokens": 1},
                }
            },
            "chunking_strategy.static.max_chunk_size_tokens",
        ),
    ],
)
async def test_what_is_wrong_is_said(house: House, more: dict[str, Any], param: str) -> None:
    store, file = await house.store(), await house.add(WHALES)
    with pytest.raises(InvalidRequest) as caught:
        await house.attach(store, file, **more)
    assert caught.value.param == param


@pytest.mark.parametrize(
    "more",
    [
        {"filters": {"type": "near", "key": "a", "value": 1}},
        {"ranking_options": {"ranker": "best"}},
        {"ranking_options": {"ranker": "neural"}},
        {"ranking_options": {"score_threshold": 2}},
        {"ranking_options": {"weights": {"vector": 0, "keyword": 0}}},
        {"ranking_options": {"surprise": 1}},
        {"page": "next"},
    ],
)
async def test_searches_that_cannot_be(house: House, more: dict[str, Any]) -> None:
    store = await house.store()
    with pytest.raises(InvalidRequest):
        await house.search(store, "whales", **more)


async def test_chunks_with_vectors_of_their_own(house: House) -> None:
    from benchmarks.corpus import hashed

    store = await house.store()

    def chunk(name: str, text: str) -> v.RawChunk:
        return v.RawChunk(
            chunk_id=name,
            document_id=f"doc-{name}",
            text=text,
            embedding=hashed(text, DIMENSION),
            metadata={"source": name},
        )

    asked = v.InsertChunks(
        store=store, chunks=[chunk("w", WHALES), chunk("b", BREAD)], attributes={"doc-w": {"kind": "animal"}}
    )
    assert (await house.raw.insert(asked, house.context)).count == 2
    page = await house.raw.query(v.QueryChunks(store=store, text="yeast and flour", max_chunks=1), house.context)
    (found,) = page.data
    assert (found.chunk_id, found.document_id, found.text) == ("b", "doc-b", BREAD)
    assert found.metadata["source"] == "b"
    animals = {"type": "eq", "key": "kind", "value": "animal"}
    assert await house.found(store, "bread", filters=animals) == ["doc-w"]
    await house.raw.delete(v.DeleteChunks(store=store, documents=["doc-w"]), house.context)
    assert await house.found(store, "whales bread") == ["doc-b"]


async def test_no_tenant_sees_or_changes_anything_of_another(house: House, another: Callable[..., House]) -> None:
    file = await house.add(WHALES)
    store = await house.store(file_ids=[file])
    batch = await house.batch(store, file)
    await house.work()
    other = another(tenant="umbrella")
    own = await other.store(file_ids=[await other.add(BREAD)])
    before = await house.stores.get(v.GetStore(id=store), house.context)
    stranger = other.context
    for refused in (
        other.stores.get(v.GetStore(id=store), stranger),
        other.stores.update(v.UpdateStore(id=store, set={"name": "mine"}), stranger),
        other.stores.delete(v.DeleteStore(id=store), stranger),
        other.files.attach(v.AttachFile(store=store, file=v.NewFile(file_id=file)), stranger),
        other.files.attach(v.AttachFile(store=own, file=v.NewFile(file_id=file)), stranger),
        other.files.get(v.GetStoreFile(store=store, file=file), stranger),
        other.files.get(v.GetStoreFile(store=own, file=file), stranger),
        other.files.page(v.ListStoreFiles(store=store), stranger),
        other.files.page(v.ListStoreFiles(store=own, batch=batch.id), stranger),
        other.files.update(v.UpdateStoreFile(store=store, file=file, attributes={"a": 1}), stranger),
        other.files.detach(v.DetachFile(store=store, file=file), stranger),
        other.files.read(v.ReadStoreFile(store=store, file=file), stranger),
        other.files.get_batch(v.GetBatch(store=store, batch=batch.id), stranger),
        other.files.get_batch(v.GetBatch(store=own, batch=batch.id), stranger),
        other.files.cancel_batch(v.CancelBatch(store=store, batch=batch.id), stranger),
        other.searches.search(v.SearchStore(store=store, queries=["whales"]), stranger),
        other.raw.query(v.QueryChunks(store=store, text="whales"), stranger),
        other.raw.delete(v.DeleteChunks(store=store, documents=["d"]), stranger),
    ):
        with pytest.raises(NotFound):
            await refused
    assert [each.id for each in (await other.stores.page(v.ListStores(), stranger)).data] == [own]
    assert await house.stores.get(v.GetStore(id=store), house.context) == before
    assert await house.found(store, "whales") == [file]
    await other.close()
