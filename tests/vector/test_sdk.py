"""OpenAI's own client keeps vector stores here as it does at OpenAI."""

from __future__ import annotations

import time
from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI
from openai.types import VectorStore

from tests.mesh.running import RunningMesh
from tests.vector.conftest import MODEL

TEXTS = {
    "camels.txt": b"A camel keeps fat in its hump. Camels walk through the desert for weeks without water.",
    "whales.txt": b"The blue whale is the largest animal. Whales breathe air and sing in the sea.",
    "bread.txt": b"Flour, water, salt and yeast make bread. Dough rests before it is baked in an oven.",
}
POLL = {"poll_interval_ms": 50}


def sized(most: int, overlap: int) -> Any:
    return {"type": "static", "static": {"max_chunk_size_tokens": most, "chunk_overlap_tokens": overlap}}


STATIC = sized(100, 0)


def uploaded(client: OpenAI, *names: str) -> list[str]:
    return [client.files.create(file=(name, TEXTS[name]), purpose="assistants").id for name in names or TEXTS]


def filled(client: OpenAI, **more: Any) -> VectorStore:
    """A store in which each of TEXTS is, with its name as an attribute."""
    store = client.vector_stores.create(name="texts", **more)
    files: Any = [
        {"file_id": file, "attributes": {"about": name.removesuffix(".txt"), "place": place}}
        for place, (name, file) in enumerate(zip(TEXTS, uploaded(client), strict=True))
    ]
    batch = client.vector_stores.file_batches.create(store.id, files=files)
    done = client.vector_stores.file_batches.poll(batch.id, vector_store_id=store.id, **POLL)
    assert (done.status, done.file_counts.completed) == ("completed", len(TEXTS))
    return store


def found(client: OpenAI, store: str, query: Any, **more: Any) -> list[str]:
    return [row.filename for row in client.vector_stores.search(store, query=query, **more)]


def test_a_store_from_beginning_to_end(client: OpenAI) -> None:
    made = client.vector_stores.create(
        name="library",
        description="what we know",
        metadata={"team": "a"},
        expires_after={"anchor": "last_active_at", "days": 3},
    )
    assert made.id.startswith("vs_")
    assert (made.object, made.name, made.status, made.usage_bytes) == ("vector_store", "library", "completed", 0)
    assert made.file_counts.model_dump() == dict.fromkeys(
        ("cancelled", "completed", "failed", "in_progress", "total"), 0
    )
    assert (made.metadata, made.expires_after and made.expires_after.days) == ({"team": "a"}, 3)
    assert abs(made.created_at - time.time()) < 60
    assert made.last_active_at is not None and made.expires_at == made.last_active_at + 3 * 86_400
    more: Any = made.model_extra
    assert (more["embedding_model"], more["embedding_dimension"]) == (MODEL, 64)
    assert (more["provider_id"], more["description"]) == ("pgvector", "what we know")
    assert client.vector_stores.retrieve(made.id).name == "library"

    changed = client.vector_stores.update(made.id, name="archive")
    assert (changed.name, changed.metadata, changed.expires_at is None) == ("archive", {"team": "a"}, False)
    changed = client.vector_stores.update(made.id, metadata={}, expires_after=None)
    assert (changed.name, changed.metadata, changed.expires_after) == ("archive", {}, None)

    gone = client.vector_stores.delete(made.id)
    assert (gone.id, gone.object, gone.deleted) == (made.id, "vector_store.deleted", True)
    for ask in (client.vector_stores.retrieve, client.vector_stores.delete, client.vector_stores.files.list):
        with pytest.raises(NotFoundError):
            ask(made.id)


def test_stores_are_listed_in_order_forwards_and_backwards(client: OpenAI) -> None:
    ids = [client.vector_stores.create(name=f"row {n}").id for n in range(5)]
    newest = client.vector_stores.list(limit=2)
    assert ([row.id for row in newest.data], newest.has_more) == ([ids[4], ids[3]], True)
    rows = client.vector_stores.list(limit=2, order="asc", after=ids[0])
    assert [row.id for row in rows][:4] == ids[1:]
    before = client.vector_stores.list(before=ids[1], limit=2)
    assert [row.id for row in before.data] == [ids[3], ids[2]]
    with pytest.raises(NotFoundError):
        client.vector_stores.list(after="vs_" + "0" * 32)


