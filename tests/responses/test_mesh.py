"""Responses through a running mesh, asked for with the official SDK: what is said, what is remembered, what fails."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import openai
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import connect
from tests.responses.machine import follow
from tests.upstream.scripted import ScriptedUpstream

pytestmark = pytest.mark.usefixtures("mesh")
WEATHER: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    "strict": False,
}


def last_messages(upstream: ScriptedUpstream) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = upstream.requests[-1].body["messages"]
    return made


def said(upstream: ScriptedUpstream) -> list[tuple[str, Any]]:
    return [(message["role"], message.get("content")) for message in last_messages(upstream)]


def test_an_answer_in_words(client: OpenAI, upstream: ScriptedUpstream) -> None:
    made = client.responses.create(model="up/plain", input="hello", instructions="be brief", metadata={"a": "b"})
    assert made.status == "completed" and made.output_text and made.metadata == {"a": "b"}
    assert made.usage is not None and made.usage.total_tokens == 11
    assert said(upstream) == [("system", "be brief"), ("user", "hello")]
    assert client.responses.retrieve(made.id) == made, "as it was answered, it is kept"


def test_the_events_of_a_stream_are_openais(http: httpx.Client) -> None:
    body = {"model": "up/plain", "input": "hello", "stream": True}
    answer = http.post("/v1/responses", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    machine = follow(answer.content)
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    assert b"[DONE]" not in answer.content, "the last event is the end"
    kept = http.get(f"/v1/responses/{machine.id}")
    assert kept.json() == machine.terminal


def test_a_tool_that_the_client_runs(client: OpenAI, upstream: ScriptedUpstream) -> None:
    first = client.responses.create(model="up/tools", input="weather in Paris?", tools=[WEATHER])
    call = first.output[0]
    assert call.type == "function_call" and call.name == "weather" and call.arguments == '{"city":"Paris"}'
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    second = client.responses.create(model="up/plain", input=[result], previous_response_id=first.id, tools=[WEATHER])
    assert second.output_text
    roles = [message["role"] for message in last_messages(upstream)]
    assert roles == ["user", "assistant", "tool"]
    assert last_messages(upstream)[1]["tool_calls"][0]["id"] == call.call_id
    assert "sunny" in last_messages(upstream)[2]["content"]


def test_items_of_stored_responses_can_be_referred_to(
    client: OpenAI, stranger: OpenAI, upstream: ScriptedUpstream
) -> None:
    first = client.responses.create(model="up/plain", input="the first question")
    asked = client.responses.input_items.list(first.id).data[0].id
    given: Any = [{"type": "item_reference", "id": name} for name in (asked, first.output[0].id)]
    client.responses.create(model="up/plain", input=[*given, {"role": "user", "content": "and the second"}])
    answer = ("assistant", first.output_text)
    assert said(upstream) == [("user", "the first question"), answer, ("user", "and the second")]
    for one, names in ((stranger, given), (client, [{"type": "item_reference", "id": "msg_" + "0" * 48}])):
        with pytest.raises(openai.NotFoundError):
            one.responses.create(model="up/plain", input=names)


@pytest.mark.parametrize("stream", [False, True])
def test_a_chain_of_responses_is_remembered(client: OpenAI, upstream: ScriptedUpstream, stream: bool) -> None:
    previous = None
    for turn in range(3):
        asked: Any = {"model": "up/plain", "input": f"turn {turn}", "previous_response_id": previous}
        if stream:
            with client.responses.create(**asked, stream=True) as events:
                previous = list(events)[-1].response.id
        else:
            previous = client.responses.create(**asked).id
    assert [role for role, _ in said(upstream)] == ["user", "assistant", "user", "assistant", "user"]
    assert [content for role, content in said(upstream) if role == "user"] == ["turn 0", "turn 1", "turn 2"]


def test_parallel_turns_of_one_conversation_lose_nothing(mesh: RunningMesh, client: OpenAI) -> None:
    conversation = client.conversations.create().id

    def turn(number: int) -> str:
        with connect(mesh) as own:  # a connection of its own, at whichever gateway
            made = own.responses.create(model="up/plain", input=f"turn {number}", conversation=conversation)
        assert made.conversation is not None and made.conversation.id == conversation
        return made.id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(turn, range(8)))) == 8
    items = [list(client.conversations.items.list(conversation, order="asc", limit=100)) for _ in range(4)]
    assert len(items[0]) == 16 and all(seen == items[0] for seen in items)
    roles = [item.role for item in items[0] if item.type == "message"]
    assert roles == ["user", "assistant"] * 8, "each turn is together"
    made = client.responses.create(model="up/plain", input="and now?", conversation=conversation)
    after = client.responses.create(model="up/plain", input="go on", previous_response_id=made.id)
    assert after.status == "completed"


def test_what_goes_on_from_a_turn_in_a_conversation_knows_the_turns_before_it(
    client: OpenAI, upstream: ScriptedUpstream
) -> None:
    conversation = client.conversations.create(items=[{"type": "message", "role": "user", "content": "one"}]).id
    made = client.responses.create(model="up/plain", input="two", conversation=conversation)
    client.responses.create(model="up/plain", input="three", conversation=conversation)
    client.responses.create(model="up/plain", input="four", previous_response_id=made.id)
    users = [content for role, content in said(upstream) if role == "user"]
    assert [user if isinstance(user, str) else user[0]["text"] for user in users] == ["one", "two", "four"]


def test_stored_responses_are_listed_and_forgotten(client: OpenAI, http: httpx.Client) -> None:
    made = [client.responses.create(model="up/plain", input=f"kept {number}").id for number in range(3)]
    page = http.get("/v1/responses", params={"limit": 2}).json()
    assert [row["id"] for row in page["data"]] == [made[2], made[1]] and page["has_more"]
    page = http.get("/v1/responses", params={"limit": 2, "after": made[1]}).json()
    assert page["data"][0]["id"] == made[0]
    items = client.responses.input_items.list(made[0])
    assert [item.role for item in items if item.type == "message"] == ["user"]
    client.responses.delete(made[0])
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made[0])
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="up/plain", input="x", previous_response_id=made[0])


def test_one_that_is_not_to_be_stored_is_not(client: OpenAI) -> None:
    made = client.responses.create(model="up/plain", input="secret", store=False)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_another_tenants_responses_are_not_there(client: OpenAI, stranger: OpenAI) -> None:
    made = client.responses.create(model="up/plain", input="mine").id
    for ask in (
        lambda: stranger.responses.retrieve(made),
        lambda: stranger.responses.delete(made),
        lambda: list(stranger.responses.input_items.list(made)),
        lambda: stranger.responses.create(model="up/plain", input="x", previous_response_id=made),
    ):
        with pytest.raises(openai.NotFoundError):
            ask()


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"tools": [{"type": "code_interpreter", "container": {"type": "auto"}}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"temperature": "hot"}, "temperature"),
        ({"conversation": "conv_1", "previous_response_id": "resp_1"}, "previous_response_id"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
    ],
)
def test_what_is_wrong_is_named(http: httpx.Client, wrong: dict[str, Any], param: str) -> None:
    answer = http.post("/v1/responses", json={"model": "up/plain", "input": "x", **wrong})
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == param


def test_a_model_that_is_not_there(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody/nothing", input="x")


def test_a_failed_response_is_an_object_that_says_so(client: OpenAI) -> None:
    made = client.responses.create(model="up/inband-2", input="x")
    assert made.status == "failed" and made.error is not None and made.error.message
    assert client.responses.retrieve(made.id).status == "failed"


@pytest.mark.parametrize("model", ["inband-2", "cut-3", "nofinish"])
def test_a_stream_that_breaks_ends_with_the_word_for_it(http: httpx.Client, model: str) -> None:
    answer = http.post("/v1/responses", json={"model": f"up/{model}", "input": "x", "stream": True})
    machine = follow(answer.content)
    assert machine.terminal is not None and machine.terminal["status"] == "failed"
    assert http.get(f"/v1/responses/{machine.id}").json() == machine.terminal


def test_a_large_input_goes_through(client: OpenAI, upstream: ScriptedUpstream) -> None:
    text = "x" * 400_000
    made = client.responses.create(model="up/plain", input=text)
    assert made.status == "completed" and said(upstream) == [("user", text)]
    again = client.responses.create(model="up/plain", input="more", previous_response_id=made.id)
    assert again.status == "completed" and said(upstream)[0] == ("user", text)


def test_a_prompt_is_put_in(client: OpenAI, http: httpx.Client, upstream: ScriptedUpstream) -> None:
    prompt = http.post("/v1/prompts", json={"prompt": "You speak {{language}}.", "variables": ["language"]}).json()
    given: Any = {"id": prompt["prompt_id"], "variables": {"language": "Latin"}}
    client.responses.create(model="up/plain", input="hi", prompt=given)
    assert said(upstream)[0] == ("system", "You speak Latin.")
    answer = http.post("/v1/responses", json={"model": "up/plain", "input": "x", "prompt": {"id": prompt["prompt_id"]}})
    assert answer.status_code == 400 and "language" in answer.text


def test_a_worker_that_dies_in_mid_stream_is_replaced(mesh: RunningMesh, http: httpx.Client) -> None:
    body = {"model": "up/slow-50", "input": "x", "stream": True, "max_output_tokens": 40}
    with http.stream("POST", "/v1/responses", json=body) as answer:
        pieces = answer.iter_bytes()
        seen = next(pieces)
        while b"output_text.delta" not in seen:
            seen += next(pieces)
        mesh.kill9(mesh.busiest("agents"))
        seen += b"".join(pieces)
    machine = follow(seen)
    assert machine.terminal is not None and machine.terminal["status"] == "completed"
    assert machine.terminal["usage"]["output_tokens"] == 4, "as the provider told of its whole answer"
    assert http.get(f"/v1/responses/{machine.id}").json() == machine.terminal
    assert http.get(f"/v1/responses/{machine.id}", params={"stream": "true"}).content == seen
    mesh.until(mesh.all_ready)


def test_what_nobody_keeps_has_no_false_end(mesh: RunningMesh, http: httpx.Client) -> None:
    body = {"model": "up/slow-50", "input": "x", "stream": True, "max_output_tokens": 200, "store": False}
    with http.stream("POST", "/v1/responses", json=body) as answer:
        lines = answer.iter_lines()
        seen = [next(line for line in lines if "output_text.delta" in line)]
        mesh.until(lambda: max(mesh.slots_used("agents").values()) > 0)
        mesh.kill9(mesh.busiest("agents"))
        seen += [line for line in lines if line]
    assert seen[-2] == "event: error"
    last = json.loads(seen[-1].removeprefix("data: "))
    numbers = [json.loads(line[6:])["sequence_number"] for line in seen if line.startswith("data: ")]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert last["type"] == "error" and last["message"] and last["code"] == "cannot_continue"
    mesh.until(mesh.all_ready)


@pytest.mark.parametrize("stream", [False, True])
def test_what_a_model_has_no_room_for_is_left_out_only_if_that_is_wished(
    http: httpx.Client, upstream: ScriptedUpstream, stream: bool
) -> None:
    turns = [{"role": "user", "content": f"turn {number}"} for number in range(6)]
    asked = {"model": "up/room-3", "input": [{"role": "system", "content": "rule"}, *turns], "stream": stream}
    answer = http.post("/v1/responses", json={**asked, "truncation": "auto"})
    assert answer.status_code == 200 and '"status":"completed"' in answer.text
    assert [content for _, content in said(upstream)] == ["rule", "turn 4", "turn 5"]
    answer = http.post("/v1/responses", json={**asked, "truncation": "disabled"})
    assert "context_length_exceeded" in answer.text or "too many tokens" in answer.text
    assert '"status":"completed"' not in answer.text and len(said(upstream)) == 7
