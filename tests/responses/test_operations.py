"""Counting and compacting through a running mesh, with the official SDK."""

from __future__ import annotations

from typing import Any

import httpx2 as httpx
import openai
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.responses.machine import follow
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.usefixtures("mesh")
HISTORY: Any = [
    {"role": "developer", "content": "Be brief."},
    {"role": "user", "content": "weather in Paris?"},
    {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Paris"}'},
    {"type": "function_call_output", "call_id": "c1", "output": "sunny, 21 degrees"},
    {"role": "assistant", "content": "It is sunny."},
    {"role": "user", "content": "and tomorrow?"},
]


def test_tokens_are_counted_without_asking_a_model(client: OpenAI, upstream: ScriptedUpstream) -> None:
    asked = len(upstream.requests)
    short = client.responses.input_tokens.count(model="up/plain", input="hello")
    assert short.object == "response.input_tokens" and 0 < short.input_tokens < 20
    tools: Any = [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}]
    more = client.responses.input_tokens.count(model="up/plain", input=HISTORY, instructions="Speak.", tools=tools)
    assert more.input_tokens > short.input_tokens
    assert client.responses.input_tokens.count(input="hello").input_tokens == short.input_tokens
    assert len(upstream.requests) == asked


def test_an_estimate_says_so(http: httpx.Client) -> None:
    for base in ("/v1", "/v1/openai/v1"):
        answer = http.post(f"{base}/responses/input_tokens", json={"model": "up/plain", "input": "hello"})
        assert answer.status_code == 200 and answer.headers["x-caravan-token-count"] == "estimate"
        assert answer.headers["x-request-id"]


def test_what_was_said_before_counts(client: OpenAI) -> None:
    first = client.responses.create(model="up/plain", input="a long question " * 50)
    alone = client.responses.input_tokens.count(model="up/plain", input="more").input_tokens
    behind = client.responses.input_tokens.count(model="up/plain", input="more", previous_response_id=first.id)
    assert behind.input_tokens > alone + 100
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "one " * 100}]).id
    within = client.responses.input_tokens.count(model="up/plain", input="more", conversation=conversation)
    assert within.input_tokens > alone + 90


def test_a_large_input_is_counted(client: OpenAI) -> None:
    counted = client.responses.input_tokens.count(model="up/plain", input="word " * 100_000)
    assert 90_000 < counted.input_tokens < 130_000


@pytest.mark.parametrize("path", ["input_tokens", "compact"])
def test_what_is_wrong_is_named(http: httpx.Client, path: str) -> None:
    for wrong, param in (({"input": [{"type": "nothing"}]}, "input[0].type"), ({"temperature": "hot"}, "temperature")):
        answer = http.post(f"/v1/responses/{path}", json={"model": "up/plain", "input": "x", **wrong})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text
    assert http.post(f"/v1/responses/{path}", content=b"{").status_code == 400
    assert http.post(f"/v1/responses/{path}", json={"model": "m", "previous_response_id": "resp_1"}).status_code == 404
    assert http.put(f"/v1/responses/{path}", json={}).status_code == 405
    anonymous = httpx.post(f"{http.base_url}/v1/responses/{path}", json={})
    assert anonymous.status_code == 401


def compacted(http: httpx.Client, items: Any) -> list[dict[str, Any]]:
    """The output: the SDK knows user messages among it by sight alone, and warns when it writes them again."""
    answer = http.post("/v1/responses/compact", json={"model": "up/plain", "input": items})
    assert answer.status_code == 200, answer.text
    made: list[dict[str, Any]] = answer.json()["output"]
    return made


def test_a_conversation_is_compacted(client: OpenAI, upstream: ScriptedUpstream) -> None:
    made = client.responses.compact(model="up/plain", input=HISTORY)
    assert made.object == "response.compaction" and made.id.startswith("resp_") and made.created_at > 0
    assert [getattr(item, "role", item.type) for item in made.output] == ["developer", "user", "user", "compaction"]
    assert [item.content[0].text for item in made.output[:3]] == ["Be brief.", "weather in Paris?", "and tomorrow?"]  # type: ignore[union-attr]
    assert (made.usage.input_tokens, made.usage.output_tokens, made.usage.total_tokens) == (7, 4, 11)
    asked = upstream.requests[-1].body
    assert [message["role"] for message in asked["messages"]] == ["system", "user"], "no calls, which need their tools"
    assert 'weather({"city":"Paris"})' in asked["messages"][1]["content"]
    assert "sunny, 21 degrees" in asked["messages"][1]["content"]


def test_the_summary_is_what_the_next_model_is_told(
    client: OpenAI, http: httpx.Client, upstream: ScriptedUpstream
) -> None:
    items: Any = compacted(http, HISTORY)
    again = compacted(http, [*items, {"role": "user", "content": "go on"}])
    told = upstream.requests[-1].body["messages"][1]["content"]
    assert "<summary>\nw0 w1 w2 w3\n</summary>" in told and "sunny, 21 degrees" not in told
    assert [item.get("role") for item in again] == ["developer", "user", "user", "user", None]
    assert client.responses.input_tokens.count(input=items).input_tokens > 30


def test_a_stored_chain_is_compacted(client: OpenAI, upstream: ScriptedUpstream) -> None:
    first = client.responses.create(model="up/plain", input="turn one")
    made = client.responses.compact(model="up/plain", previous_response_id=first.id)
    assert [item.type for item in made.output] == ["message", "compaction"]
    assert "turn one" in upstream.requests[-1].body["messages"][1]["content"]


