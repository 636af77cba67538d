"""The official SDK against a real mesh: everything OpenAI's chat, completions, embeddings and models do."""

from __future__ import annotations

import base64
import json
import struct

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

HELLO = [{"role": "user", "content": "hello"}]


def test_chat(client: OpenAI) -> None:
    got = client.chat.completions.create(model="up/plain", messages=HELLO, max_tokens=3)  # type: ignore[arg-type]
    assert got.choices[0].message.content == "w0 w1 w2 "
    assert got.choices[0].finish_reason == "stop"
    assert got.model == "up/plain"
    assert got.usage is not None and got.usage.total_tokens == 11
    assert got._request_id is not None and got._request_id.startswith("req_")


@pytest.mark.parametrize("model", ["up/plain", "plain", "house-model", "nickname", "llama3.2:3b"])
def test_every_name_of_a_model_is_answered_under_that_name(client: OpenAI, model: str) -> None:
    got = client.chat.completions.create(model=model, messages=HELLO)  # type: ignore[arg-type]
    assert got.model == model
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True))  # type: ignore[arg-type]
    assert {chunk.model for chunk in chunks} == {model}


@pytest.mark.parametrize("model", ["up/plain", "up/crlf", "up/split", "up/slow-5", "up/nodone"])
def test_stream(client: OpenAI, model: str) -> None:
    chunks = list(client.chat.completions.create(model=model, messages=HELLO, stream=True, max_tokens=20))  # type: ignore[arg-type]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "".join(f"w{i} " for i in range(20))
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert all(chunk.choices for chunk in chunks), "the usage chunk was not asked for"


def test_stream_with_usage(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(
            model="plain",
            messages=HELLO,  # type: ignore[arg-type]
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None and chunks[-1].usage.prompt_tokens == 7


def test_tools_in_both_ways(client: OpenAI) -> None:
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
    got = client.chat.completions.create(
        model="up/tools",
        messages=HELLO,  # type: ignore[arg-type]
        tools=tools,  # type: ignore[arg-type]
        tool_choice="required",
    )
    calls = got.choices[0].message.tool_calls
    assert calls is not None and calls[0].function.arguments == '{"city":"Paris"}'  # type: ignore[union-attr]
    with client.chat.completions.stream(model="up/tools", messages=HELLO) as stream:  # type: ignore[arg-type]
        final = stream.get_final_completion()
    assert final.choices[0].finish_reason == "tool_calls"
    assert final.choices[0].message.tool_calls[0].function.name == "weather"  # type: ignore[index]


def test_n_logprobs_and_unknown_fields_pass_through(client: OpenAI, upstream: ScriptedUpstream) -> None:
    got = client.chat.completions.create(
        model="up/logprobs",
        messages=HELLO,  # type: ignore[arg-type]
        n=2,
        logprobs=True,
        seed=7,
        stop=["x"],
        response_format={"type": "json_object"},
        extra_body={"safe_prompt": True, "random_seed": 3, "nested": {"model": "inner"}},
    )
    assert len(got.choices) == 2
    assert got.choices[0].logprobs is not None
    sent = upstream.asked("logprobs")[-1].body
    assert sent["safe_prompt"] is True and sent["random_seed"] == 3 and sent["nested"] == {"model": "inner"}
    assert sent["seed"] == 7 and sent["response_format"] == {"type": "json_object"}


def test_images_and_large_bodies_arrive_unchanged(client: OpenAI, upstream: ScriptedUpstream) -> None:
    image = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 4096).decode()  # 1.4 MB: a claim check
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": image}}]
    messages = [{"role": "user", "content": parts}]
    client.chat.completions.create(model="llama3.2:3b", messages=messages)  # type: ignore[arg-type]
    assert upstream.asked("llama3.2:3b")[-1].body["messages"] == messages


def test_a_large_answer_comes_whole(client: OpenAI) -> None:
    got = client.chat.completions.create(model="up/big-3000", messages=HELLO)  # type: ignore[arg-type]
    assert got.choices[0].message.content == "x" * 3000 * 1024


def test_completions(client: OpenAI) -> None:
    assert client.completions.create(model="plain", prompt="say").choices[0].text == "w0 w1 w2 w3 "
    parts = [c.choices[0].text for c in client.completions.create(model="plain", prompt=[1, 2], stream=True)]
    assert "".join(parts) == "w0 w1 w2 w3 "


def test_embeddings(client: OpenAI, upstream: ScriptedUpstream) -> None:
    got = client.embeddings.create(model="up/text-embed", input=["a", "b"], encoding_format="float", dimensions=3)
    assert [row.embedding for row in got.data] == [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]]
    assert upstream.requests[-1].body["dimensions"] == 3
    client.embeddings.create(model="text-embed", input=[[1, 2], [3]])
    assert upstream.requests[-1].body["input"] == [[1, 2], [3]]
    assert upstream.requests[-1].body["encoding_format"] == "base64"
    assert struct.unpack("<f", struct.pack("<f", 0.5))[0] == got.data[0].embedding[0]


