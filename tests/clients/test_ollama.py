"""Ollama's own client, unmodified but for its host."""

from __future__ import annotations

import pytest

from tests.clients.environments import install, run
from tests.mesh.running import RunningMesh

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
WORDS = "w0 w1 w2 w3 "


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("ollama"), ["ollama>=0.6,<1"])


def test_the_client_finds_what_it_knows(python: str, mesh: RunningMesh) -> None:
    found = run(python, "ollama_client.py", mesh)
    assert {"house-model", "up/plain", "up/llama3.2:3b"} <= set(found.pop("models"))
    assert found == {
        "whole": [WORDS, True, "stop", 7, 4],
        "a stream": ["w0 w1 w2 w3 w4 w5 ", 7, "stop"],
        "its numbers": [7, True],
        "thinking": ["hm", True],
        "a short name": WORDS,
        "a picture": WORDS,
        "an object": WORDS,
        "a tool": "told: sunny in Oslo",
        "text": WORDS,
        "a stream of text": WORDS,
        "a raw prompt": WORDS,
        "a gap": WORDS,
        "loaded": "load",
        "vectors": [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]],
        "a vector": [0.5, -0.25, 0.0],
        "one model": ["completion", "tools"],
        "ready": True,
        "nobody": 404,
        "a pull": [501, True],
        "a stream that breaks": ["w0 w1 w2 ", False, True],
    }
