"""Frameworks of agents, unmodified but for URL and model, in front of a model that uses tools as it is told."""

from __future__ import annotations

import pytest

from tests.clients.environments import install, run
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
PACKAGES = ["openai-agents>=0.24,<1", "langchain>=1.4,<2", "langchain-openai>=1.7,<2", "pydantic-ai-slim[openai]>=2,<3"]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("agents"), PACKAGES)


def test_the_agents_sdk(python: str, mesh: RunningMesh) -> None:
    by_responses, by_chat, kept = run(python, "openai_agents.py", mesh)
    assert by_responses == {
        "a tool": "told: sunny in Paris",
        "two tools at once": ["told: noon", 5],
        "a handoff": ["told: noon", "German"],
        "a stream": ["told: sunny in Oslo", "told: sunny in Oslo"],
        "an object": {"city": "Paris", "degrees": 21},
        "what was said before": "told: noon",
    }
    assert by_chat == by_responses
    items = ["message", "function_call", "function_call_output", "message"]
    assert kept == {"in a conversation": "told: sunny in Bonn", "its items": items, "behind it": "once more"}


def test_agents_of_langgraph(python: str, mesh: RunningMesh) -> None:
    by_chat, by_responses, by_chains = run(python, "langgraph_agent.py", mesh)
    assert by_chat == {
        "two tools": ["told: noon", 6],
        "at once": "told: noon",
        "the older agent": "told: sunny in Oslo",
        "a stream": "told: noon",
        "an object": {"city": "Paris", "degrees": 21},
        "tokens": 11,
    }
    assert by_responses == by_chains == by_chat


def test_agents_of_pydantic_ai(python: str, mesh: RunningMesh) -> None:
    by_responses, by_chains, by_chat = run(python, "pydantic_ai_agent.py", mesh)
    assert by_responses == {
        "two tools": "told: noon",
        "what was said before": "told: noon",
        "a stream": "told: sunny in Oslo",
        "an object by a tool": {"city": "Bonn", "degrees": 4},
        "an object": {"city": "Rome", "degrees": 30},
        "tokens": 12,
    }
    assert by_chains == by_chat == by_responses


@pytest.mark.long
@pytest.mark.model
def test_a_model_that_really_speaks(python: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    stack = 'providers:\n  - {id: local, type: "inline::llama-cpp", config: {threads: 1}}\n'
    made = RunningMesh(tmp_path_factory.mktemp("real"), ScriptedUpstream(), local_model=True, stack=stack)
    made.start("local/SmolLM2-135M-Instruct")
    try:
        (whole, streamed, pieces), by_chain = run(python, "real_model.py", made)
    finally:
        made.stop()
    assert "Paris" in whole and streamed == whole and pieces > 3
    assert by_chain == [whole, whole]