def test_a_file_is_read_found_changed_and_taken_out(client: OpenAI) -> None:
    store = client.vector_stores.create().id
    name = "camels.txt"
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store, file=(name, TEXTS[name]), attributes={"about": "camels", "n": 1}, **POLL
    )  # fmt: skip
    assert (file.object, file.status, file.last_error) == ("vector_store.file", "completed", None)
    assert (file.vector_store_id, file.attributes) == (store, {"about": "camels", "n": 1})
    assert file.usage_bytes > len(TEXTS[name])
    assert file.chunking_strategy is not None and file.chunking_strategy.type == "static"
    counts = client.vector_stores.retrieve(store).file_counts
    assert (counts.completed, counts.total) == (1, 1)

    (hit,) = client.vector_stores.search(store, query="where do camels walk?").data
    assert (hit.file_id, hit.filename, hit.attributes) == (file.id, name, {"about": "camels", "n": 1})
    assert (hit.content[0].type, hit.content[0].text.encode()) == ("text", TEXTS[name])
    assert 0 < hit.score <= 1
    content = client.vector_stores.files.content(file.id, vector_store_id=store)
    assert "".join(part.text or "" for part in content).encode() == TEXTS[name]

    changed = client.vector_stores.files.update(file.id, vector_store_id=store, attributes={"about": "deserts"})
    assert changed.attributes == {"about": "deserts"}
    assert found(client, store, "camels", filters={"type": "eq", "key": "about", "value": "camels"}) == []
    assert found(client, store, "camels", filters={"type": "eq", "key": "about", "value": "deserts"}) == [name]

    gone = client.vector_stores.files.delete(file.id, vector_store_id=store)
    assert (gone.id, gone.object, gone.deleted) == (file.id, "vector_store.file.deleted", True)
    assert found(client, store, "camels") == []
    with pytest.raises(NotFoundError):
        client.vector_stores.files.retrieve(file.id, vector_store_id=store)
    assert client.files.content(file.id).read() == TEXTS[name]


def test_a_store_begins_with_files(client: OpenAI, mesh: RunningMesh) -> None:
    made = client.vector_stores.create(file_ids=uploaded(client), chunking_strategy=STATIC)
    assert made.file_counts.total == len(TEXTS)
    mesh.until(lambda: client.vector_stores.retrieve(made.id).file_counts.completed == len(TEXTS))
    store = client.vector_stores.retrieve(made.id)
    assert (store.status, store.usage_bytes > 0) == ("completed", True)
    rows = client.vector_stores.files.list(made.id, filter="completed").data
    assert len(rows) == len(TEXTS)
    assert all(row.chunking_strategy is not None and row.chunking_strategy.to_dict() == STATIC for row in rows)
    assert client.vector_stores.files.list(made.id, filter="failed").data == []


def test_a_file_with_a_strategy_of_its_own(client: OpenAI) -> None:
    store = client.vector_stores.create().id
    (name,) = uploaded(client, "bread.txt")
    file = client.vector_stores.files.create_and_poll(name, vector_store_id=store, chunking_strategy=STATIC, **POLL)
    assert file.chunking_strategy is not None and file.chunking_strategy.to_dict() == STATIC


def test_a_batch_of_files_with_what_holds_for_all(client: OpenAI) -> None:
    store = client.vector_stores.create().id
    done = client.vector_stores.file_batches.create_and_poll(
        store, file_ids=uploaded(client), attributes={"lot": 7}, chunking_strategy=STATIC, **POLL
    )
    assert done.id.startswith("vsfb_")
    assert (done.object, done.vector_store_id, done.status) == ("vector_store.files_batch", store, "completed")
    assert (done.file_counts.completed, done.file_counts.total) == (3, 3)
    files = client.vector_stores.file_batches.list_files(done.id, vector_store_id=store, limit=2)
    assert files.has_more is True
    rows = list(files)
    assert len({row.id for row in rows}) == 3
    assert all(row.attributes == {"lot": 7} for row in rows)
    assert all(row.chunking_strategy is not None and row.chunking_strategy.to_dict() == STATIC for row in rows)


def test_a_batch_of_uploads(client: OpenAI) -> None:
    store = client.vector_stores.create().id
    files = list(TEXTS.items())
    done = client.vector_stores.file_batches.upload_and_poll(store, files=files, **POLL)
    assert (done.status, done.file_counts.completed) == ("completed", 3)


