"""Raw chunks over HTTP, as clients of Llama Stack send them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from caravan_contracts import vectors as v
from caravan_contracts.errors import InvalidRequest
from caravan_gateway.vectors import raw
from caravan_gateway.vectors.chunks import MESSAGE_BYTES

from tests.gateway import vector_door
from tests.gateway.vector_door import Door, door

INSERT, QUERY, DELETE = "/v1/vector-io/insert", "/v1/vector-io/query", "/v1/vector-io/delete"
STORE = "vs_" + "1" * 32


@pytest.fixture
async def gate() -> AsyncIterator[Door]:
    async with door() as made:
        yield made


def chunk(**more: Any) -> dict[str, Any]:
    return {"content": "hello", "chunk_id": "c1", "embedding": [0.5, 1, -2e-3], **more}


async def insert(gate: Door, *chunks: Any, **more: Any) -> Any:
    return await gate.send("POST", INSERT, {"vector_store_id": STORE, "chunks": list(chunks), **more})


async def test_a_chunk_reaches_the_service_as_it_is(gate: Door) -> None:
    metadata = {"document_id": "doc", "source": "wiki", "lines": [1, 2]}
    done = await insert(gate, chunk(metadata=metadata, chunk_metadata={"source": "x", "created_timestamp": 3}))
    assert (done.status_code, done.content) == (204, b"")
    assert gate.last.store == STORE
    assert gate.last.chunks == [
        v.RawChunk(
            chunk_id="c1",
            document_id="doc",
            position=0,
            text="hello",
            embedding=[0.5, 1.0, -0.002],
            metadata={**metadata, "chunk_metadata": {"source": "x", "created_timestamp": 3}},
        )
    ]
    assert gate.last.attributes == {"doc": {"source": "wiki"}}


@pytest.mark.parametrize(
    ("given", "ids"),
    [
        ({"metadata": {"document_id": "a"}, "chunk_metadata": {"document_id": "b"}}, ("c1", "a")),
        ({"chunk_metadata": {"document_id": "b"}}, ("c1", "b")),
        ({}, ("c1", "c1")),
        ({"chunk_id": None, "chunk_metadata": {"chunk_id": "c2"}, "metadata": None}, ("c2", "c2")),
    ],
)
async def test_where_ids_are_looked_for(gate: Door, given: dict[str, Any], ids: tuple[str, str]) -> None:
    assert (await insert(gate, chunk(**given))).status_code == 204
    assert (gate.last.chunks[0].chunk_id, gate.last.chunks[0].document_id) == ids


async def test_a_chunk_without_an_id_has_the_same_one_each_time(gate: Door) -> None:
    for text in ("one", "one", "two"):
        await insert(gate, chunk(chunk_id=None, content=text, metadata={"document_id": "d"}))
    first, again, other = [message.chunks[0].chunk_id for message in gate.of("insert_chunks")]
    assert first == again != other


@pytest.mark.parametrize("content", ["a\nb", {"type": "text", "text": "a\nb"}, [{"type": "text", "text": "a"}, "b"]])
async def test_forms_of_text(gate: Door, content: Any) -> None:
    assert (await insert(gate, chunk(content=content))).status_code == 204
    assert gate.last.chunks[0].text == "a\nb"
    assert (await gate.send("POST", QUERY, {"vector_store_id": STORE, "query": content})).status_code == 200
    assert gate.last.text == "a\nb"


async def test_the_older_name_of_a_store(gate: Door) -> None:
    body = {"vector_db_id": STORE, "chunks": [chunk()], "query": "q", "document_ids": ["d"]}
    for path in (INSERT, QUERY, DELETE):
        assert (await gate.send("POST", path, body)).status_code < 300
        assert gate.last.store == STORE


async def test_many_chunks_go_in_as_many_messages_as_they_need(gate: Door) -> None:
    given = [chunk(chunk_id=str(n), content="x" * 9_000, metadata={"document_id": f"d{n // 100}"}) for n in range(400)]
    assert (await insert(gate, *given)).status_code == 204
    messages = gate.of("insert_chunks")
    assert len(messages) == 6
    assert all(len(message.model_dump_json()) < MESSAGE_BYTES + 10_000 for message in messages)
    chunks = [one for message in messages for one in message.chunks]
    assert [one.chunk_id for one in chunks] == [str(n) for n in range(400)]
    assert [one.position for one in chunks] == [n % 100 for n in range(400)]


async def test_each_message_has_the_attributes_of_its_own_documents(gate: Door) -> None:
    given = [
        chunk(chunk_id=f"{name}{n}", content="x" * 200_000, metadata={"document_id": name, "by": name, "page": n})
        for name in "ab"
        for n in range(3)
    ]
    assert (await insert(gate, *given, attributes={"b": {"year": 2026}})).status_code == 204
    own = {"a": {"by": "a"}, "b": {"year": 2026}}
    for message in gate.of("insert_chunks"):
        assert message.attributes == {one.document_id: own[one.document_id] for one in message.chunks}


async def test_what_cannot_be_an_attribute_stays_metadata_alone(gate: Door) -> None:
    metadata = {"long": "x" * 513, "k" * 65: 1, "none": None, "list": [], "huge": 2**60, "yes": True, "n": 1.5}
    assert (await insert(gate, chunk(metadata=metadata))).status_code == 204
    assert gate.last.attributes == {"c1": {"yes": True, "n": 1.5}}
    assert gate.last.chunks[0].metadata == metadata
    many = {str(n): n for n in range(17)}
    done = await insert(gate, chunk(metadata=many))
    assert (done.status_code, done.json()["error"]["param"]) == (400, "attributes")
    assert (await insert(gate, chunk(metadata=many), attributes={"c1": {"1": 1}})).status_code == 204
    assert gate.last.attributes == {"c1": {"1": 1}}
    await insert(gate, chunk())
    assert gate.last.attributes == {}


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"chunks": [chunk()]}, 400, "vector_store_id"),
        ({"vector_store_id": STORE, "chunks": []}, 400, "chunks"),
        ({"vector_store_id": STORE, "chunks": [chunk()] * 1001}, 400, "chunks"),
        ({"vector_store_id": STORE, "chunks": [chunk(), chunk(embedding=None)]}, 400, "chunks.1.embedding"),
        ({"vector_store_id": STORE, "chunks": [chunk(embedding=[])]}, 400, "chunks.0.embedding"),
        ({"vector_store_id": STORE, "chunks": [chunk(embedding=["1"])]}, 400, "chunks.0.embedding.0"),
        ({"vector_store_id": STORE, "chunks": [chunk(embedding=[True])]}, 400, "chunks.0.embedding.0"),
        ({"vector_store_id": STORE, "chunks": [chunk(content={"type": "image"})]}, 400, "chunks.0.content"),
        ({"vector_store_id": STORE, "chunks": [chunk(content=["a", 1])]}, 400, "chunks.0.content.1"),
        ({"vector_store_id": STORE, "chunks": [chunk(metadata={"document_id": 7})]}, 400, "chunks.0.document_id"),
        ({"vector_store_id": STORE, "chunks": [chunk(chunk_id="x" * 129)]}, 400, "chunks.0.chunk_id"),
        ({"vector_store_id": STORE, "chunks": [chunk()], "ttl_seconds": 60}, 400, "ttl_seconds"),
        ({"vector_store_id": STORE, "chunks": [chunk()], "attributes": {"d": {}}}, 400, "attributes"),
        ({"vector_store_id": STORE, "chunks": [chunk(), chunk(content="x" * 700_000)]}, 413, "chunks.1"),
    ],
)
async def test_chunks_that_are_refused_leave_nothing(gate: Door, body: Any, status: int, param: str) -> None:
    done = await gate.send("POST", INSERT, body)
    assert (done.status_code, done.json()["error"]["param"]) == (status, param), done.text
    assert gate.asked == []


async def test_the_body_has_a_bound(gate: Door) -> None:
    assert (await gate.http.post(INSERT, content=b" " * (raw.MAX_BODY + 1))).status_code == 413


async def test_a_store_is_looked_for_by_its_name_once_the_chunks_are_good(gate: Door) -> None:
    bad = await gate.send("POST", INSERT, {"vector_db_id": "letters", "chunks": [chunk(embedding=[])]})
    assert (bad.status_code, gate.asked) == (400, [])
    letters = vector_door.STORE.model_copy(update={"id": STORE})
    gate.answers["list_stores"] = lambda asked: v.StorePage(data=[letters] if asked.name == "letters" else [])
    for path, more in ((INSERT, {"chunks": [chunk()]}), (QUERY, {"query": "q"}), (DELETE, {"document_ids": ["d"]})):
        for given, store in (("letters", STORE), ("nobody", "nobody"), ("x" * 600, "x" * 600)):
            await gate.send("POST", path, {"vector_db_id": given, **more})
            assert gate.last.store == store, path
    assert {asked.name for asked in gate.of("list_stores")} == {"letters", "nobody"}


async def test_an_error_in_the_middle_ends_an_insert(gate: Door) -> None:
    def refuse_second(message: v.InsertChunks) -> v.Inserted:
        if len(gate.asked) == 2:
            raise InvalidRequest("of 3 numbers, not 4", param="chunks[0].vector")
        return v.Inserted(count=len(message.chunks))

    gate.answers["insert_chunks"] = refuse_second
    done = await insert(gate, *(chunk(chunk_id=str(n), content="x" * 400_000) for n in range(3)))
    assert (done.status_code, len(gate.asked)) == (400, 2)
    assert done.json()["error"]["param"] == "chunks.1.embedding"


async def ask(gate: Door, query: Any = "q", **params: Any) -> v.QueryChunks:
    done = await gate.send("POST", QUERY, {"vector_store_id": STORE, "query": query, "params": params or None})
    assert done.status_code == 200, done.text
    asked: v.QueryChunks = gate.last
    return asked


async def test_a_query_and_what_it_may_say(gate: Door) -> None:
    assert await ask(gate) == v.QueryChunks(store=STORE, text="q", max_chunks=3)
    filters = {"type": "eq", "key": "a", "value": 1}
    full = await ask(gate, max_chunks=100, score_threshold=0.5, mode="hybrid", filters=filters)
    assert full == v.QueryChunks(
        store=STORE, text="q", max_chunks=100, score_threshold=0.5, mode="hybrid", filters=filters
    )
    by_vector = await ask(gate, [1, 0.5])
    assert (by_vector.vector, by_vector.text) == ([1.0, 0.5], "")


@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({"ranker": {"strategy": "rrf", "params": {"k": 40}}}, {"ranker": "rrf", "impact_factor": 40}),
        ({"ranker": {"strategy": "weighted", "params": {"weights": [0.7, 0.3]}}}, {"ranker": "weighted", "alpha": 0.7}),
        ({"ranker": {"strategy": "normalized"}}, {"ranker": "normalized"}),
        ({"ranking_options": {"anything": 1}}, {"anything": 1}),
        ({"mode": "vector"}, None),
    ],
)
async def test_rankers_are_ranking_options(gate: Door, params: dict[str, Any], options: Any) -> None:
    assert (await ask(gate, **params)).ranking_options == options


@pytest.mark.parametrize(
    ("query", "params", "param"),
    [
        ("q", {"max_chunks": 101}, "params.max_chunks"),
        ("q", {"mode": "odd"}, "params.mode"),
        ([1.0], {"mode": "keyword"}, "params.mode"),
        ({"type": "image"}, {}, "query"),
        (7, {}, "query"),
        ([1.0, "a"], {}, "query.0"),
    ],
)
async def test_queries_that_are_refused(gate: Door, query: Any, params: Any, param: str) -> None:
    done = await gate.send("POST", QUERY, {"vector_store_id": STORE, "query": query, "params": params})
    assert (done.status_code, done.json()["error"]["param"], gate.asked) == (400, param, [])


async def test_what_is_found_is_what_was_inserted(gate: Door) -> None:
    metadata = {"document_id": "doc", "page": 4}
    await insert(gate, chunk(metadata=metadata, chunk_metadata={"source": "wiki"}))
    kept = gate.last.chunks[0]
    row = v.ScoredChunk(chunk_id="c1", document_id="doc", text=kept.text, score=0.5, metadata=kept.metadata)
    gate.answers["query_chunks"] = lambda _: v.ChunkPage(data=[row, row.model_copy(update={"metadata": {}})])
    done = await gate.send("POST", QUERY, {"vector_store_id": STORE, "query": "q"})
    known = {"chunk_id": "c1", "document_id": "doc"}
    assert done.json() == {
        "chunks": [
            {"content": "hello", "chunk_id": "c1", "metadata": metadata, "chunk_metadata": {"source": "wiki", **known}},
            {"content": "hello", "chunk_id": "c1", "metadata": {"document_id": "doc"}, "chunk_metadata": known},
        ],
        "scores": [0.5, 0.5],
    }


async def test_metadata_may_have_the_name_of_what_is_ours(gate: Door) -> None:
    row = v.ScoredChunk(
        chunk_id="c1",
        document_id="doc",
        text="hello",
        score=0.5,
        metadata={"chunk_metadata": "x", "document_id": "doc"},
    )
    gate.answers["query_chunks"] = lambda _: v.ChunkPage(data=[row])
    done = await gate.send("POST", QUERY, {"vector_store_id": STORE, "query": "q"})
    assert done.status_code == 200
    assert done.json()["chunks"][0]["metadata"] == {"document_id": "doc", "chunk_metadata": "x"}


@pytest.mark.parametrize("depth", [60, 120, 300])
async def test_metadata_has_a_depth(gate: Door, depth: int) -> None:
    nested: Any = 1
    for _ in range(depth):
        nested = {"a": [nested]}
    done = await insert(gate, chunk(metadata=nested))
    assert done.status_code == 400
    assert "within each other" in done.json()["error"]["message"]
    assert gate.asked == []


async def test_documents_are_taken_out(gate: Door) -> None:
    done = await gate.send("POST", DELETE, {"vector_store_id": STORE, "document_ids": ["a", "b"]})
    assert (done.status_code, gate.last) == (204, v.DeleteChunks(store=STORE, documents=["a", "b"]))
    done = await gate.send("POST", DELETE, {"vector_store_id": STORE, "chunk_ids": ["a"]})
    assert (done.status_code, done.json()["error"]["param"]) == (400, "document_ids")
