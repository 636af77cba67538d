"""Three vector services behind two gateways: once a write is answered, every one of them answers by it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA
from tests.upstream import embedding

WORDS = ("camel", "whale", "bread", "river")
ASKERS = 8

documents = st.sampled_from([f"doc{number}" for number in range(4)])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), documents, st.sampled_from(WORDS), st.integers(0, 3)),
        st.tuples(st.just("delete"), documents),
    ),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize(
    "provider", ["pgvector", *(pytest.param(name, marks=pytest.mark.long) for name in ("faiss", "qdrant"))]
)
def test_an_acknowledged_write_is_seen_by_all(mesh: RunningMesh, client: OpenAI, provider: str) -> None:
    headers = {"Authorization": f"Bearer {ADA}"}
    askers = [httpx.Client(base_url=mesh.url, headers=headers, timeout=30) for _ in range(ASKERS)]
    pool = ThreadPoolExecutor(ASKERS)

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
    @given(steps)
    def holds(steps: list[Any]) -> None:
        store = client.vector_stores.create(extra_body={"provider_id": provider}).id
        there: dict[str, dict[str, Any]] = {}
        for step in steps:
            change(askers[0], store, step, there)
            seen = list(pool.map(lambda http: look(http, store), askers))
            assert seen == [there] * ASKERS, step
        client.vector_stores.delete(store)

    try:
        holds()
    finally:
        pool.shutdown()
        for each in askers:
            each.close()


def change(http: httpx.Client, store: str, step: Any, there: dict[str, dict[str, Any]]) -> None:
    if step[0] == "insert":
        _, document, word, year = step
        row = {
            "content": word,
            "chunk_id": document,
            "embedding": embedding.of(word, 64),
            "metadata": {"document_id": document, "year": year},
        }
        done = http.post("/v1/vector-io/insert", json={"vector_store_id": store, "chunks": [row]})
        there[document] = {"text": word, "year": year}
    else:
        done = http.post("/v1/vector-io/delete", json={"vector_store_id": store, "document_ids": [step[1]]})
        there.pop(step[1], None)
    assert done.status_code == 204, done.text


def look(http: httpx.Client, store: str) -> dict[str, dict[str, Any]]:
    """All of it, asked with and without a filter."""
    found = {}
    for filters in (None, {"type": "gte", "key": "year", "value": 2}):
        body = {"query": "camel whale bread river", "search_mode": "vector", "max_num_results": 50, "filters": filters}
        got = http.post(f"/v1/vector_stores/{store}/search", json=body)
        assert got.status_code == 200, got.text
        rows = {
            row["file_id"]: {"text": row["content"][0]["text"], "year": row["attributes"]["year"]}
            for row in got.json()["data"]
        }
        if filters is None:
            found = rows
        else:
            assert rows == {name: row for name, row in found.items() if row["year"] >= 2}
    return found
