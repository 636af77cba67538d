"""The whole way with a real small model: ``caravan up`` as a user types it, tokens over NATS, the official SDK."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from openai import OpenAI

from tests.mesh.running import CHATS, RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.model, pytest.mark.timeout(120)]
CAPITAL = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]


@pytest.fixture(scope="module")
def local(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    stack = f"""
providers:
  - {{id: up, type: "remote::openai-compatible", config: {{base_url: "{upstream.url}"}}}}
  - {{id: local, type: "inline::llama-cpp", config: {{threads: 1}}}}
  - {{id: minilm, type: "inline::onnx-embeddings"}}
"""
    made = RunningMesh(tmp_path_factory.mktemp("local"), upstream, scale=CHATS, local_model=True, stack=stack)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sdk(local: RunningMesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{local.url}/v1", api_key="none", max_retries=0, timeout=60) as made:
        yield made


def test_a_streamed_chat_is_the_whole_one_in_pieces(sdk: OpenAI) -> None:
    asked = {"model": "SmolLM2-135M-Instruct", "messages": CAPITAL, "max_tokens": 24, "temperature": 0, "seed": 1}
    whole = sdk.chat.completions.create(**asked)  # type: ignore[call-overload]
    chunks = list(sdk.chat.completions.create(**asked, stream=True))  # type: ignore[call-overload]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Paris" in whole.choices[0].message.content
    assert text == whole.choices[0].message.content
    assert len(chunks) > 5, "it came token by token"
    assert whole.usage.completion_tokens > 0


def test_json_by_a_schema_and_a_tool_call(sdk: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "population": {"type": "integer"}},
        "required": ["city", "population"],
        "additionalProperties": False,
    }
    got = sdk.chat.completions.create(
        model="local/SmolLM2-135M-Instruct",
        messages=CAPITAL,  # type: ignore[arg-type]
        max_tokens=60,
        temperature=0,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema, "strict": True}},
    )
    assert json.loads(got.choices[0].message.content or "").keys() == {"city", "population"}
    tool = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    called = sdk.chat.completions.create(
        model="local/SmolLM2-135M-Instruct",
        messages=[{"role": "user", "content": "What is the weather in Berlin?"}],
        max_tokens=60,
        temperature=0,
        tools=[{"type": "function", "function": {"name": "get_weather", "parameters": tool}}],
        tool_choice="required",
    )
    call = called.choices[0].message.tool_calls[0].function  # type: ignore[index, union-attr]
    assert call.name == "get_weather"
    assert "city" in json.loads(call.arguments)


def test_embeddings_mean_something(sdk: OpenAI) -> None:
    texts = ["a dog runs in the park", "a puppy plays outside", "how to file a tax return"]
    rows = [row.embedding for row in sdk.embeddings.create(model="all-MiniLM-L6-v2", input=texts).data]
    assert len(rows[0]) == 384
    near, far = (sum(a * b for a, b in zip(rows[0], other, strict=True)) for other in rows[1:])
    assert near > 0.3 > 0.2 > far
