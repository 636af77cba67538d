"""A provider that does not speak OpenAI's API, over the whole mesh, with OpenAI's client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from openai import OpenAI, RateLimitError

from tests.mesh.running import CHATS, RunningMesh
from tests.upstream.anthropic import ScriptedAnthropic
from tests.upstream.scripted import ScriptedUpstream

pytest.importorskip("any_llm")
STACK = """
providers:
  - id: up
    type: remote::any-llm-anthropic
    config: {{base_url: "{url}", api_key: "${{env.CLAUDE_KEY}}", allow_unlisted: true}}
"""


@pytest.fixture(scope="module")
def anthropic() -> Iterator[ScriptedAnthropic]:
    made = ScriptedAnthropic()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def claude(anthropic: ScriptedAnthropic, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenAI]:
    mesh = RunningMesh(
        tmp_path_factory.mktemp("any-llm"),
        cast(ScriptedUpstream, anthropic),
        scale=CHATS,
        stack=STACK.format(url=anthropic.url),
        environment={"CLAUDE_KEY": "house-key"},
    )
    mesh.start()
    with OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30) as client:
        yield client
    mesh.stop()


def ask(client: OpenAI, model: str, **more: Any) -> Any:
    return client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hi"}], **more)


def test_whole_and_streamed(claude: OpenAI, anthropic: ScriptedAnthropic) -> None:
    assert ask(claude, "up/plain", max_tokens=3).choices[0].message.content == "w0 w1 w2 "
    assert anthropic.requests[-1].headers["x-api-key"] == "house-key"
    chunks = list(ask(claude, "up/plain", max_tokens=3, stream=True, stream_options={"include_usage": True}))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "w0 w1 w2 "
    assert chunks[-1].usage.total_tokens == 13
    assert {chunk.model for chunk in chunks} == {"up/plain"}


def test_refusals_arrive_with_their_status(claude: OpenAI) -> None:
    with pytest.raises(RateLimitError) as caught:
        ask(claude, "up/status-429")
    assert caught.value.response.headers["retry-after"] == "2"


def test_a_caller_s_own_key_goes_with_its_request(claude: OpenAI, anthropic: ScriptedAnthropic) -> None:
    ask(claude, "up/plain", extra_headers={"X-OGX-Provider-Data": '{"anthropic_api_key": "annas"}'})
    assert anthropic.requests[-1].headers["x-api-key"] == "annas"
