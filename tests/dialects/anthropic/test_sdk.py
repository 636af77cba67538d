"""Anthropic's official client at a mesh: plain, streamed, tools, errors, and a client that leaves."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import anthropic
import httpx2 as httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic

from tests.dialects.anthropic.making import HELLO, WEATHER, events
from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB
from tests.stored.upstream import NumberedUpstream

PATIENCE = 4.0
"""Seconds within which a busy machine has done what is promised within one."""
HI: Any = [{"role": "user", "content": "hello"}]
THINKING: Any = {"type": "enabled", "budget_tokens": 2048}


def asked(upstream: NumberedUpstream, model: str) -> dict[str, Any]:
    """The last chat completion that the provider was asked for."""
    made: dict[str, Any] = upstream.asked(model)[-1].body
    return made


def test_a_message(client: Anthropic) -> None:
    made = client.messages.create(model="up/plain", max_tokens=3, messages=HI)
    [block] = made.content
    assert block.type == "text" and block.text == "w0 w1 w2 "
    assert (made.type, made.role, made.model, made.stop_reason) == ("message", "assistant", "up/plain", "end_turn")
    assert (made.usage.input_tokens, made.usage.output_tokens) == (7, 4)
    assert made.id.startswith("msg_") and made._request_id is not None and made._request_id.startswith("req_")


def test_a_stream(client: Anthropic) -> None:
    with client.messages.stream(model="up/plain", max_tokens=3, messages=HI) as stream:
        kinds = [event.type for event in stream]
        made = stream.get_final_message()
    assert kinds == [
        "message_start", "content_block_start", *["content_block_delta", "text"] * 3, "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert stream.get_final_text() == "w0 w1 w2 " and made.stop_reason == "end_turn"
    assert (made.usage.input_tokens, made.usage.output_tokens) == (7, 4)


@pytest.mark.parametrize("model", ["up/split", "up/crlf", "up/latedone"])
def test_a_stream_however_it_comes(client: Anthropic, model: str) -> None:
    with client.messages.stream(model=model, max_tokens=3, messages=HI) as stream:
        assert stream.get_final_text() == "w0 w1 w2 "


def test_thinking(client: Anthropic) -> None:
    with client.messages.stream(model="up/thinking", max_tokens=4096, thinking=THINKING, messages=HI) as stream:
        thought, text = stream.get_final_message().content
    assert thought.type == "thinking" and thought.thinking == "hm" and thought.signature and text.type == "text"
    back: Any = [*HI, {"role": "assistant", "content": [thought.to_dict(), text.to_dict()]}, *HI]
    assert client.messages.create(model="up/plain", max_tokens=3, messages=back).stop_reason == "end_turn"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_and_its_result(client: Anthropic, upstream: NumberedUpstream, streamed: bool) -> None:
    question = 'weather {"city":"Paris"} & clock'
    clock = {"name": "clock", "input_schema": {"type": "object"}}
    given: Any = {"model": "up/agent", "max_tokens": 64, "tools": [WEATHER, clock], "tool_choice": {"type": "any"}}
    messages: Any = [{"role": "user", "content": question}]

    def ask() -> Any:
        if not streamed:
            return client.messages.create(**given, messages=messages)
        with client.messages.stream(**given, messages=messages) as stream:
            return stream.get_final_message()

    made = ask()
    assert made.stop_reason == "tool_use"
    calls = [block for block in made.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("weather", {"city": "Paris"}), ("clock", {})]
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": said}]}
        for call, said in zip(calls, ("sunny", "noon"), strict=True)
    ]
    messages += [{"role": "assistant", "content": made.content}, {"role": "user", "content": results}]
    told = ask()
    assert told.content[-1].text == "told: noon" and told.stop_reason == "end_turn"
    sent = asked(upstream, "agent")
    assert sent["tool_choice"] == "required"
    assert [(m["role"], m.get("tool_call_id")) for m in sent["messages"][2:]] == [("tool", c.id) for c in calls]


@pytest.mark.parametrize(
    ("model", "reason"), [("up/short", "max_tokens"), ("up/filtered", "refusal"), ("up/refusing", "refusal")]
)
def test_why_it_ended(client: Anthropic, model: str, reason: str) -> None:
    with client.messages.stream(model=model, max_tokens=3, messages=HI) as stream:
        assert stream.get_final_message().stop_reason == reason


def test_a_picture_arrives(client: Anthropic, upstream: NumberedUpstream) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A" * 400_000}}
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "what is it?"}, picture]}]
    client.messages.create(model="up/plain", max_tokens=3, messages=messages)
    url = asked(upstream, "plain")["messages"][0]["content"][1]["image_url"]["url"]
    assert url == "data:image/png;base64," + "A" * 400_000


def test_errors_are_of_the_clients_classes(client: Anthropic, mesh: RunningMesh) -> None:
    def raised(kind: type[anthropic.APIStatusError], model: str, made: Anthropic = client) -> anthropic.APIStatusError:
        with pytest.raises(kind) as error:
            made.messages.create(model=model, max_tokens=3, messages=HI)
        assert error.value.request_id is not None and error.value.request_id.startswith("req_")
        return error.value

    assert raised(anthropic.NotFoundError, "no-such-model").type == "not_found_error"
    assert raised(anthropic.BadRequestError, "up/status-400").type == "invalid_request_error"
    limited = raised(anthropic.RateLimitError, "up/status-429")
    assert limited.type == "rate_limit_error" and limited.response.headers["retry-after"]
    assert raised(anthropic.InternalServerError, "up/status-500").type == "api_error"
    assert raised(anthropic.InternalServerError, "up/notjson").type == "api_error"
    with Anthropic(base_url=mesh.url, api_key="wrong", max_retries=0) as nobody:
        assert raised(anthropic.AuthenticationError, "up/plain", nobody).type == "authentication_error"
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(
            model="up/room-1", max_tokens=3, messages=[*HI, {"role": "assistant", "content": "Yes?"}, *HI]
        )


def test_what_is_wrong_is_said_before_anything_runs(http: httpx.Client) -> None:
    answer = http.post("/v1/messages", json={**HELLO, "model": "up/plain", "max_tokens": None})
    assert answer.status_code == 400
    assert answer.json() == {
        "type": "error",
        "error": {"type": "invalid_request_error", "message": "'max_tokens' is missing"},
        "request_id": answer.headers["request-id"],
    }


@pytest.mark.parametrize("model", ["up/cut-2", "up/inband-2"])
def test_a_stream_that_breaks_ends_with_an_error(client: Anthropic, http: httpx.Client, model: str) -> None:
    body = {**HELLO, "model": model, "stream": True}
    told = events(http.post("/v1/messages", json=body).content)
    assert told[-1]["type"] == "error" and told[-1]["error"]["type"] == "api_error"
    assert "message_stop" not in [event["type"] for event in told]
    with pytest.raises(anthropic.APIStatusError), client.messages.stream(model=model, max_tokens=9, messages=HI) as it:
        it.until_done()


def test_a_client_that_leaves_stops_the_provider(
    client: Anthropic, upstream: NumberedUpstream, mesh: RunningMesh
) -> None:
    with client.messages.stream(model="up/slow-50", max_tokens=1000, messages=HI) as stream:
        next(iter(stream.text_stream))
        [request] = [one for one in upstream.asked("slow-50") if one.open]
    mesh.until(lambda: request.left, PATIENCE)


def test_tokens_are_counted_without_asking_a_model(client: Anthropic, upstream: NumberedUpstream) -> None:
    before = len(upstream.requests)
    short = client.messages.count_tokens(model="up/plain", messages=HI).input_tokens
    more = client.messages.count_tokens(
        model="up/plain", messages=HI, system="Be brief.", tools=[{**WEATHER, "type": "custom"}]
    ).input_tokens
    long: Any = [{"role": "user", "content": "word " * 100_000}]
    assert 0 < short < 20 < more < 200
    assert 90_000 < client.messages.count_tokens(model="up/plain", messages=long).input_tokens < 130_000
    assert len(upstream.requests) == before


def test_a_count_says_that_it_is_an_estimate_and_what_is_wrong(http: httpx.Client) -> None:
    good = http.post("/v1/messages/count_tokens", json={"model": "up/plain", "messages": HI})
    assert good.headers["x-caravan-token-count"] == "estimate"
    wrong = http.post("/v1/messages/count_tokens", json={"model": "up/plain", "messages": []})
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "invalid_request_error")


def test_a_key_is_for_one_tenant_alone(mesh: RunningMesh, client: Anthropic, upstream: NumberedUpstream) -> None:
    """What is kept under an Idempotency-Key of one tenant is nothing to another."""
    again = {"Idempotency-Key": f"messages-{time.time_ns()}"}
    given: Any = {"model": "up/plain", "max_tokens": 3, "messages": HI, "extra_headers": again}
    first = client.messages.create(**given)
    assert client.messages.create(**given).id == first.id
    with Anthropic(base_url=mesh.url, auth_token=BOB, api_key=None, max_retries=0) as stranger:
        assert stranger.messages.create(**given).id != first.id


def test_versions_and_betas_are_taken(http: httpx.Client) -> None:
    headers = {"anthropic-beta": "interleaved-thinking-2025-05-14", "authorization": f"Bearer {ADA}"}
    body = {**HELLO, "model": "up/plain", "max_tokens": 2}
    for path in ("/v1/messages", "/v1/messages?beta=true"):
        answer = http.post(path, json=body, headers=headers)
        assert answer.status_code == 200 and answer.json()["content"][0]["text"] == "w0 w1 "


def test_models_are_listed(client: Anthropic) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert listed["up/plain"].type == "model" and listed["up/plain"].display_name == "up/plain"
    one = client.models.retrieve("up/plain")
    assert one == listed["up/plain"] and one.created_at.year >= 2024


def test_models_are_listed_for_others_without_what_would_make_two_lists_of_one(mesh: RunningMesh) -> None:
    listed = httpx.get(f"{mesh.url}/v1/models", headers={"authorization": f"Bearer {ADA}"}, timeout=30)
    for row in listed.json()["data"]:
        assert not {"display_name", "created_at"} & set(row)


def test_the_clients_own_loop_of_tools(client: Anthropic) -> None:
    told: list[str] = []

    @anthropic.beta_tool
    def weather(city: str) -> str:
        """The weather in a city."""
        told.append(city)
        return f"sunny in {city}"

    question: Any = [{"role": "user", "content": 'weather {"city":"Paris"} ; weather {"city":"Oslo"}'}]
    runner = client.beta.messages.tool_runner(model="up/agent", max_tokens=64, tools=[weather], messages=question)
    last = runner.until_done()
    assert told == ["Paris", "Oslo"]
    assert last.content[0].type == "text" and last.content[0].text == "told: sunny in Oslo"


async def test_many_streams_at_once(mesh: RunningMesh) -> None:
    async with AsyncAnthropic(base_url=mesh.url, api_key=ADA, max_retries=0, timeout=30) as made:

        async def one(words: int) -> str:
            async with made.messages.stream(model="up/plain", max_tokens=words, messages=HI) as stream:
                return await stream.get_final_text()

        said = await asyncio.gather(*(one(words) for words in range(1, 33)))
    assert said == ["".join(f"w{at} " for at in range(words)) for words in range(1, 33)]