def test_another_tenant_cannot_open_a_summary(client: OpenAI, stranger: OpenAI, http: httpx.Client) -> None:
    items: Any = compacted(http, "secret")
    with pytest.raises(openai.BadRequestError) as caught:
        stranger.responses.input_tokens.count(input=items)
    assert caught.value.code == "invalid_encrypted_content"
    items[-1]["encrypted_content"] = items[-1]["encrypted_content"][:-8] + "AAAAAAA="
    with pytest.raises(openai.BadRequestError):
        client.responses.input_tokens.count(input=items)


def test_a_model_that_writes_no_summary_is_a_failure(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.responses.compact(model="up/tools", input="x")
    assert caught.value.status_code == 502
    with pytest.raises(openai.NotFoundError):
        client.responses.compact(model="nobody/nothing", input="x")


def test_what_was_sealed_opens_after_a_restart(mesh: RunningMesh, client: OpenAI, http: httpx.Client) -> None:
    items: Any = compacted(http, "x")
    for name in ("agents-1", "agents-2"):
        mesh.kill9(name)
    mesh.until(mesh.all_ready)
    assert client.responses.input_tokens.count(input=items).input_tokens > 0


def test_a_summary_is_input_of_a_response(client: OpenAI, http: httpx.Client, upstream: ScriptedUpstream) -> None:
    items: Any = [*compacted(http, HISTORY), {"role": "user", "content": "say now"}]
    made = client.responses.create(model="up/agent", input=items)
    assert made.output_text == "now"
    told = upstream.requests[-1].body["messages"]
    assert [message["role"] for message in told] == ["system", "user", "user", "user", "user"]
    assert "w0 w1 w2 w3" in told[3]["content"] and told[4]["content"] == "say now"
    again = client.responses.create(model="up/agent", input="say more", previous_response_id=made.id)
    assert again.output_text == "more" and len(upstream.requests[-1].body["messages"]) == 7


@pytest.mark.parametrize("stream", [False, True])
def test_a_response_compacts_what_is_too_long_before_its_turn(
    http: httpx.Client, upstream: ScriptedUpstream, stream: bool
) -> None:
    long = [{**HISTORY[3], "output": "many words " * 500}]
    asked = {
        "model": "up/plain",
        "input": [*HISTORY[:3], *long, *HISTORY[4:]],
        "context_management": [{"type": "compaction", "compact_threshold": 500}],
        "stream": stream,
    }
    before = len(upstream.requests)
    answer = http.post("/v1/responses", json=asked)
    assert answer.status_code == 200, answer.text
    assert len(upstream.requests) == before + 2
    if stream:
        machine = follow(answer.content)
        made = machine.terminal
        assert made is not None
    else:
        made = answer.json()
    assert [item["type"] for item in made["output"]] == ["compaction", "message"]
    assert made["usage"]["total_tokens"] == 22, "of the summary and of the answer"
    told = upstream.requests[-1].body["messages"]
    assert "many words" not in str(told) and "w0 w1 w2 w3" in told[-1]["content"]
    more = {"model": "up/plain", "input": "and then?", "previous_response_id": made["id"]}
    assert http.post("/v1/responses", json={**asked, **more, "stream": False}).json()["output"][0]["type"] == "message"
    roles = [message["role"] for message in upstream.requests[-1].body["messages"]]
    assert roles == ["system", "user", "user", "user", "assistant", "user"], "what was compacted stays so"
    assert http.get(f"/v1/responses/{made['id']}").json() == made


def test_a_short_response_is_not_compacted(http: httpx.Client, upstream: ScriptedUpstream) -> None:
    before = len(upstream.requests)
    limits = [{"type": "compaction", "compact_threshold": 100_000}]
    made = http.post("/v1/responses", json={"model": "up/plain", "input": HISTORY, "context_management": limits})
    assert [item["type"] for item in made.json()["output"]] == ["message"] and len(upstream.requests) == before + 1


def test_reasoning_is_sealed_where_that_is_asked_for_and_opened_when_it_comes_back(
    client: OpenAI, stranger: OpenAI, http: httpx.Client
) -> None:
    include = {"include": ["reasoning.encrypted_content"], "store": False}
    asked = {"model": "up/thinking", "input": "hello", **include}
    first = http.post("/v1/responses", json=asked).json()["output"]
    assert [item["type"] for item in first] == ["reasoning", "message"]
    assert first[0]["encrypted_content"] and first[0]["content"][0]["text"] == "hm"
    streamed = follow(http.post("/v1/responses", json={**asked, "stream": True}).content).terminal
    assert streamed is not None and streamed["output"][0]["encrypted_content"] == first[0]["encrypted_content"]
    back: Any = {name: first[0][name] for name in ("id", "type", "summary", "encrypted_content")}
    items = [{"role": "user", "content": "hello"}, back, first[1], {"role": "user", "content": "go on"}]
    assert client.responses.create(model="up/plain", input=items, store=False).status == "completed"
    with pytest.raises(openai.BadRequestError) as caught:
        stranger.responses.create(model="up/plain", input=items, store=False)
    assert caught.value.code == "invalid_encrypted_content"
    plain = http.post("/v1/responses", json={"model": "up/thinking", "input": "hello"}).json()["output"][0]
    assert "encrypted_content" not in plain
