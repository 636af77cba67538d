"""From an uploaded file to a cited answer, with every part real but the model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from openai import NotFoundError, OpenAI
from openai.types import VectorStore

from tests.file_search.searcher import Searcher
from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, connect, two_tenants
from tests.responses.machine import follow

TEXTS = {
    "camels.md": b"# Camels\n\nA caravan has forty camels, and each of them carries salt.",
    "bread.txt": b"Flour, water, salt and yeast make bread. Dough rests before it is baked in an oven.",
}
RESULTS: Any = ["file_search_call.results"]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Searcher]:
    made = Searcher(models=["plain", "embed-64"])
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def mesh(upstream: Searcher, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    folder = tmp_path_factory.mktemp("search")
    left(folder).parent.mkdir(parents=True)
    left(folder).write_text("of a tenant")
    environment = {"CARAVAN_VECTOR_EMBEDDING_MODEL": "up/embed-64", "TMPDIR": str(folder / "tmp")}
    with two_tenants(folder, upstream, "agents=1", **environment) as made:
        yield made


def left(folder: Path) -> Path:
    """A document that a vector service was reading when it was killed."""
    return folder / "tmp" / "caravan-vector-killed" / "document"


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh) as made:
        yield made


@pytest.fixture
def store(client: OpenAI) -> VectorStore:
    made = client.vector_stores.create(name="library")
    for name, text in TEXTS.items():
        file = client.files.create(file=(name, text), purpose="assistants")
        done = client.vector_stores.files.create_and_poll(
            file.id, vector_store_id=made.id, attributes={"kind": name[-2:]}, poll_interval_ms=50
        )
        assert done.status == "completed", done.last_error
    return made


def search(store: str, **more: Any) -> Any:
    return [{"type": "file_search", "vector_store_ids": [store], **more}]


def test_an_uploaded_file_is_found_and_cited(client: OpenAI, store: VectorStore, upstream: Searcher) -> None:
    made = client.responses.create(
        model="up/search", input="How many camels?", tools=search(store.id, max_num_results=1), include=RESULTS
    )
    found, message = made.output
    assert found.type == "file_search_call" and found.status == "completed"
    (row,) = found.results or []
    assert row.filename == "camels.md" and row.text and "forty camels" in row.text
    assert message.type == "message" and message.content[0].type == "output_text"
    (citation,) = message.content[0].annotations
    assert citation.type == "file_citation"
    assert (citation.file_id, citation.filename, citation.index) == (row.file_id, "camels.md", len("Forty 🐪"))
    assert made.output_text == "Forty 🐪 and so on."
    told = upstream.requests[-1].body["messages"][-1]
    assert told["role"] == "tool" and "forty camels" in told["content"]


def test_a_document_that_a_killed_service_left_on_the_machine_is_gone(mesh: RunningMesh) -> None:
    assert not left(mesh.folder).parent.exists()


def test_filters_reach_the_store(client: OpenAI, store: VectorStore) -> None:
    tools = search(store.id, filters={"type": "eq", "key": "kind", "value": "xt"})
    made = client.responses.create(model="up/search", input="How many camels?", tools=tools, include=RESULTS)
    assert made.output[0].type == "file_search_call"
    assert {row.filename for row in made.output[0].results or ()} == {"bread.txt"}


def test_a_stream_of_it_is_openais(mesh: RunningMesh, store: VectorStore) -> None:
    body = {"model": "up/search-2", "input": "How many camels?", "tools": search(store.id), "stream": True}
    answer = httpx.post(f"{mesh.url}/v1/responses", json=body, timeout=30, headers={"Authorization": f"Bearer {ADA}"})
    machine = follow(answer.content)
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    assert "output_text.annotation.added" in answer.text and "【" not in answer.text


def test_another_tenants_store_is_not_there(mesh: RunningMesh, store: VectorStore) -> None:
    with connect(mesh, BOB) as stranger, pytest.raises(NotFoundError) as caught:
        stranger.responses.create(model="up/search", input="How many camels?", tools=search(store.id))
    assert caught.value.param == "tools[0].vector_store_ids"


def test_a_deleted_file_is_not_found_any_more(client: OpenAI, store: VectorStore) -> None:
    for file in client.vector_stores.files.list(store.id):
        client.vector_stores.files.delete(file.id, vector_store_id=store.id)
    made = client.responses.create(model="up/search", input="How many camels?", tools=search(store.id))
    assert made.output[0].type == "file_search_call" and made.output[0].status == "completed"
    assert "Nothing was found." in made.output_text
