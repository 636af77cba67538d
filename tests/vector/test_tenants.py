"""Every route of vector stores with the ids of another tenant: nothing is there, and nothing changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx2 as httpx
import pytest
from openai import OpenAI

VECTOR = [1.0] + [0.0] * 63
CHUNK = {"content": "mine now", "chunk_id": "c1", "embedding": VECTOR}


@dataclass(frozen=True)
class Owned:
    """What belongs to one tenant."""

    store: str
    file: str
    batch: str

    def everything(self, http: httpx.Client) -> list[Any]:
        """As its owner sees it."""
        store = f"/v1/vector_stores/{self.store}"
        paths = ("", "/files", f"/files/{self.file}/content", f"/file_batches/{self.batch}/files")
        chunks = {"vector_store_id": self.store, "query": VECTOR, "params": {"max_chunks": 100}}
        got = [http.get(store + path) for path in paths]
        found = http.post("/v1/vector-io/query", json=chunks)
        assert all(answer.status_code == 200 for answer in [*got, found])
        rows = [answer.json() for answer in [*got, found]]
        rows[0].pop("last_active_at")  # the query is a use of it
        return rows


def fill(http: httpx.Client, client: OpenAI) -> Owned:
    file = client.files.create(file=("a.txt", b"what is in it"), purpose="assistants").id
    store = client.vector_stores.create(name="own").id
    batch = client.vector_stores.file_batches.create_and_poll(store, file_ids=[file], poll_interval_ms=50)
    assert batch.file_counts.completed == 1
    assert http.post("/v1/vector-io/insert", json={"vector_store_id": store, "chunks": [CHUNK]}).status_code == 204
    return Owned(store, file, batch.id)


@pytest.fixture(scope="module")
def made() -> dict[str, Owned]:
    """By whom it is."""
    return {}


@pytest.fixture
def theirs(made: dict[str, Owned], http: httpx.Client, client: OpenAI) -> Owned:
    return made.setdefault("ada", fill(http, client)) if "ada" not in made else made["ada"]


@pytest.fixture
def own(made: dict[str, Owned], stranger: httpx.Client) -> Owned:
    """The stranger's."""
    if "bob" not in made:
        with OpenAI(base_url=f"{stranger.base_url}/v1", api_key=_key(stranger), max_retries=0, timeout=30) as client:
            made["bob"] = fill(stranger, client)
    return made["bob"]


def _key(http: httpx.Client) -> str:
    return http.headers["authorization"].removeprefix("Bearer ")


S = "/v1/vector_stores"
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", S + "/{theirs.store}", None),
    ("POST", S + "/{theirs.store}", {"name": "mine"}),
    ("DELETE", S + "/{theirs.store}", None),
    ("POST", S + "/{theirs.store}/search", {"query": "what"}),
    ("GET", S + "?after={theirs.store}", None),
    ("GET", S + "?before={theirs.store}", None),
    ("POST", S, {"file_ids": ["{theirs.file}"]}),
    ("POST", S + "/{theirs.store}/files", {"file_id": "{own.file}"}),
    ("POST", S + "/{own.store}/files", {"file_id": "{theirs.file}"}),
    ("GET", S + "/{theirs.store}/files", None),
    ("GET", S + "/{own.store}/files?after={theirs.file}", None),
    ("GET", S + "/{theirs.store}/files/{theirs.file}", None),
    ("GET", S + "/{own.store}/files/{theirs.file}", None),
    ("POST", S + "/{theirs.store}/files/{theirs.file}", {"attributes": {"mine": True}}),
    ("POST", S + "/{own.store}/files/{theirs.file}", {"attributes": {"mine": True}}),
    ("DELETE", S + "/{theirs.store}/files/{theirs.file}", None),
    ("DELETE", S + "/{own.store}/files/{theirs.file}", None),
    ("GET", S + "/{theirs.store}/files/{theirs.file}/content", None),
    ("GET", S + "/{own.store}/files/{theirs.file}/content", None),
    ("POST", S + "/{theirs.store}/file_batches", {"file_ids": ["{own.file}"]}),
    ("POST", S + "/{own.store}/file_batches", {"file_ids": ["{own.file}", "{theirs.file}"]}),
    ("POST", S + "/{own.store}/file_batches", {"files": [{"file_id": "{theirs.file}"}]}),
    ("GET", S + "/{theirs.store}/file_batches/{theirs.batch}", None),
    ("GET", S + "/{own.store}/file_batches/{theirs.batch}", None),
    ("POST", S + "/{theirs.store}/file_batches/{theirs.batch}/cancel", None),
    ("POST", S + "/{own.store}/file_batches/{theirs.batch}/cancel", None),
    ("GET", S + "/{theirs.store}/file_batches/{theirs.batch}/files", None),
    ("GET", S + "/{own.store}/file_batches/{theirs.batch}/files", None),
    ("GET", "/v1/vector-dbs/{theirs.store}", None),
    ("DELETE", "/v1/vector-dbs/{theirs.store}", None),
    ("POST", "/v1/vector-io/insert", {"vector_store_id": "{theirs.store}", "chunks": [CHUNK]}),
    ("POST", "/v1/vector-io/query", {"vector_store_id": "{theirs.store}", "query": "what"}),
    ("POST", "/v1/vector-io/query", {"vector_store_id": "{theirs.store}", "query": VECTOR}),
    ("POST", "/v1/vector-io/delete", {"vector_store_id": "{theirs.store}", "document_ids": ["c1"]}),
]


