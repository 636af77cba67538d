"""Llama Stack's clients of every generation, and frameworks over them, unmodified but for URL and model."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients_legacy.environments import python, run
from tests.mesh.running import RunningMesh

pytestmark = [pytest.mark.clients, pytest.mark.slow, pytest.mark.timeout(300)]

WORDS = "w0 w1 w2 w3 "
PARIS = {"city": "Paris"}
UNKNOWN = [404, "model_not_found"]
VECTORS = [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]]
EVENTS = ["start", *["progress"] * 4, "complete"]
OWN = {
    "plain": ["w0 w1 ", "end_of_turn", "assistant"],
    "stream": [WORDS, EVENTS, "end_of_turn"],
    "tools": ["weather", PARIS, "end_of_message", WORDS],
    "image": WORDS,
    "error": UNKNOWN,
    "broken": ["start", "progress", "progress", "upstream_stream_broken"],
    "cancel": "left",
    "embeddings": VECTORS,
    "batch": [WORDS, WORDS],
    "health": "OK",
    "providers": ["up"],
    "shields": [["private", "secrets"], "shield", None, "error", "email"],
}
"""What generations 1 to 3 have in common."""
FIRST = {
    **OWN,
    "streamed_tools": ["started", "success", PARIS, "end_of_message"],
    "text": [WORDS, "end_of_turn"],
    "models": [True, "Llama3.2-11B-Vision-Instruct", "plain", "up"],
}
SECOND = {**FIRST, "text": [WORDS, "end_of_turn", WORDS], "logged": f"Assistant> {WORDS}"}
THIRD = {
    **OWN,
    "streamed_tools": ["started", "succeeded", PARIS, "end_of_message"],
    "text": [WORDS, "end_of_turn", WORDS],
    "logged": f"Assistant> {WORDS}",
    "models": ["Llama3.2-11B-Vision-Instruct", ["embedding", "llm", "rerank"], "Llama3.2-11B-Vision-Instruct", "up"],
    "logprobs": {"w0": -0.1},
    "shaped": [400, "response_format"],
    "openai": None,
    "absent": "unsupported_endpoint",
    "metrics": [7.0, 4.0, 11.0],
    "routes": True,
}
FOURTH = {**THIRD, "openai": [WORDS, WORDS]}
FIFTH = {
    "plain": ["w0 w1 ", "stop"],
    "stream": [WORDS, "stop"],
    "tools": ["weather", PARIS, WORDS],
    "streamed_tools": ["weather", "tool_calls"],
    "error": UNKNOWN,
    "broken": [True, True, False],
    "responses": [WORDS, "response.completed"],
    "text": WORDS,
    "models": ["Llama3.2-11B-Vision-Instruct", ["embedding", "llm", "rerank"], "up"],
    "cancel": "left",
    "embeddings": VECTORS,
    "ranked": [1, 0],
    "health": "OK",
    "providers": ["up"],
    "routes": True,
}
OGX = {
    "plain": ["w0 w1 ", "stop"],
    "stream": [WORDS, "stop"],
    "tools": ["weather", PARIS],
    "error": UNKNOWN,
    "broken": ["w0 w1 ", None],
    "responses": WORDS,
    "models": "Llama3.2-11B-Vision-Instruct",
    "embeddings": VECTORS,
    "cancel": "left",
}
HAYSTACK = {
    "plain": ["w0 w1 ", "llama3.2:3b", "stop", 11],
    "stream": [WORDS, WORDS],
    "tools": ["weather", PARIS, WORDS],
    "error": UNKNOWN,
    "unknown_fields": WORDS,
    "broken": "APIError",
    "cancel": "left",
}
LANGCHAIN = {"plain": ["w0 w1 ", 11], "stream": WORDS, "tools": ["weather", PARIS], "error": 404}
CLIENTS = {
    "llama-stack-client-0.0.50": ("gen1.py", FIRST),
    "llama-stack-client-0.0.63": ("gen2.py", SECOND),
    "llama-stack-client-0.1.9": ("gen3.py", THIRD),
    "llama-stack-client-0.2.12": ("gen3.py", FOURTH),
    "llama-stack-client-0.2.23": ("gen3.py", FOURTH),
    "llama-stack-client-0.3.5": ("gen5.py", FIFTH),
    "llama-stack-client-0.7.5": ("gen5.py", FIFTH),
    "ogx-client-1.5.0": ("ogx.py", OGX),
    "llama-stack-haystack-1.0.0": ("haystack_generator.py", HAYSTACK),
    "llama-stack-haystack-2.0.0": ("haystack_generator.py", HAYSTACK),
    "llama-stack-haystack-3.0.1": ("haystack_generator.py", HAYSTACK),
    "langchain-llama-stack-0.1.0": ("chat_llama_stack.py", {**LANGCHAIN, "own": True}),
    "langchain-llama-stack-0.2.1": (
        "chat_llama_stack.py",
        {**LANGCHAIN, "own": False, "broken": "APIError", "cancel": "left"},
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_what_it_knows(client: str, mesh: RunningMesh) -> None:
    script, expected = CLIENTS[client]
    before = len(mesh.upstream.asked("slow-100"))
    got: dict[str, Any] = run(python(client), script, mesh)
    assert got == expected
    if "cancel" in expected:
        left = mesh.upstream.asked("slow-100")[before]
        mesh.until(lambda: left.left, 15)
