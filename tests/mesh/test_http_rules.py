"""What the SDK does not show: statuses, headers, bad input, clients that leave."""

from __future__ import annotations

import json
import socket
import time
from urllib.parse import urlsplit

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

CHAT = "/v1/chat/completions"
JSON = {"content-type": "application/json"}


def body(**more: object) -> dict[str, object]:
    return {"model": "plain", "messages": [{"role": "user", "content": "x"}], **more}


def head_of(length: int) -> str:
    lines = (f"POST {CHAT} HTTP/1.1", "host: x", "content-type: application/json", f"content-length: {length}", "", "")
    return "\r\n".join(lines)


def error_of(response: httpx.Response) -> dict[str, object]:
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"].startswith("req_")
    made: dict[str, object] = error
    return made


@pytest.mark.parametrize(
    ("content", "code", "param"),
    [
        (b"", "invalid_json", None),
        (b"{", "invalid_json", None),
        (b"[1]", "invalid_json", None),
        (b"\xff\xfe", "invalid_json", None),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, "invalid_json", None),
        (b"{}", "missing_model", "model"),
        (b'{"model":7,"messages":[]}', "missing_model", "model"),
        (b'{"model":"plain"}', "missing_required_parameter", "messages"),
        (b'{"model":"plain","messages":[]}', "invalid_type", "messages"),
        (b'{"model":"plain","messages":["x"]}', "invalid_type", "messages[0]"),
        (b'{"model":"plain","messages":[{"role":"user","content":1}]}', "invalid_type", "messages[0].content"),
        (b'{"model":"plain","messages":[{"role":"user"}],"stream":"yes"}', "invalid_type", "stream"),
        (b'{"model":"plain","messages":[{"role":"user"}],"temperature":9}', "invalid_type", "temperature"),
        (b'{"model":"plain","messages":[{"role":"user"}],"n":0}', "invalid_type", "n"),
        (b'{"model":"plain","messages":[{"role":"user"}],"stop":[1]}', "invalid_type", "stop"),
    ],
)
def test_bad_input_is_a_400_that_names_the_field(
    http: httpx.Client, content: bytes, code: str, param: str | None
) -> None:
    response = http.post(CHAT, content=content, headers=JSON)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")


def test_a_chat_model_is_no_embedding_model(http: httpx.Client) -> None:
    response = http.post("/v1/embeddings", json={"model": "plain", "input": "x"})
    assert response.status_code == 400
    assert error_of(response)["code"] == "wrong_model_type"


def test_a_body_over_the_limit_is_refused_before_it_is_read(http: httpx.Client) -> None:
    where = urlsplit(str(http.base_url))
    head = head_of(200 * 1024 * 1024)
    with socket.create_connection((where.hostname, where.port), timeout=30) as raw:
        raw.sendall(head.encode())
        answer = b""
        while not answer.endswith(b"}}"):
            answer += raw.recv(4096) or b"}}"
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"request_too_large" in answer and b"x-request-id" in answer
    response = http.post(CHAT, content=b"x" * (33 * 1024 * 1024), headers=JSON)
    assert error_of(response)["code"] == "request_too_large"


def test_wrong_media_type_method_and_path(http: httpx.Client) -> None:
    assert http.post(CHAT, content=b"x", headers={"content-type": "text/plain"}).status_code == 415
    for refused in (http.get("/v1/embeddings"), http.put(CHAT)):
        assert error_of(refused)["code"] == "method_not_allowed"
        assert refused.status_code == 405
    missing = http.get("/v1/nothing")
    assert missing.status_code == 404 and error_of(missing)["code"] == "unknown_route"


def test_headers_of_a_stream_and_its_end(http: httpx.Client) -> None:
    response = http.post(CHAT, json=body(stream=True))
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["x-request-id"].startswith("req_")
    assert int(response.headers["openai-processing-ms"]) >= 0
    assert response.text.endswith("data: [DONE]\n\n")
    assert response.text.count("[DONE]") == 1


def test_an_end_mark_that_comes_by_itself_is_passed_on_once(http: httpx.Client) -> None:
    text = http.post(CHAT, json=body(model="up/latedone", stream=True)).text
    assert text.endswith("data: [DONE]\n\n")
    assert text.count("[DONE]") == 1