def test_a_batch_under_way_is_cancelled(client: OpenAI, mesh: RunningMesh) -> None:
    store = client.vector_stores.create().id
    (done,) = uploaded(client, "bread.txt")
    hanging = client.files.create(file=("hanging.txt", b"hanging bread"), purpose="assistants").id
    batches = client.vector_stores.file_batches
    batch = batches.create(store, file_ids=[done, hanging])
    mesh.until(lambda: batches.retrieve(batch.id, vector_store_id=store).file_counts.completed == 1)
    assert batches.retrieve(batch.id, vector_store_id=store).status == "in_progress"
    assert [row.id for row in client.vector_stores.files.list(store, filter="in_progress")] == [hanging]
    cancelled = batches.cancel(batch.id, vector_store_id=store)
    assert cancelled.status == "cancelled"
    assert (cancelled.file_counts.completed, cancelled.file_counts.cancelled) == (1, 1)
    assert [row.id for row in batches.list_files(batch.id, vector_store_id=store, filter="cancelled")] == [hanging]
    assert found(client, store, "bread", extra_body={"search_mode": "keyword"}) == ["bread.txt"]


def test_a_batch_that_is_over_may_be_cancelled(client: OpenAI) -> None:
    store = client.vector_stores.create().id
    batch = client.vector_stores.file_batches.create_and_poll(store, file_ids=uploaded(client, "bread.txt"), **POLL)
    cancelled = client.vector_stores.file_batches.cancel(batch.id, vector_store_id=store)
    assert cancelled.file_counts.completed == 1
    assert client.vector_stores.file_batches.retrieve(batch.id, vector_store_id=store) == cancelled
    assert found(client, store, "bread") == ["bread.txt"]


def test_a_file_that_cannot_be_read_says_why(client: OpenAI) -> None:
    store = client.vector_stores.create().id
    broken = client.files.create(file=("a.bin", bytes(range(256)) * 8), purpose="assistants")
    file = client.vector_stores.files.create_and_poll(broken.id, vector_store_id=store, **POLL)
    assert file.status == "failed"
    assert file.last_error is not None
    assert file.last_error.code in ("unsupported_file", "invalid_file")
    assert client.vector_stores.retrieve(store).file_counts.failed == 1
    assert [row.id for row in client.vector_stores.files.list(store, filter="failed")] == [broken.id]


def test_what_a_search_may_say(client: OpenAI) -> None:
    store = filled(client).id
    assert found(client, store, "the blue whale")[0] == "whales.txt"
    assert found(client, store, ["camels in the desert", "bread of flour"], max_num_results=2) != []
    assert {*found(client, store, ["camels in the desert", "bread of flour"])[:2]} == {"camels.txt", "bread.txt"}
    assert len(found(client, store, "water", max_num_results=1)) == 1
    only: Any = {"type": "or", "filters": [{"type": "eq", "key": "about", "value": "bread"},
                                           {"type": "gte", "key": "place", "value": 1}]}  # fmt: skip
    assert {*found(client, store, "water", filters=only)} == {"whales.txt", "bread.txt"}
    assert found(client, store, "camel", extra_body={"search_mode": "keyword"}) == ["camels.txt"]
    options: Any = {"ranker": "auto", "score_threshold": 0.999}
    assert found(client, store, "nothing of all that", ranking_options=options) == []
    assert client.vector_stores.search(store, query="water").object == "vector_store.search_results.page"


def test_pages_of_a_search(client: OpenAI) -> None:
    store = filled(client).id
    whole = found(client, store, "water")
    seen, page = [], ""
    while True:
        extra = {"page": page} if page else {}
        got: Any = client.vector_stores.search(store, query="water", max_num_results=1, extra_body=extra)
        seen += [row.filename for row in got.data]
        assert len(seen) <= len(whole)
        if not got.model_extra["has_more"]:
            break
        page = got.model_extra["next_page"]
    assert seen == whole


def test_a_long_text_comes_back_as_it_was(client: OpenAI) -> None:
    text = "".join(f"Line {n} tells of the number {n * n}.\n" for n in range(30_000)).encode()
    assert len(text) > 1024 * 1024
    store = client.vector_stores.create(chunking_strategy=sized(4096, 0)).id
    file = client.vector_stores.files.upload_and_poll(vector_store_id=store, file=("long.txt", text), **POLL)
    assert file.status == "completed", file.last_error
    content = client.vector_stores.files.content(file.id, vector_store_id=store)
    assert "".join(part.text or "" for part in content).encode() == text


