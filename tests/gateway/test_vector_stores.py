"""Vector stores over HTTP: what is asked of the service, and what clients get for it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from caravan_contracts import vectors as v
from caravan_contracts.errors import InvalidRequest, NotFound
from caravan_gateway.auth import Authenticator
from caravan_gateway.vectors import batches, files, searching
from openai.types import VectorStore, VectorStoreDeleted, VectorStoreSearchResponse
from openai.types.vector_stores import VectorStoreFile, VectorStoreFileBatch, VectorStoreFileDeleted

from tests.gateway.vector_door import BATCH, FILE, STORE, Door, door

S = "/v1/vector_stores"
F = f"{S}/vs_1/files"
B = f"{S}/vs_1/file_batches"
PAGE = {"after": "", "before": "", "order": "desc", "limit": 20}
FILES = {"store": "vs_1", "batch": "", "filter": "", **PAGE}
ROUTES: list[tuple[str, str, Any, str, dict[str, Any]]] = [
    ("POST", S, {"name": "n", "file_ids": ["file-1"]}, "create_store", {"name": "n", "file_ids": ["file-1"]}),
    ("POST", S, {"expires_after": {"anchor": "last_active_at", "days": 3}}, "create_store",
     {"expires_after": {"anchor": "last_active_at", "days": 3}}),
    ("POST", S, {"embedding_model": "m", "embedding_dimension": 7, "provider_id": "faiss"}, "create_store",
     {"embedding_model": "m", "embedding_dimension": 7, "provider_id": "faiss"}),
    ("POST", S, dict.fromkeys(("name", "file_ids", "metadata", "chunking_strategy", "embedding_model")),
     "create_store", {"name": "", "file_ids": [], "metadata": {}, "chunking_strategy": None}),
    ("GET", S, None, "list_stores", PAGE),
    ("GET", f"{S}?after=vs_0&before=vs_9&order=asc&limit=100", None, "list_stores",
     {"after": "vs_0", "before": "vs_9", "order": "asc", "limit": 100}),
    ("GET", f"{S}/vs_1", None, "get_store", {"id": "vs_1"}),
    ("POST", f"{S}/vs_1", {"name": None, "metadata": {"a": "b"}}, "update_store",
     {"id": "vs_1", "set": {"name": None, "metadata": {"a": "b"}}}),
    ("POST", f"{S}/vs_1", {"description": "d", "expires_after": None}, "update_store",
     {"id": "vs_1", "set": {"description": "d", "expires_after": None}}),
    ("DELETE", f"{S}/vs_1", None, "delete_store", {"id": "vs_1"}),
    ("POST", f"{S}/vs_1/search", {"query": "q"}, "search_store",
     {"store": "vs_1", "queries": ["q"], "max_num_results": 10, "rewrite_query": False, "search_mode": "", "page": ""}),
    ("POST", f"{S}/vs_1/search",
     {"query": ["a", "b"], "max_num_results": 5, "filters": {"type": "odd"}, "rewrite_query": True, "page": "p",
      "search_mode": "hybrid", "ranking_options": {"ranker": "weighted", "alpha": 0.3, "weights": {"vector": 1}}},
     "search_store",
     {"queries": ["a", "b"], "max_num_results": 5, "filters": {"type": "odd"}, "rewrite_query": True, "page": "p",
      "search_mode": "hybrid", "ranking_options": {"ranker": "weighted", "alpha": 0.3, "weights": {"vector": 1}}}),
    ("POST", F, {"file_id": "file-1", "attributes": {"a": 1}, "chunking_strategy": {"type": "static", "static": None}},
     "attach_file",
     {"store": "vs_1", "file": {"file_id": "file-1", "attributes": {"a": 1},
                                "chunking_strategy": {"type": "static", "static": None}}}),
    ("GET", F, None, "list_store_files", FILES),
    ("GET", f"{F}?filter=failed&after=a&before=b&order=asc&limit=1", None, "list_store_files",
     {**FILES, "filter": "failed", "after": "a", "before": "b", "order": "asc", "limit": 1}),
    ("GET", f"{F}/file-1", None, "get_store_file", {"store": "vs_1", "file": "file-1"}),
    ("POST", f"{F}/file-1", {"attributes": None}, "update_store_file", {"file": "file-1", "attributes": None}),
    ("DELETE", f"{F}/file-1", None, "detach_file", {"store": "vs_1", "file": "file-1"}),
    ("GET", f"{F}/file-1/content", None, "read_store_file", {"store": "vs_1", "file": "file-1", "after": -1}),
    ("POST", B, {"file_ids": ["a", "b"], "attributes": {"x": True}}, "create_batch",
     {"store": "vs_1", "attributes": {"x": True},
      "files": [{"file_id": name, "attributes": None, "chunking_strategy": None} for name in "ab"]}),
    ("POST", B, {"files": [{"file_id": "a", "attributes": {"x": 1}}, {"file_id": "b"}]}, "create_batch",
     {"files": [{"file_id": "a", "attributes": {"x": 1}, "chunking_strategy": None},
                {"file_id": "b", "attributes": None, "chunking_strategy": None}]}),
    ("GET", f"{B}/vsfb_1", None, "get_batch", {"store": "vs_1", "batch": "vsfb_1"}),
    ("POST", f"{B}/vsfb_1/cancel", None, "cancel_batch", {"store": "vs_1", "batch": "vsfb_1"}),
    ("GET", f"{B}/vsfb_1/files?filter=completed", None, "list_store_files",
     {**FILES, "batch": "vsfb_1", "filter": "completed"}),
]  # fmt: skip


@pytest.fixture
async def gate() -> AsyncIterator[Door]:
    async with door() as made:
        yield made


@pytest.mark.parametrize(("method", "path", "body", "verb", "message"), ROUTES)
@pytest.mark.parametrize("prefix", ["/v1", "/v1/openai/v1"])
async def test_each_route_asks_one_thing(
    gate: Door, prefix: str, method: str, path: str, body: Any, verb: str, message: dict[str, Any]
) -> None:
    done = await gate.send(method, prefix + path.removeprefix("/v1"), body)
    assert done.status_code == 200, done.text
    assert [asked for asked, _ in gate.asked] == [verb]
    asked = gate.last.model_dump()
    assert {key: asked[key] for key in message} == message
    assert done.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "body", "verb", "message"), ROUTES)
async def test_each_error_of_the_service_is_the_clients(
    gate: Door, method: str, path: str, body: Any, verb: str, message: dict[str, Any]
) -> None:
    def refuse(_: Any) -> Any:
        raise NotFound("there is none", param="vector_store_id")

    gate.answers[verb] = refuse
    done = await gate.send(method, path, body)
    assert done.status_code == 404
    assert done.json()["error"] == {
        "message": "there is none", "type": "invalid_request_error", "param": "vector_store_id", "code": "not_found",
    }  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "verb", "message"), ROUTES[:1] + ROUTES[10:11])
async def test_without_the_service_it_is_a_503(
    method: str, path: str, body: Any, verb: str, message: dict[str, Any]
) -> None:
    async with door(serving=False) as gate:
        done = await gate.send(method, path, body)
        assert (done.status_code, done.json()["error"]["code"]) == (503, "unavailable")
        assert "vector" in done.json()["error"]["message"]


async def test_the_answers_are_openais(gate: Door) -> None:
    made = (await gate.send("GET", f"{S}/vs_1")).json()
    assert VectorStore.model_validate(made).model_dump(exclude_unset=True) == STORE.model_dump()
    listed = (await gate.send("GET", S)).json()
    assert listed == {"object": "list", "data": [made], "first_id": "vs_1", "last_id": "vs_1", "has_more": True}
    gone = (await gate.send("DELETE", f"{S}/vs_1")).json()
    assert gone == VectorStoreDeleted(id="gone", object="vector_store.deleted", deleted=True).model_dump()
    file = (await gate.send("GET", f"{F}/file-1")).json()
    assert VectorStoreFile.model_validate(file).model_dump(exclude_unset=True) == FILE.model_dump()
    assert (await gate.send("GET", F)).json()["data"] == [file]
    gone = (await gate.send("DELETE", f"{F}/file-1")).json()
    assert gone == VectorStoreFileDeleted(id="gone", object="vector_store.file.deleted", deleted=True).model_dump()
    batch = (await gate.send("GET", f"{B}/vsfb_1")).json()
    assert VectorStoreFileBatch.model_validate(batch).model_dump() == BATCH.model_dump()
    content = (await gate.send("GET", f"{F}/file-1/content")).json()
    assert content == {
        "object": "vector_store.file_content.page",
        "data": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
        "has_more": False,
        "next_page": None,
    }


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        (S, {"name": "x" * 513}, "name"),
        (S, {"metadata": {str(n): "x" for n in range(17)}}, "metadata"),
        (S, {"metadata": {"k" * 65: "x"}}, "metadata"),
        (S, {"metadata": {"k": "x" * 513}}, "metadata"),
        (S, {"metadata": {"k": 1}}, "metadata"),
        (S, {"expires_after": {"anchor": "created_at", "days": 1}}, "expires_after.anchor"),
        (S, {"expires_after": {"anchor": "last_active_at", "days": 0}}, "expires_after.days"),
        (S, {"expires_after": {"anchor": "last_active_at", "days": 1, "hours": 1}}, "expires_after.hours"),
        (S, {"file_ids": ["x"] * 2001}, "file_ids"),
        (S, {"file_ids": "file-1"}, "file_ids"),
        (S, {"embedding_dimension": 0}, "embedding_dimension"),
        (f"{S}/vs_1", {"metadata": {"k": 1}}, "metadata"),
        (f"{S}/vs_1/search", {}, "query"),
        (f"{S}/vs_1/search", {"query": 1}, "query"),
        (f"{S}/vs_1/search", {"query": []}, "query"),
        (f"{S}/vs_1/search", {"query": ["q"] * 11}, "query"),
        (f"{S}/vs_1/search", {"query": "q", "max_num_results": 51}, "max_num_results"),
        (f"{S}/vs_1/search", {"query": "q", "search_mode": "odd"}, "search_mode"),
        (F, {}, "file_id"),
        (f"{F}/file-1", {}, "attributes"),
        (B, {}, "file_ids"),
        (B, {"file_ids": []}, "file_ids"),
        (B, {"files": [{}]}, "files.0.file_id"),
        (B, {"files": [{"file_id": "a"}], "file_ids": ["a"]}, "files"),
        (B, {"files": [{"file_id": "a"}], "attributes": {"a": 1}}, "attributes"),
        (B, {"files": [{"file_id": "a"}], "chunking_strategy": {"type": "auto"}}, "chunking_strategy"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said_before_anybody_is_asked(
    gate: Door, path: str, body: Any, param: str
) -> None:
    done = await gate.send("POST", path, body)
    assert done.status_code == 400, done.text
    assert (done.json()["error"]["param"], gate.asked) == (param, [])


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "order=up", "filter=odd"])
async def test_what_is_wrong_with_a_query_string_is_a_400(gate: Door, query: str) -> None:
    assert (await gate.send("GET", f"{F}?{query}")).status_code == 400
    assert gate.asked == []


async def test_a_batch_that_no_message_holds_is_a_413_which_says_what_to_do(gate: Door) -> None:
    files = [{"file_id": f"file-{n}", "attributes": {"a": "x" * 470}} for n in range(2000)]
    done = await gate.send("POST", B, {"files": files})
    assert (done.status_code, gate.asked) == (413, [])
    assert "several batches" in done.json()["error"]["message"]
    names = [file["file_id"] for file in files]
    done = await gate.send("POST", B, {"file_ids": names, "attributes": {str(n): "x" * 512 for n in range(16)}})
    assert (done.status_code, len(gate.last.files)) == (200, 2000)
    done = await gate.http.post(B, content=b" " * (batches.MAX_BODY + 1))
    assert done.status_code == 413


def found(number: int, text: str = "t") -> v.Found:
    content = [v.FoundText(text=text)]
    return v.Found(file_id=f"file-{number}", filename="a.txt", score=1 - number / 100, attributes={}, content=content)


def passages(count: int, at_once: int, text: str = "t") -> Any:
    """A service with `count` passages, of which a reply holds `at_once`."""

    def search(message: v.SearchStore) -> v.SearchPage:
        start = int(message.page or 0)
        end = min(start + min(at_once, message.max_num_results), count)
        more = str(end) if end < count else None
        data = [found(n, text) for n in range(start, end)]
        return v.SearchPage(search_query=["rewritten"], data=data, has_more=more is not None, next_page=more)

    return search


@pytest.mark.parametrize("at_once", [1, 3, 4, 50])
async def test_a_search_goes_on_until_it_has_what_was_wanted(gate: Door, at_once: int) -> None:
    gate.answers["search_store"] = passages(30, at_once)
    body = {"query": "q", "max_num_results": 10, "rewrite_query": True}
    page = (await gate.send("POST", f"{S}/vs_1/search", body)).json()
    assert page["object"] == "vector_store.search_results.page"
    assert (page["search_query"], page["has_more"], page["next_page"]) == (["rewritten"], True, "10")
    rows = [VectorStoreSearchResponse.model_validate(row) for row in page["data"]]
    assert [row.file_id for row in rows] == [f"file-{n}" for n in range(10)]
    queries = [(message.queries, message.rewrite_query) for message in gate.of("search_store")]
    assert queries == [(["q"], True)] + [(["rewritten"], False)] * (len(queries) - 1)
    body = {"query": "q", "max_num_results": 50, "page": page["next_page"]}
    last = (await gate.send("POST", f"{S}/vs_1/search", body)).json()
    assert [row["file_id"] for row in last["data"]] == [f"file-{n}" for n in range(10, 30)]
    assert (last["has_more"], last["next_page"]) == (False, None)


async def test_a_search_ends_where_its_answer_would_be_too_large(gate: Door) -> None:
    gate.answers["search_store"] = passages(50, 1, "x" * (v.PAGE_BYTES // 2))
    page = (await gate.send("POST", f"{S}/vs_1/search", {"query": "q", "max_num_results": 50})).json()
    most = searching.MOST_BYTES // (v.PAGE_BYTES // 2) + 1
    assert (len(page["data"]), page["has_more"], page["next_page"]) == (most, True, str(most))


async def test_a_search_that_finds_nothing_is_asked_once(gate: Door) -> None:
    gate.answers["search_store"] = lambda _: v.SearchPage(search_query=["q"], data=[], has_more=True, next_page="1")
    assert (await gate.send("POST", f"{S}/vs_1/search", {"query": "q"})).json()["data"] == []
    assert len(gate.asked) == 1


async def test_a_long_content_comes_in_pages(gate: Door) -> None:
    texts = [f"{n} " + "x" * 50_000 for n in range(200)]

    def read(message: v.ReadStoreFile) -> v.ChunkTexts:
        start = message.after + 1
        end = start + v.PAGE_BYTES // 51_000
        return v.ChunkTexts(data=texts[start:end], next=end - 1 if end < len(texts) else None)

    gate.answers["read_store_file"] = read
    got, query = [], ""
    for _ in range(10):
        page = (await gate.send("GET", f"{F}/file-1/content{query}")).json()
        size = sum(len(part["text"]) for part in page["data"])
        assert size < files.CONTENT_BYTES + v.PAGE_BYTES
        got += [part["text"] for part in page["data"]]
        assert page["has_more"] is (page["next_page"] is not None)
        if not page["has_more"]:
            break
        query = f"?page={page['next_page']}"
    assert got == texts
    for wrong in ("x", "-1", "99999999999"):
        assert (await gate.send("GET", f"{F}/file-1/content?page={wrong}")).status_code == 400


async def test_the_services_word_on_strategies_and_filters_is_passed_on(gate: Door) -> None:
    def refuse(_: Any) -> Any:
        raise InvalidRequest("no such type", param="filters.type", code="invalid_filter")

    gate.answers["search_store"] = refuse
    done = await gate.send("POST", f"{S}/vs_1/search", {"query": "q", "filters": {"type": "like"}})
    assert (done.status_code, done.json()["error"]["param"]) == (400, "filters.type")


@pytest.fixture
def keys(tmp_path: Path) -> Authenticator:
    file = tmp_path / "keys"
    file.write_text("secret acme ada user\n")
    return Authenticator.from_file(file)


async def test_who_asks_is_told_to_the_service(keys: Authenticator) -> None:
    async with door(keys) as gate:
        done = await gate.http.get(f"{S}/vs_1", headers={"Authorization": "Bearer secret"})
        assert done.status_code == 200
        assert (gate.principals[0].tenant, gate.principals[0].subject) == ("acme", "ada")
        assert (await gate.http.get(f"{S}/vs_1")).status_code == 401


async def test_a_large_body_is_not_read_of_somebody_unknown(keys: Authenticator) -> None:
    read = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 1
            yield b" " * 1024

    async with door(keys) as gate:
        for path in (B, "/v1/vector-io/insert"):
            done = await gate.http.post(path, content=body(), headers={"Authorization": "Bearer wrong"})
            assert (done.status_code, done.json()["error"]["code"]) == (401, "invalid_api_key")
        assert (read, gate.asked) == (0, [])


async def test_the_document_has_every_route_with_a_name_of_its_own(gate: Door) -> None:
    document = gate.app.openapi()
    operations = [
        (path, method, item) for path, methods in document["paths"].items() for method, item in methods.items()
    ]
    names = [item["operationId"] for _, _, item in operations]
    assert len(set(names)) == len(names) == 19
    assert {item["tags"][0] for _, _, item in operations} == {
        "Vector stores", "Vector store files", "Vector store file batches", "Vector IO",
    }  # fmt: skip
    documented = {(method.upper(), re.sub(r"\{\w+\}", "*", path)) for path, method, _ in operations}
    for method, path, _, _, _ in ROUTES:
        plain = path.partition("?")[0].replace("vs_1", "*").replace("file-1", "*").replace("vsfb_1", "*")
        assert (method, plain) in documented
    for path, method, item in operations:
        if method == "post" and not path.endswith("/cancel"):
            assert item["requestBody"]["content"]["application/json"]["schema"]["properties"], path
