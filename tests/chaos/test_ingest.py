"""Five hundred documents on their way into a store while something dies again and again: all of them end as they
should, with each chunk once."""

from __future__ import annotations

import sysconfig
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from openai import APIError, OpenAI
from openai.types import FileObject
from openai.types.vector_stores import VectorStoreFile, VectorStoreFileBatch

from tests.chaos.killing import killing
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(600)]
GOOD, BAD, PATIENCE = 500, 10, 400.0
EVERY, DEATHS = 3.0, 10  # one dies every 3 s, or ten in the time that reading takes, however fast the machine is
LARGEST = 60_000
VICTIMS = ("vector-1", "vector-2", "vector-1", "vector-2", "nats", "postgres", "inference-1", "inference-2", "files-1")
STATIC = {"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}}


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    upstream = ScriptedUpstream(models=["plain", "embed-64"])
    upstream.start()
    environment = {"CARAVAN_VECTOR_EMBEDDING_MODEL": "up/embed-64", "CARAVAN_VECTOR_SWEEP_SECONDS": "5"}
    scale = "gateway=2,inference=2,vector=2,files=2"
    made = RunningMesh(tmp_path_factory.mktemp("ingest"), upstream, scale=scale, environment=environment)
    made.start()
    made.until(made.all_ready)
    yield made
    made.stop()
    upstream.stop()


def documents() -> list[Path]:
    """Of Python's own library."""
    found = sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py"))
    some = [path for path in found if 500 < path.stat().st_size < LARGEST and path.read_bytes().isascii()]
    assert len(some) >= GOOD
    return some[:GOOD]


def test_every_document_ends_right_with_each_chunk_once(mesh: RunningMesh) -> None:
    client = OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=5, timeout=60)

    def upload(path: Path) -> FileObject:
        return client.files.create(file=(path.name, path.read_bytes()), purpose="assistants")

    with ThreadPoolExecutor(8) as pool:
        good = [file.id for file in pool.map(upload, documents())]
    bad = [
        client.files.create(file=(f"{number}.pdf", b"%PDF-1.7 " + bytes([number]) * 99), purpose="assistants").id
        for number in range(BAD)
    ]

    def batch(store: str) -> VectorStoreFileBatch:
        return client.vector_stores.file_batches.create(
            store,
            file_ids=[*good, *bad],
            chunking_strategy=STATIC,  # type: ignore[arg-type]
        )

    quiet, loud = client.vector_stores.create().id, client.vector_stores.create().id
    started = time.monotonic()
    finished(mesh, client, quiet, batch(quiet).id)
    every = min(EVERY, (time.monotonic() - started) / DEATHS)
    under_way = batch(loud)
    with killing(mesh, VICTIMS, every) as killed:
        finished(mesh, client, loud, under_way.id)
    assert len(killed) >= 3, "something has to die while they are read"
    mesh.until(mesh.all_ready, 60)
    counts = client.vector_stores.retrieve(loud).file_counts
    assert (counts.completed, counts.failed, counts.total) == (GOOD, BAD, GOOD + BAD), killed
    for file in files(client, loud):
        if file.id in bad:
            assert file.status == "failed" and file.last_error and file.last_error.code == "invalid_file", file
    with ThreadPoolExecutor(8) as pool:
        wanted = list(pool.map(lambda file: texts(client, quiet, file), good))
        there = list(pool.map(lambda file: texts(client, loud, file), good))
    assert there == wanted, killed
    assert all(wanted)
    assert client.vector_stores.retrieve(loud).usage_bytes == client.vector_stores.retrieve(quiet).usage_bytes


def finished(mesh: RunningMesh, client: OpenAI, store: str, batch: str) -> None:
    def over() -> bool:
        try:
            return client.vector_stores.file_batches.retrieve(batch, vector_store_id=store).status != "in_progress"
        except APIError:
            return False  # whoever would answer has just been killed

    mesh.until(over, PATIENCE)


def files(client: OpenAI, store: str) -> list[VectorStoreFile]:
    return list(client.vector_stores.files.list(store, limit=100))


def texts(client: OpenAI, store: str, file: str) -> list[str]:
    return [each.text or "" for each in client.vector_stores.files.content(file, vector_store_id=store)]