def test_models(client: OpenAI) -> None:
    listed = {model.id: model for model in client.models.list()}
    assert {"up/plain", "up/llama3.2:3b", "up/text-embed", "house-model"} <= listed.keys()
    one = client.models.retrieve("up/plain")
    extra = one.model_extra or {}
    assert extra["custom_metadata"]["provider_id"] == "up"
    assert extra["custom_metadata"]["provider_type"] == "remote::openai-compatible"
    assert extra["model_type"] == "llm" and extra["identifier"] == "up/plain"
    assert listed["up/text-embed"].model_extra["model_type"] == "embedding"  # type: ignore[index]


def test_an_unknown_model_is_a_404_with_near_matches(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="house-modle", messages=HELLO)  # type: ignore[arg-type]
    assert caught.value.code == "model_not_found"
    assert "house-model" in caught.value.message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (422, openai.UnprocessableEntityError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_upstream_error_keeps_status_and_message(
    client: OpenAI, status: int, kind: type[openai.APIStatusError], stream: bool
) -> None:
    with pytest.raises(kind) as caught:
        client.chat.completions.create(model=f"up/status-{status}", messages=HELLO, stream=stream)  # type: ignore[call-overload]
    assert caught.value.status_code == status
    assert f"scripted {status}" in caught.value.message
    if status < 500:
        assert caught.value.code == "scripted_code" and caught.value.param == "x"
    if status == 429:
        assert caught.value.response.headers["retry-after"] == "2"


@pytest.mark.parametrize("model", ["up/html-502", "up/reset", "up/notjson", "up/half"])
def test_garbage_and_resets_are_clear_errors(client: OpenAI, model: str) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model=model, messages=HELLO)  # type: ignore[arg-type]
    assert caught.value.status_code == 502
    assert "up" in caught.value.message


@pytest.mark.parametrize("model", ["up/cut-3", "up/inband-3", "up/nofinish"])
def test_a_broken_stream_never_looks_complete(client: OpenAI, model: str) -> None:
    texts: list[str] = []
    chunks = client.chat.completions.create(model=model, messages=HELLO, stream=True)  # type: ignore[arg-type]
    with pytest.raises(openai.APIError):
        texts.extend(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert "".join(texts) == ("w0 w1 w2 " if "3" in model else "w0 w1 w2 w3 ")


def test_the_older_path_answers_the_same(mesh: RunningMesh) -> None:
    with OpenAI(base_url=f"{mesh.url}/v1/openai/v1", api_key="placeholder-api-key", max_retries=0) as client:
        got = client.chat.completions.create(model="llama3.2:3b", messages=HELLO)  # type: ignore[arg-type]
        assert got.choices[0].message.content == "w0 w1 w2 w3 "
        assert "up/plain" in {model.id for model in client.models.list()}
        assert client.embeddings.create(model="text-embed", input="x", encoding_format="float").data[0].index == 0


def test_the_callers_own_provider_key_is_used_and_not_logged(
    mesh: RunningMesh, client: OpenAI, upstream: ScriptedUpstream
) -> None:
    for header in ("X-LlamaStack-Provider-Data", "X-OGX-Provider-Data"):
        secret = f"sk-own-{header.lower()[2:5]}"
        client.chat.completions.create(
            model="plain",
            messages=HELLO,  # type: ignore[arg-type]
            extra_headers={header: json.dumps({"UP_API_KEY": secret})},
        )
        assert upstream.requests[-1].headers["Authorization"] == f"Bearer {secret}"
        assert secret not in mesh.log("gateway") + mesh.log("inference")


async def test_many_at_once_do_not_mix(aclient: AsyncOpenAI) -> None:
    import asyncio

    async def one(i: int) -> None:
        stream = await aclient.chat.completions.create(
            model="up/slow-2",
            messages=HELLO,  # type: ignore[arg-type]
            stream=True,
            max_tokens=5 + i % 7,
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert text == "".join(f"w{k} " for k in range(5 + i % 7))

    await asyncio.gather(*(one(i) for i in range(60)))
