"""Reranking over HTTP, in both shapes, and over the whole mesh."""

from __future__ import annotations

import httpx2 as httpx
import pytest

DOCUMENTS = ["short", "the longest document of all", "a middle one"]


def test_cohere_s_shape(http: httpx.Client) -> None:
    body = {"model": "up/some-reranker", "query": "q", "documents": DOCUMENTS, "top_n": 2}
    answer = http.post("/v1/rerank", json=body)
    assert answer.status_code == 200, answer.text
    made = answer.json()
    assert made["model"] == "up/some-reranker"
    assert [row["index"] for row in made["results"]] == [1, 2]
    assert answer.headers["x-request-id"].startswith("req_")
    assert http.post("/v1/openai/v1/rerank", json=body).status_code == 200


def test_the_shape_of_llama_stack_and_ogx(http: httpx.Client) -> None:
    items = [DOCUMENTS[0], {"type": "text", "text": DOCUMENTS[1]}, DOCUMENTS[2]]
    body = {"model": "up/some-reranker", "query": {"type": "text", "text": "q"}, "items": items, "max_num_results": 2}
    answer = http.post("/v1alpha/inference/rerank", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {"data": [{"index": 1, "relevance_score": 0.27}, {"index": 2, "relevance_score": 0.12}]}


def test_an_embedding_model_ranks_too(http: httpx.Client) -> None:
    body = {"model": "up/text-embed", "query": "q", "documents": DOCUMENTS, "return_documents": True}
    answer = http.post("/v1/rerank", json=body)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["results"]
    assert sorted(row["index"] for row in rows) == [0, 1, 2]
    assert [row["relevance_score"] for row in rows] == sorted((row["relevance_score"] for row in rows), reverse=True)
    assert {row["document"]["text"] for row in rows} == set(DOCUMENTS)


@pytest.mark.parametrize(
    ("path", "body", "status", "param"),
    [
        ("/v1/rerank", {"model": "up/plain", "query": "q", "documents": ["a"]}, 400, "model"),
        ("/v1/rerank", {"model": "up/some-reranker", "documents": ["a"]}, 400, "query"),
        ("/v1/rerank", {"model": "up/nothing", "query": "q", "documents": ["a"]}, 400, "model"),
        ("/v1alpha/inference/rerank", {"model": "up/some-reranker", "query": "q"}, 400, "items"),
        ("/v1alpha/inference/rerank", {"model": "none", "query": "q", "items": ["a"]}, 404, "model"),
        ("/v1alpha/inference/rerank", {"model": "up/some-reranker", "query": "q", "items": []}, 400, "items"),
    ],
)
def test_refusals_name_the_field(http: httpx.Client, path: str, body: object, status: int, param: str) -> None:
    answer = http.post(path, json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param), answer.text


def test_both_are_documented(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/rerank", "/v1alpha/inference/rerank"} <= set(paths)
    assert http.get("/v1/rerank").status_code == 405
    assert http.post("/v1alpha/inference/rerank", content=b"{").status_code == 400
