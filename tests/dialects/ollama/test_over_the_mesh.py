"""Ollama's API in front of a whole mesh with two tenants."""

from __future__ import annotations

import json
from typing import Any

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, BOSS
from tests.stored.upstream import NumberedUpstream

HELLO = [{"role": "user", "content": "hello"}]


def asking(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": HELLO, **more}


def lines(answer: httpx.Response) -> list[Any]:
    return [json.loads(line) for line in answer.text.splitlines()]


def test_plain(http: httpx.Client) -> None:
    answer = http.post("/api/chat", json=asking("up/plain", stream=False))
    made = answer.json()
    assert made["message"] == {"role": "assistant", "content": "w0 w1 w2 w3 "}
    assert (made["model"], made["done"], made["eval_count"]) == ("up/plain", True, 4)
    assert answer.headers["x-request-id"].startswith("req_")
    text = http.post("/api/generate", json={"model": "llama3.2:3b", "prompt": "hi", "stream": False}).json()
    assert (text["response"], text["model"]) == ("w0 w1 w2 w3 ", "llama3.2:3b")


def test_stream(http: httpx.Client) -> None:
    text = lines(http.post("/api/generate", json={"model": "up/split", "prompt": "hi"}))
    assert "".join(line["response"] for line in text) == "w0 w1 w2 w3 " and text[-1]["done"]
    answer = http.post("/api/chat", json=asking("up/split"))
    assert answer.headers["content-type"] == "application/x-ndjson"
    made = lines(answer)
    assert "".join(line["message"]["content"] for line in made) == "w0 w1 w2 w3 "
    assert [line["done"] for line in made] == [False] * 4 + [True]
    assert made[-1]["prompt_eval_count"] == 7


def test_tools(http: httpx.Client) -> None:
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    made = lines(http.post("/api/chat", json=asking("up/tools", tools=[tool])))
    function = made[0]["message"]["tool_calls"][0]["function"]
    assert (function["name"], function["arguments"]) == ("weather", {"city": "Paris"})
    assert made[-1]["done"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/chat", asking("nobody"), 404),
        ("/api/chat", asking("up/status-429"), 429),
        ("/api/chat", asking("up/status-503"), 503),
        ("/api/chat", asking("up/notjson", stream=False), 502),
        ("/api/chat", asking("up/plain", options={"temperature": 9}), 400),
        ("/api/generate", {"model": "up/plain", "prompt": 1}, 400),
        ("/api/generate", {"model": "up/status-503", "prompt": "hi"}, 503),
        ("/api/embed", {"model": "nobody", "input": "a"}, 404),
        ("/api/embed", {"model": "up/text-embed"}, 400),
        ("/api/embed", {"model": "up/plain", "input": "a"}, 400),
        ("/api/embeddings", {"model": "nobody", "prompt": "a"}, 404),
        ("/api/embeddings", {"model": "up/text-embed", "prompt": 1}, 400),
        ("/api/show", {"model": "nobody"}, 404),
        ("/api/show", {}, 400),
        ("/api/pull", {"model": "llama3"}, 501),
        ("/api/blobs/sha256:0", {}, 501),
    ],
)
def test_error(http: httpx.Client, path: str, body: object, status: int) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    made = answer.json()
    assert list(made) == ["error"] and isinstance(made["error"], str) and made["error"]


@pytest.mark.parametrize("model", ["up/cut-3", "up/inband-3"])
def test_a_stream_that_breaks_is_never_done(http: httpx.Client, model: str) -> None:
    chat = lines(http.post("/api/chat", json=asking(model)))
    text = lines(http.post("/api/generate", json={"model": model, "prompt": "hi"}))
    assert "".join(line["message"]["content"] for line in chat[:-1]) == "w0 w1 w2 "
    assert "".join(line["response"] for line in text[:-1]) == "w0 w1 w2 "
    for made in (chat, text):
        assert list(made[-1]) == ["error"]
        assert not any(line.get("done") for line in made)


def test_cancel(http: httpx.Client, mesh: RunningMesh, upstream: NumberedUpstream) -> None:
    body = asking("up/slow-21", options={"num_predict": 5000})
    with http.stream("POST", "/api/chat", json=body) as answer:
        first = next(answer.iter_lines())
    assert json.loads(first)["message"]["content"] == "w0 "
    mesh.until(lambda: upstream.asked("slow-21")[-1].left)


def test_each_tenant_sees_its_own_models_alone(http: httpx.Client, mesh: RunningMesh) -> None:
    model = {"id": "ollama-own", "provider_id": "up", "provider_resource_id": "plain"}
    boss, other = ({"Authorization": f"Bearer {key}"} for key in (BOSS, BOB))
    assert http.post("/v1/models", json=model, headers=boss).status_code == 200

    def listed(headers: dict[str, str] | None = None) -> set[str]:
        return {row["model"] for row in http.get("/api/tags", headers=headers).json()["models"]}

    mesh.until(lambda: "ollama-own" in listed())
    try:
        assert http.post("/api/chat", json=asking("ollama-own", stream=False)).status_code == 200
        assert http.post("/api/show", json={"model": "ollama-own"}).json()["details"]["family"] == "up"
        assert "ollama-own" not in listed(other) and "up/plain" in listed(other)
        for path in ("/api/chat", "/api/show"):
            assert http.post(path, json=asking("ollama-own"), headers=other).status_code == 404
    finally:
        http.delete("/v1/models/ollama-own", headers=boss)


def test_nobody_is_let_in_without_a_key(mesh: RunningMesh) -> None:
    answers = [
        httpx.post(f"{mesh.url}/api/chat", json=asking("up/plain")),
        httpx.get(f"{mesh.url}/api/tags"),
        httpx.post(f"{mesh.url}/api/pull", json={}),
    ]
    assert [answer.status_code for answer in answers] == [401] * 3
    assert all(isinstance(answer.json()["error"], str) for answer in answers)
    assert httpx.get(f"{mesh.url}/api/chat", headers={"Authorization": f"Bearer {ADA}"}).status_code == 405


def test_a_form_s_content_type_is_json_all_the_same(http: httpx.Client) -> None:
    for path in ("/api/chat", "/api/show"):
        sent = json.dumps(asking("up/plain", stream=False))
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        assert http.post(path, content=sent, headers=kind).status_code == 200


def test_vectors(http: httpx.Client) -> None:
    made = http.post("/api/embed", json={"model": "up/text-embed", "input": ["a", "b"]}).json()
    assert made["embeddings"] == [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]] and made["prompt_eval_count"] == 2
    old = http.post("/api/embeddings", json={"model": "up/text-embed", "prompt": "a"}).json()
    assert old == {"embedding": [0.5, -0.25, 0.0]}


def test_what_tools_ask_before_anything_else(http: httpx.Client) -> None:
    assert http.get("/").text == "Ollama is running" and http.head("/").status_code == 200
    assert http.head("/api/version").status_code == http.head("/api/tags").status_code == 200
    assert http.get("/api/version").json()["version"].count(".") == 2
    shown = http.post("/api/show", json={"name": "up/text-embed"}).json()
    assert shown["capabilities"] == ["embedding"] and shown["model_info"]["general.architecture"] == "caravan"
    assert "up/plain" in [row["name"] for row in http.get("/api/ps").json()["models"]]


def test_it_is_documented(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    wanted = {"chat", "generate", "embed", "embeddings", "tags", "show", "ps", "version"}
    assert {f"/api/{name}" for name in wanted} <= set(paths)
