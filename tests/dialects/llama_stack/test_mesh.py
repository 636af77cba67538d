"""Over a real mesh: every path of every generation, errors, streams that break, clients that leave."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx
import pytest

from tests.dialects.llama_stack.events import read
from tests.mesh.running import RunningMesh

HELLO = [{"role": "user", "content": "hello"}]
WORDS = "w0 w1 w2 w3 "
CHATS = [
    ("/inference/chat_completion", "model"),
    ("/alpha/inference/chat-completion", "model_id"),
    ("/v1/inference/chat-completion", "model_id"),
]
THIRD = CHATS[2][0]


def words(data: bytes) -> str:
    deltas = [event["event"]["delta"] for event in read(data)]
    return "".join(delta["text"] if isinstance(delta, dict) else delta for delta in deltas)


@pytest.mark.parametrize(("path", "field"), CHATS)
def test_a_chat_is_answered_whole_or_streamed_as_its_field_says(http: httpx.Client, path: str, field: str) -> None:
    asked: dict[str, Any] = {field: "plain", "messages": HELLO}
    whole = http.post(path, json=asked)
    assert whole.headers["content-type"] == "application/json", "whatever the client would accept"
    assert whole.json()["completion_message"]["content"] == WORDS
    assert whole.headers["x-request-id"].startswith("req_")
    streamed = http.post(path, json={**asked, "stream": True}, headers={"Accept": "application/json"})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    assert words(streamed.content) == WORDS
    assert read(streamed.content)[-1]["event"]["stop_reason"] == "end_of_turn"


@pytest.mark.parametrize("model", ["up/crlf", "up/split", "up/nodone", "up/slow-5", "up/thinking"])
def test_a_stream_is_the_same_however_its_provider_writes_it(http: httpx.Client, model: str) -> None:
    asked = {"model_id": model, "messages": HELLO, "stream": True}
    assert words(http.post(THIRD, json=asked).content) == WORDS


@pytest.mark.parametrize("prefix", ["/inference", "/alpha/inference", "/v1/inference"])
def test_texts_and_embeddings(http: httpx.Client, prefix: str) -> None:
    text = {"model": "plain", "content": "once"}
    assert http.post(f"{prefix}/completion", json=text).json()["content"] == WORDS
    streamed = read(http.post(f"{prefix}/completion", json={**text, "stream": True}).content)
    assert "".join(event["delta"] for event in streamed) == WORDS
    assert [event["stop_reason"] for event in streamed][-1] == "end_of_turn"
    vectors = http.post(f"{prefix}/embeddings", json={"model_id": "text-embed", "contents": ["a", "b"]})
    assert len(vectors.json()["embeddings"]) == 2


@pytest.mark.parametrize(
    ("model", "status", "code"),
    [
        ("nobody-has-this", 404, "model_not_found"),
        ("up/status-429", 429, "scripted_code"),
        ("up/notjson", 502, "upstream_stream_broken"),
    ],
)
def test_errors_before_the_first_token_keep_their_status(
    http: httpx.Client, model: str, status: int, code: str
) -> None:
    answer = http.post(THIRD, json={"model_id": model, "messages": HELLO})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/inference/completion", {"content": "once"}), ("/alpha/inference/embeddings", {"contents": ["a"]})],
)
def test_errors_of_texts_and_embeddings(http: httpx.Client, path: str, asked: dict[str, Any]) -> None:
    unknown = http.post(path, json={"model": "nobody-has-this", **asked})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    nothing = http.post(path, json={"model": "plain"})
    assert (nothing.status_code, nothing.json()["error"]["param"]) == (400, next(iter(asked)))


def test_a_text_that_breaks_has_no_stop_reason(http: httpx.Client) -> None:
    told = read(
        http.post("/v1/inference/completion", json={"model_id": "up/cut-2", "content": "x", "stream": True}).content
    )
    assert [event.get("delta") for event in told] == ["w0 ", "w1 ", None]
    assert "error" in told[-1]
    assert {event.get("stop_reason") for event in told} == {None}


@pytest.mark.parametrize("model", ["up/cut-2", "up/inband-2", "up/nofinish"])
@pytest.mark.parametrize(("path", "field"), CHATS)
def test_a_stream_that_breaks_never_says_complete(http: httpx.Client, path: str, field: str, model: str) -> None:
    told = read(http.post(path, json={field: model, "messages": HELLO, "stream": True}).content)
    assert [event["event"]["event_type"] for event in told[:3]] == ["start", "progress", "progress"]
    assert "error" in told[-1]
    assert "complete" not in json.dumps(told)


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/alpha/inference/completion", {"content": "once"}),
        ("/v1/inference/batch-chat-completion", {"messages_batch": [HELLO, HELLO]}),
        ("/batch_inference/completion", {"content_batch": ["a"]}),
    ],
)
def test_a_client_that_leaves_before_the_answer_frees_its_provider(
    http: httpx.Client, mesh: RunningMesh, path: str, asked: dict[str, Any]
) -> None:
    before = len(mesh.upstream.asked("hang"))
    with pytest.raises(httpx.ReadTimeout):
        http.post(path, json={"model": "up/hang", **asked}, timeout=httpx.Timeout(10, read=3))
    made = mesh.upstream.asked("hang")[before:]
    assert made
    mesh.until(lambda: all(each.left for each in made), 15)


def test_a_client_that_leaves_frees_its_provider(http: httpx.Client, mesh: RunningMesh) -> None:
    asked = {"model_id": "up/slow-90", "messages": HELLO, "stream": True, "sampling_params": {"max_tokens": 500}}
    with http.stream("POST", THIRD, json=asked) as answer:
        next(answer.iter_bytes())
    assert mesh.upstream.asked("slow-90")[-1].body["max_tokens"] == 500
    mesh.until(lambda: mesh.upstream.asked("slow-90")[-1].left, 15)


@pytest.mark.parametrize("name", ["X-LlamaStack-ProviderData", "X-LlamaStack-Provider-Data", "X-OGX-Provider-Data"])
def test_provider_data_is_read_whatever_its_header(http: httpx.Client, name: str) -> None:
    wrong = http.post(THIRD, json={"model_id": "plain", "messages": HELLO}, headers={name: "no JSON"})
    assert wrong.status_code == 400
    assert name.lower() in wrong.json()["error"]["message"]
    assert http.post(THIRD, json={"model_id": "plain", "messages": HELLO}, headers={name: "{}"}).status_code == 200


def test_versions_of_clients_are_no_reason_to_refuse(http: httpx.Client) -> None:
    for name in ("X-LlamaStack-Client-Version", "X-OGX-Client-Version"):
        assert http.get("/v1/models", headers={name: "0.0.1"}).status_code == 200


def test_llama_stacks_client_gets_no_done_and_others_do(http: httpx.Client) -> None:
    asked = {"model": "plain", "messages": HELLO, "stream": True}
    for path in ("/v1/chat/completions", "/v1/openai/v1/chat/completions"):
        ours = http.post(path, json=asked, headers={"X-LlamaStack-Client-Version": "0.2.23"})
        others = http.post(path, json=asked)
        assert others.content.endswith(b"data: [DONE]\n\n")
        assert b"[DONE]" not in ours.content
        assert len(read(ours.content)) == others.content.count(b"data: ") - 1


def test_lists_of_every_generation(http: httpx.Client) -> None:
    rows = http.get("/v1/models").json()
    assert rows["object"] == "list"
    needed = {
        "id", "object", "created", "owned_by", "identifier", "model_type", "provider_id", "provider_resource_id",
        "type", "metadata", "custom_metadata",
    }  # fmt: skip
    assert all(needed <= set(row) for row in rows["data"])
    for prefix in ("", "/alpha"):
        listed = http.get(f"{prefix}/models/list")
        assert listed.headers["content-type"] == "application/jsonl"
        lines = [json.loads(line) for line in listed.text.splitlines()]
        assert [line["identifier"] for line in lines] == [row["identifier"] for row in rows["data"]]
        one = http.get(f"{prefix}/models/get", params={"identifier": "house-model"}).json()
        assert (one["identifier"], one["llama_model"]) == ("house-model", "plain")
        assert http.get(f"{prefix}/models/get", params={"identifier": "none"}).status_code == 404
        assert http.get(f"{prefix}/health").json() == {"status": "OK"}
        assert http.get(f"{prefix}/providers/list").json()["inference"][0]["provider_id"] == "up"
        assert {"route": "/v1/models", "method": "GET", "provider_types": []} in http.get(
            f"{prefix}/routes/list"
        ).json()["Models"]
    routes = http.get("/v1/inspect/routes").json()["data"]
    assert {"route": "/v1/chat/completions", "method": "POST", "provider_types": []} in routes


def test_every_path_is_documented(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    for path, field in CHATS:
        assert paths[path]["post"]["requestBody"]["content"]["application/json"]["schema"]["required"][0] == field
    names = {"/v1/inference/rerank", "/alpha/inference/embeddings", "/batch_inference/completion"}
    assert names <= set(paths)
    operations = [each["operationId"] for item in paths.values() for each in item.values()]
    assert len(operations) == len(set(operations))


def test_ranking_at_the_path_of_0_2(http: httpx.Client) -> None:
    asked = {"model": "up/some-reranker", "query": "q", "items": ["a", "bbb"]}
    assert [row["index"] for row in http.post("/v1/inference/rerank", json=asked).json()["data"]] == [1, 0]


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("/v1/agents", "/v1/responses"),
        ("/alpha/agents/turn/create", "/v1/responses"),
        ("/agents/create", "/v1/responses"),
        ("/v1/toolgroups", "MCP"),
        ("/v1/tool-runtime/rag-tool/query", "file_search"),
        ("/memory_banks/list", "/v1/vector_stores"),
        ("/v1beta/datasets", "/v1/files"),
        ("/v1/post-training/jobs", "neither trains"),
    ],
)
def test_what_is_not_here_says_what_to_use(http: httpx.Client, path: str, instead: str) -> None:
    for answer in (http.get(path), http.post(path, json={})):
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (404, "unsupported_endpoint")
        assert instead in error["message"]
    assert http.get("/v1/nothing").json()["error"]["code"] == "unknown_route"


def test_vector_dbs_are_vector_stores(http: httpx.Client) -> None:
    given = {"vector_db_id": "of-the-dialect", "embedding_model": "up/text-embed", "embedding_dimension": 3}
    made = http.post("/v1/vector-dbs", json=given).json()
    assert made["vector_db_name"] == "of-the-dialect"
    assert (made["type"], made["embedding_dimension"]) == ("vector_db", 3)
    assert http.post("/v1/vector-dbs", json=given).json() == made
    assert made in http.get("/v1/vector-dbs").json()["data"]
    assert http.get(f"/v1/vector_stores/{made['identifier']}").json()["name"] == "of-the-dialect"
    chunk = {"content": "camels", "metadata": {"document_id": "d"}, "embedding": [1.0, 0.0, 0.0]}
    for known_as in ("of-the-dialect", made["identifier"]):
        inserted = {"vector_db_id": known_as, "chunks": [chunk]}
        assert http.post("/v1/vector-io/insert", json=inserted).status_code == 204
        asked = {"vector_db_id": known_as, "query": [1.0, 0.0, 0.0]}
        assert http.post("/v1/vector-io/query", json=asked).json()["chunks"][0]["content"] == "camels"
        removed = {"vector_db_id": known_as, "document_ids": ["d"]}
        assert http.post("/v1/vector-io/delete", json=removed).status_code == 204
        assert http.post("/v1/vector-io/query", json=asked).json()["chunks"] == []
    assert http.get("/v1/vector-dbs/of-the-dialect").json() == made
    assert http.delete("/v1/vector-dbs/of-the-dialect").status_code == 204
    gone = http.get("/v1/vector-dbs/of-the-dialect")
    assert (gone.status_code, gone.json()["error"]["type"]) == (404, "invalid_request_error")
    for nothing in ("of-the-dialect", "with\0nothing", "x" * 600, ""):
        asked = {"vector_db_id": nothing, "query": [1.0, 0.0, 0.0]}
        assert http.post("/v1/vector-io/query", json=asked).status_code == 404
    assert http.get(f"/v1/vector-dbs/{'x' * 600}").status_code == 404