def named(template: Any, theirs: Owned, own: Owned) -> Any:
    if isinstance(template, str):
        return template.format(theirs=theirs, own=own)
    if isinstance(template, list):
        return [named(each, theirs, own) for each in template]
    if isinstance(template, dict):
        return {key: named(value, theirs, own) for key, value in template.items()}
    return template


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_another_tenants_ids_are_as_good_as_none(
    http: httpx.Client, stranger: httpx.Client, theirs: Owned, own: Owned, method: str, path: str, body: Any
) -> None:
    before, mine = theirs.everything(http), own.everything(stranger)
    done = stranger.request(method, named(path, theirs, own), json=named(body, theirs, own))
    assert (done.status_code, done.json()["error"]["code"]) == (404, "not_found"), done.text
    assert theirs.everything(http) == before
    assert own.everything(stranger) == mine


def test_no_list_shows_another_tenants(http: httpx.Client, stranger: httpx.Client, theirs: Owned, own: Owned) -> None:
    stores = {row["id"] for row in stranger.get(S, params={"limit": 100}).json()["data"]}
    assert own.store in stores and theirs.store not in stores
    stores = {row["identifier"] for row in stranger.get("/v1/vector-dbs").json()["data"]}
    assert own.store in stores and theirs.store not in stores


def test_the_same_names_of_chunks_are_different_chunks(
    http: httpx.Client, stranger: httpx.Client, theirs: Owned, own: Owned
) -> None:
    before = theirs.everything(http)
    changed = {**CHUNK, "content": "the stranger's"}
    body = {"vector_store_id": own.store, "chunks": [changed]}
    assert stranger.post("/v1/vector-io/insert", json=body).status_code == 204
    body = {"vector_store_id": own.store, "document_ids": ["c1"]}
    assert stranger.post("/v1/vector-io/delete", json=body).status_code == 204
    assert theirs.everything(http) == before
    body = {"vector_store_id": own.store, "chunks": [CHUNK]}
    assert stranger.post("/v1/vector-io/insert", json=body).status_code == 204


def test_every_route_is_in_this_table(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    wanted = {(method.upper(), path) for path, item in paths.items() for method in item if "/vector" in path}
    names = {"name}": "theirs.store}", "store}": "theirs.store}", "file}": "theirs.file}", "batch}": "theirs.batch}"}
    asked = {(method, path.partition("?")[0].replace("own.", "theirs.")) for method, path, _ in ROUTES}
    asked |= {("GET", "/v1/vector-dbs"), ("POST", "/v1/vector-dbs")}  # names none; what is listed is looked at above
    for short, long in names.items():
        wanted = {(method, path.replace("{" + short, "{" + long)) for method, path in wanted}
    assert wanted == asked


def test_a_name_is_looked_for_in_the_tenant_of_whoever_asks(
    http: httpx.Client, stranger: httpx.Client, client: OpenAI
) -> None:
    store = client.vector_stores.create(name="named-by-ada").id
    assert http.post("/v1/vector-io/insert", json={"vector_db_id": "named-by-ada", "chunks": [CHUNK]}).is_success
    asked = {"vector_db_id": "named-by-ada", "query": VECTOR}
    assert stranger.post("/v1/vector-io/query", json=asked).status_code == 404
    assert stranger.get("/v1/vector-dbs/named-by-ada").status_code == 404
    assert [row["content"] for row in http.post("/v1/vector-io/query", json=asked).json()["chunks"]] == ["mine now"]
    later = client.vector_stores.create(name="named-by-ada").id
    assert http.post("/v1/vector-io/query", json=asked).json()["chunks"] == []
    assert http.get("/v1/vector-dbs/named-by-ada").json()["identifier"] == later != store