@pytest.mark.parametrize("model", ["up/cut-2", "up/inband-2", "up/nofinish"])
def test_a_stream_that_broke_ends_with_an_error_event_and_no_done(http: httpx.Client, model: str) -> None:
    text = http.post(CHAT, json=body(model=model, stream=True)).text
    assert "[DONE]" not in text
    last = text.rstrip().rsplit("\n\n", 1)[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["message"]


def test_the_deadline_is_a_504_and_frees_the_upstream(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    response = http.post(CHAT, json=body(model="up/hang"), headers={"x-caravan-timeout": "0.5"})
    assert response.status_code == 504
    assert error_of(response)["code"] == "deadline_exceeded"


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_frees_the_upstream_within_a_second(
    mesh: RunningMesh, upstream: ScriptedUpstream, stream: bool
) -> None:
    mesh.until(lambda: upstream.open == 0)
    before = upstream.closed_early
    where = urlsplit(mesh.url)
    content = json.dumps(body(model="up/slow-40", stream=stream, max_tokens=1000)).encode()
    with socket.create_connection((where.hostname, where.port), timeout=30) as raw:
        raw.sendall(head_of(len(content)).encode() + content)
        mesh.until(lambda: upstream.open == 1, 15)
        if stream:
            assert raw.recv(100).startswith(b"HTTP/1.1 200")
    left = time.monotonic()
    mesh.until(lambda: upstream.open == 0 and upstream.closed_early == before + 1, 15)
    assert time.monotonic() - left < 2.0


def test_health_version_docs_and_metrics(http: httpx.Client) -> None:
    for path in ("/livez", "/readyz", "/healthz", "/v1/health"):
        response = http.get(path)
        assert (response.status_code, response.json()["status"]) == (200, "OK")
        assert response.headers["x-request-id"]
    assert http.get("/v1/version").json()["version"]
    assert "swagger" in http.get("/docs").text.lower()
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/models", "/v1/providers"} <= paths.keys()
    http.post(CHAT, json=body())
    metrics = http.get("/metrics").text
    assert 'caravan_http_requests_total{method="POST",route="/v1/chat/completions",status="200"}' in metrics
    assert 'caravan_tokens_total{direction="output",model="up/plain",provider="up"}' in metrics
    assert "caravan_time_to_first_token_seconds_bucket" in metrics


def test_providers_and_models_change_at_run_time(
    http: httpx.Client, mesh: RunningMesh, upstream: ScriptedUpstream
) -> None:
    provider = {"provider_id": "late", "provider_type": "remote::vllm", "config": {"base_url": upstream.url}}
    assert http.post("/v1/providers", json=provider).status_code == 200
    try:
        mesh.until(lambda: "late/plain" in mesh.model_ids(), 15)
        listed = {row["provider_id"]: row for row in http.get("/v1/providers").json()["data"]}
        assert listed["late"]["provider_type"] == "remote::vllm"
        mesh.until(lambda: http.post(CHAT, json=body(model="late/plain")).status_code == 200, 15)
        assert http.post(CHAT, json=body(model="plain")).status_code == 404, "now two providers have it"
        made = http.post("/v1/models", json={"model_id": "mine", "provider_id": "up", "provider_model_id": "plain"})
        assert made.json()["identifier"] == "mine"
        mesh.until(lambda: http.post(CHAT, json=body(model="mine")).status_code == 200, 15)
        assert http.delete("/v1/models/mine").json()["deleted"] is True
        mesh.until(lambda: http.post(CHAT, json=body(model="mine")).status_code == 404, 15)
    finally:
        assert http.delete("/v1/providers/late").status_code == 200
    mesh.until(lambda: http.post(CHAT, json=body()).status_code == 200, 15)
    assert error_of(http.get("/v1/providers/late"))["code"] == "not_found"


def test_a_written_out_secret_is_refused(http: httpx.Client) -> None:
    config = {"base_url": "http://localhost:1/v1", "api_key": "sk-written-out"}
    response = http.post("/v1/providers", json={"id": "bad", "type": "remote::openai", "config": config})
    assert response.status_code == 400
    assert error_of(response)["code"] == "secret_in_config"
    assert "sk-written-out" not in response.text
