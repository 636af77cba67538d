"""Google's API in front of a whole mesh with two tenants."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, BOSS
from tests.stored.upstream import NumberedUpstream

HELLO: dict[str, Any] = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
WORDS = "w0 w1 w2 w3 "


def at(model: str, name: str = "generateContent", version: str = "v1beta") -> str:
    return f"/{version}/models/{model}:{name}"


def streaming(model: str) -> str:
    return at(model, "streamGenerateContent") + "?alt=sse"


def events(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream"), answer.text
    return [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n") if event.strip()]


def text(answer: Any) -> str:
    return "".join(part.get("text", "") for part in answer["candidates"][0]["content"]["parts"])


@pytest.mark.parametrize("version", ["v1beta", "v1alpha", "v1"])
def test_plain(http: httpx.Client, version: str) -> None:
    for model in ("up/plain", quote("up/plain", safe=""), "llama3.2:3b", quote("up/llama3.2:3b", safe="")):
        answer = http.post(at(model, version=version), json=HELLO)
        made = answer.json()
        assert (text(made), made["candidates"][0]["finishReason"]) == (WORDS, "STOP"), answer.text
        assert made["usageMetadata"]["totalTokenCount"] == 11
        assert answer.headers.get_list("x-request-id")[0].startswith("req_")
        assert len(answer.headers.get_list("x-request-id")) == 1


def test_stream(http: httpx.Client) -> None:
    made = events(http.post(streaming("up/split"), json=HELLO))
    assert "".join(map(text, made)) == WORDS
    assert [event["candidates"][0].get("finishReason") for event in made] == [None] * 4 + ["STOP"]
    array = http.post(at("up/plain", "streamGenerateContent"), json=HELLO)
    assert array.headers["content-type"] == "application/json"
    assert "".join(map(text, array.json())) == WORDS


def test_tools(http: httpx.Client) -> None:
    body = {**HELLO, "tools": [{"functionDeclarations": [{"name": "weather", "parameters": {"type": "OBJECT"}}]}]}
    call = {"functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Paris"}}}
    whole = http.post(at("up/tools"), json=body).json()
    assert whole["candidates"][0]["content"]["parts"] == [call]
    streamed = events(http.post(streaming("up/tools"), json=body))
    assert streamed[-1]["candidates"][0]["content"]["parts"] == [call]


@pytest.mark.parametrize(
    ("path", "body", "status", "name"),
    [
        (at("nobody"), HELLO, 404, "NOT_FOUND"),
        (streaming("nobody"), HELLO, 404, "NOT_FOUND"),
        (at("up/status-429"), HELLO, 429, "RESOURCE_EXHAUSTED"),
        (at("up/status-503"), HELLO, 503, "UNAVAILABLE"),
        (at("up/notjson"), HELLO, 502, "UNAVAILABLE"),
        (at("up/plain"), {}, 400, "INVALID_ARGUMENT"),
        (at("up/plain", "countTokens"), {}, 400, "INVALID_ARGUMENT"),
        (at("up/text-embed", "embedContent"), {}, 400, "INVALID_ARGUMENT"),
    ],
)
def test_error(http: httpx.Client, path: str, body: object, status: int, name: str) -> None:
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    told = answer.json()["error"]
    assert (told["code"], told["status"]) == (status, name) and told["message"]


@pytest.mark.parametrize("model", ["up/cut-3", "up/inband-3"])
def test_a_stream_that_breaks_has_no_good_end(http: httpx.Client, model: str) -> None:
    made = events(http.post(streaming(model), json=HELLO))
    array = http.post(at(model, "streamGenerateContent"), json=HELLO).json()
    for answers in (made, array):
        assert "".join(map(text, answers[:-1])) == "w0 w1 w2 "
        assert list(answers[-1]) == ["error"]
        assert not any("finishReason" in answer["candidates"][0] for answer in answers[:-1])


def test_cancel(http: httpx.Client, mesh: RunningMesh, upstream: NumberedUpstream) -> None:
    body = {**HELLO, "generationConfig": {"maxOutputTokens": 5000}}
    with http.stream("POST", streaming("up/slow-22"), json=body) as answer:
        first = next(answer.iter_lines())
    assert text(json.loads(first.removeprefix("data: "))) == "w0 "
    mesh.until(lambda: upstream.asked("slow-22")[-1].left)


def test_each_tenant_sees_its_own_models_alone(http: httpx.Client, mesh: RunningMesh) -> None:
    model = {"id": "google-own", "provider_id": "up", "provider_resource_id": "plain"}
    boss, other = ({"Authorization": f"Bearer {key}"} for key in (BOSS, BOB))
    assert http.post("/v1/models", json=model, headers=boss).status_code == 200

    def listed(headers: dict[str, str] | None = None) -> set[str]:
        return {row["name"] for row in http.get("/v1beta/models", headers=headers).json()["models"]}

    mesh.until(lambda: "models/google-own" in listed())
    try:
        assert http.post(at("google-own"), json=HELLO).status_code == 200
        assert http.get("/v1beta/models/google-own").json()["name"] == "models/google-own"
        assert "models/google-own" not in listed(other) and "models/up/plain" in listed(other)
        assert http.post(at("google-own"), json=HELLO, headers=other).status_code == 404
        missing = http.get("/v1beta/models/google-own", headers=other)
        assert (missing.status_code, missing.json()["error"]["status"]) == (404, "NOT_FOUND")
    finally:
        http.delete("/v1/models/google-own", headers=boss)


def test_a_key_is_taken_from_google_s_header_and_from_the_url(mesh: RunningMesh) -> None:
    given = {"x-goog-api-key": ADA}
    with httpx.Client(base_url=mesh.url, timeout=30) as plain:
        assert plain.post(at("up/plain"), json=HELLO, headers=given).status_code == 200
        assert plain.post(f"{at('up/plain')}?key={ADA}", json=HELLO).status_code == 200
        assert plain.get("/v1beta/models", headers=given).status_code == 200
        assert plain.get(f"/v1alpha/models?key={ADA}").status_code == 200
        for refused in (
            plain.post(at("up/plain"), json=HELLO),
            plain.post(f"{at('up/plain')}?key=wrong-key", json=HELLO),
            plain.get("/v1beta/models?key=wrong-key"),
        ):
            assert (refused.status_code, refused.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
            assert "wrong-key" not in refused.text
    logs = [mesh.log(child["name"]) for child in mesh.state["children"] if child["name"].startswith("gateway")]
    assert logs and not any("wrong-key" in log or ADA in log for log in logs)


def test_tokens_are_counted_without_the_model(http: httpx.Client, upstream: NumberedUpstream) -> None:
    def counted(body: object) -> int:
        made = http.post(at("up/plain-counted", "countTokens"), json=body).json()
        total: int = made["totalTokens"]
        return total

    short, long = counted(HELLO), counted({"contents": "hello " * 100})
    assert 0 < short < 20 < long
    assert counted({"generateContentRequest": {**HELLO, "systemInstruction": "be brief, be kind"}}) > short
    tool = {"name": "weather", "parameters": {"type": "OBJECT"}}
    assert counted({"generateContentRequest": {**HELLO, "tools": [{"functionDeclarations": [tool]}]}}) > short
    assert upstream.asked("plain-counted") == []


def test_vectors(http: httpx.Client) -> None:
    content = {"parts": [{"text": "a"}]}
    one = http.post(at("up/text-embed", "embedContent"), json={"content": content}).json()
    assert one == {"embedding": {"values": [0.5, -0.25, 0.0]}}
    body = {"requests": [{"content": content}, {"content": content}]}
    many = http.post(at("up/text-embed", "batchEmbedContents"), json=body).json()
    assert many == {"embeddings": [{"values": [0.5, -0.25, 0.0]}, {"values": [0.5, -0.25, 1.0]}]}


def test_models_come_in_pages(http: httpx.Client) -> None:
    found, token = [], ""
    while True:
        page = http.get("/v1beta/models", params={"pageSize": 2, "pageToken": token}).json()
        assert 0 < len(page["models"]) <= 2
        found += [row["name"] for row in page["models"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    everything = http.get("/v1beta/models", params={"pageSize": 1000}).json()["models"]
    assert found == [row["name"] for row in everything]
    embeds = next(row for row in everything if row["name"] == "models/up/text-embed")
    assert "embedContent" in embeds["supportedGenerationMethods"]
    refused = http.get("/v1beta/models", params={"pageToken": "next"})
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")


def test_openai_s_paths_beside_it_are_openai_s_but_for_google_s_clients(http: httpx.Client) -> None:
    theirs = {"x-goog-api-client": "google-genai-sdk"}
    assert "models" in http.get("/v1/models", headers=theirs).json()
    assert http.get("/v1/models/up/plain", headers=theirs).json()["name"] == "models/up/plain"
    proxied = {"x-goog-authenticated-user-email": "ada@a.example"}
    assert http.get("/v1/models", headers=proxied).json()["object"] == "list"
    assert http.get("/v1/models/up/llama3.2:3b").json()["id"] == "up/llama3.2:3b"
    assert http.get(at("up/plain")).status_code == 405
    assert http.post("/v1beta/models/up/plain:nothing", json=HELLO).status_code in (404, 405)


def test_it_is_documented(http: httpx.Client) -> None:
    paths = http.get("/openapi.json").json()["paths"]
    names = ("generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents")
    assert {f"/v1beta/models/{{model}}:{name}" for name in names} | {"/v1beta/models"} <= set(paths)


INTERACTIONS = "/v1beta/interactions"


def told(answer: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def test_interactions_are_kept_and_go_on(http: httpx.Client) -> None:
    for path in (INTERACTIONS, "/v1alpha/interactions", "/v1/interactions"):
        first = http.post(path, json={"model": "up/plain", "input": "hello"}).json()
        assert (first["status"], first["outputs"]) == ("completed", [{"type": "text", "text": WORDS}])
        body = {"model": "up/plain", "input": "again", "previous_interaction_id": first["id"]}
        second = http.post(path, json=body).json()
        assert second["previous_interaction_id"] == first["id"]
        assert http.get(f"{path}/{first['id']}").json()["steps"] == first["steps"]
        assert http.get(f"{path}/{first['id']}", headers={"Authorization": f"Bearer {BOB}"}).status_code == 404
        assert http.delete(f"{path}/{first['id']}").status_code == 200
        gone = http.get(f"{path}/{first['id']}")
        assert (gone.status_code, gone.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_an_interaction_streams_its_steps(http: httpx.Client) -> None:
    made = told(http.post(INTERACTIONS, json={"model": "up/plain", "input": "hello", "stream": True}))
    assert "".join(event["delta"]["text"] for event in made if event["event_type"] == "step.delta") == WORDS
    assert made[-1]["interaction"]["status"] == "completed"
    tool = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
    body = {"model": "up/tools", "input": "weather", "tools": [tool], "stream": True}
    called = told(http.post(INTERACTIONS, json=body))
    assert called[-1]["interaction"]["status"] == "requires_action"
    assert called[-1]["interaction"]["steps"][-1]["arguments"] == {"city": "Paris"}


def test_the_path_of_ogx_has_earlier_words_for_who_asks_for_no_revision(http: httpx.Client) -> None:
    body = {"model": "up/plain", "input": "hello", "stream": True}
    earlier = told(http.post("/v1alpha/interactions", json=body))
    assert (earlier[0]["event_type"], earlier[-1]["event_type"]) == ("interaction.start", "interaction.complete")
    assert "".join(event["delta"]["text"] for event in earlier if event["event_type"] == "content.delta") == WORDS
    today = told(http.post("/v1alpha/interactions", json=body, headers={"Api-Revision": "2026-05-20"}))
    assert today[-1]["event_type"] == "interaction.completed"


def test_an_interaction_that_fails_says_so(http: httpx.Client) -> None:
    made = told(http.post(INTERACTIONS, json={"model": "up/cut-3", "input": "hello", "stream": True}))
    assert made[-1]["event_type"] == "error" and made[-1]["error"]["message"]
    refused = http.post(INTERACTIONS, json={"model": "up/plain"})
    assert (refused.status_code, refused.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    nobody = http.post(INTERACTIONS, json={"model": "nobody", "input": "hello"})
    assert (nobody.status_code, nobody.json()["error"]["status"]) == (404, "NOT_FOUND")


def test_a_client_of_an_interaction_may_leave(
    http: httpx.Client, mesh: RunningMesh, upstream: NumberedUpstream
) -> None:
    body = {"model": "up/slow-23", "input": "hello", "stream": True, "store": False}
    body["generation_config"] = {"max_output_tokens": 5000}
    with http.stream("POST", INTERACTIONS, json=body) as answer:
        next(line for line in answer.iter_lines() if "step.delta" in line)
    mesh.until(lambda: upstream.asked("slow-23")[-1].left)