def test_a_store_of_another_model(client: OpenAI) -> None:
    made = client.vector_stores.create(extra_body={"embedding_model": "up/embed-32", "embedding_dimension": 32})
    more: Any = made.model_extra
    assert (more["embedding_model"], more["embedding_dimension"]) == ("up/embed-32", 32)
    for wrong in ({"embedding_model": "up/embed-32", "embedding_dimension": 33}, {"provider_id": "nonsense"}):
        with pytest.raises(BadRequestError):
            client.vector_stores.create(extra_body=wrong)


@pytest.mark.parametrize(
    ("strategy", "param"),
    [
        ({"type": "odd"}, "chunking_strategy"),
        (sized(99, 0), "max_chunk_size_tokens"),
        (sized(200, 101), "chunking_strategy"),
    ],
)
def test_strategies_that_are_refused(client: OpenAI, strategy: Any, param: str) -> None:
    (file,) = uploaded(client, "bread.txt")
    store = client.vector_stores.create().id
    for ask in (
        lambda: client.vector_stores.create(file_ids=[file], chunking_strategy=strategy),
        lambda: client.vector_stores.files.create(store, file_id=file, chunking_strategy=strategy),
        lambda: client.vector_stores.file_batches.create(store, file_ids=[file], chunking_strategy=strategy),
    ):
        with pytest.raises(BadRequestError) as caught:
            ask()
        assert param in (caught.value.param or "")
    assert client.vector_stores.files.list(store).data == []


@pytest.mark.parametrize(
    "attributes", [{str(n): n for n in range(17)}, {"k" * 65: 1}, {"k": "x" * 513}, {"k": ["a"]}, {"k": None}]
)
def test_attributes_that_are_refused(client: OpenAI, attributes: Any) -> None:
    store = client.vector_stores.create().id
    (file,) = uploaded(client, "bread.txt")
    with pytest.raises(BadRequestError) as caught:
        client.vector_stores.files.create(store, file_id=file, attributes=attributes)
    assert (caught.value.param or "").startswith("attributes")
    with pytest.raises(BadRequestError):
        client.vector_stores.file_batches.create(store, file_ids=[file], attributes=attributes)
    client.vector_stores.files.create_and_poll(file, vector_store_id=store, attributes={"a": 1}, **POLL)
    with pytest.raises(BadRequestError):
        client.vector_stores.files.update(file, vector_store_id=store, attributes=attributes)
    assert client.vector_stores.files.retrieve(file, vector_store_id=store).attributes == {"a": 1}


@pytest.mark.parametrize("filters", [{"type": "like", "key": "a", "value": 1}, {"type": "and", "filters": []}, [], "x"])
def test_filters_that_are_refused(client: OpenAI, filters: Any) -> None:
    store = client.vector_stores.create().id
    with pytest.raises(BadRequestError) as caught:
        client.vector_stores.search(store, query="q", filters=filters)
    assert (caught.value.param or "").startswith("filters")


def test_files_that_are_not_there(client: OpenAI) -> None:
    nowhere = "file-" + "0" * 32
    with pytest.raises(NotFoundError):
        client.vector_stores.create(file_ids=[nowhere])
    store = client.vector_stores.create().id
    with pytest.raises(NotFoundError):
        client.vector_stores.files.create(store, file_id=nowhere)
    with pytest.raises(NotFoundError):
        client.vector_stores.file_batches.create(store, file_ids=[*uploaded(client, "bread.txt"), nowhere])
    assert client.vector_stores.files.list(store).data == []


async def test_the_same_from_an_asynchronous_client(aclient: AsyncOpenAI) -> None:
    store = (await aclient.vector_stores.create(name="async")).id
    name = "whales.txt"
    file = await aclient.vector_stores.files.upload_and_poll(
        vector_store_id=store, file=(name, TEXTS[name]), **POLL
    )  # fmt: skip
    assert file.status == "completed"
    others = [(name, text) for name, text in TEXTS.items() if name != "whales.txt"]
    batch = await aclient.vector_stores.file_batches.upload_and_poll(store, files=others, **POLL)
    assert batch.file_counts.completed == 2
    hits = [row.filename async for row in aclient.vector_stores.search(store, query="whales sing in the sea")]
    assert hits[0] == name
    assert len([row async for row in aclient.vector_stores.files.list(store, limit=1)]) == 3
    assert (await aclient.vector_stores.delete(store)).deleted
