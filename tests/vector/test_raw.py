"""Raw chunks in a real mesh, as clients of Llama Stack put them in and find them."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.upstream import embedding

TEXTS = {
    "camel": "A camel keeps fat in its hump and walks through the desert.",
    "whale": "The blue whale breathes air and sings in the sea.",
    "bread": "Flour, water, salt and yeast make bread.",
}


def chunk(name: str, document: str = "", **more: Any) -> dict[str, Any]:
    vector = embedding.of(TEXTS.get(name, name), 64)
    made = {"content": TEXTS.get(name, name), "chunk_id": name, "embedding": vector}
    return {**made, "metadata": {"document_id": document or f"on {name}", **more}}


@pytest.fixture
def store(client: OpenAI) -> str:
    return client.vector_stores.create(name="raw").id


def insert(http: httpx.Client, store: str, *chunks: Any) -> httpx.Response:
    return http.post("/v1/vector-io/insert", json={"vector_store_id": store, "chunks": chunks})


def query(http: httpx.Client, store: str, what: Any, **params: Any) -> list[str]:
    body = {"vector_store_id": store, "query": what, "params": params}
    got = http.post("/v1/vector-io/query", json=body)
    assert got.status_code == 200, got.text
    assert got.json()["scores"] == sorted(got.json()["scores"], reverse=True)
    return [row["chunk_id"] for row in got.json()["chunks"]]


def test_chunks_are_found_by_text_by_vector_and_by_words(http: httpx.Client, store: str) -> None:
    assert insert(http, store, *(chunk(name, kind=name[0]) for name in TEXTS)).status_code == 204
    assert query(http, store, "whale in the sea")[0] == "whale"
    assert query(http, store, embedding.of(TEXTS["bread"], 64))[0] == "bread"
    assert query(http, store, {"type": "text", "text": "camels"}, mode="keyword") == ["camel"]
    assert (
        query(http, store, "blue whale", mode="hybrid", ranker={"strategy": "rrf", "params": {"k": 60}})[0] == "whale"
    )
    assert len(query(http, store, "whale", max_chunks=2)) == 2
    only = {"type": "eq", "key": "kind", "value": "c"}
    assert query(http, store, "whale", filters=only) == ["camel"]
    got = http.post("/v1/vector-io/query", json={"vector_store_id": store, "query": "whale"}).json()
    assert got["chunks"][0]["content"] == TEXTS["whale"]
    assert got["chunks"][0]["metadata"] == {"document_id": "on whale", "kind": "w"}


def test_a_chunk_of_the_same_id_is_replaced_and_a_document_goes_whole(http: httpx.Client, store: str) -> None:
    insert(http, store, chunk("camel", "d"), chunk("whale", "d"), chunk("bread", "e"))
    replaced = {**chunk("camel", "d"), "content": "Camels spit."}
    assert insert(http, store, replaced).status_code == 204
    got = http.post("/v1/vector-io/query", json={"vector_store_id": store, "query": chunk("camel")["embedding"]})
    assert got.json()["chunks"][0]["content"] == "Camels spit."
    body = {"vector_store_id": store, "document_ids": ["d", "never there"]}
    assert http.post("/v1/vector-io/delete", json=body).status_code == 204
    assert query(http, store, "camel") == ["bread"]


def test_a_thousand_chunks_arrive(http: httpx.Client, store: str) -> None:
    chunks = [{**chunk(f"word{n} " + "x" * 3000, "all"), "chunk_id": str(n)} for n in range(1000)]
    assert insert(http, store, *chunks).status_code == 204
    assert query(http, store, "word777", mode="keyword") == ["777"]
    body = {"vector_store_id": store, "document_ids": ["all"]}
    assert http.post("/v1/vector-io/delete", json=body).status_code == 204
    assert query(http, store, "word777", max_chunks=100) == []


def test_a_vector_of_another_length_is_refused(http: httpx.Client, store: str) -> None:
    done = insert(http, store, chunk("camel"), {**chunk("whale"), "embedding": [1.0, 2.0]})
    assert (done.status_code, done.json()["error"]["param"]) == (400, "chunks.1.embedding")
    assert query(http, store, "camel") == []
    body = {"vector_store_id": store, "query": [1.0, 2.0]}
    assert http.post("/v1/vector-io/query", json=body).status_code == 400


def test_search_finds_them_too(http: httpx.Client, client: OpenAI, store: str) -> None:
    insert(http, store, *(chunk(name) for name in TEXTS))
    hit = client.vector_stores.search(store, query="blue whale").data[0]
    assert (hit.file_id, hit.content[0].text) == ("on whale", TEXTS["whale"])
