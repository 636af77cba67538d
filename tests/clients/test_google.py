"""Google's own SDK, unmodified but for its base URL."""

from __future__ import annotations

import pytest

from tests.clients.environments import install, run
from tests.mesh.running import RunningMesh

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
WORDS = "w0 w1 w2 w3 "


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> str:
    return install(tmp_path_factory.mktemp("google"), ["google-genai>=3.4,<4"])


def test_content_is_generated(python: str, mesh: RunningMesh) -> None:
    found = run(python, "google_client.py", mesh)
    assert {"models/house-model", "models/up/plain", "models/up/llama3.2:3b"} <= set(found.pop("models"))
    assert found == {
        "whole": [WORDS, "STOP", 7, 11],
        "a stream": ["w0 w1 w2 w3 w4 w5 ", "STOP"],
        "its numbers": 4,
        "thinking": ["hm"],
        "a short name": WORDS,
        "a picture": WORDS,
        "an object": WORDS,
        "a chat": [WORDS, WORDS, 4],
        "a tool": "told: sunny in Oslo",
        "counted": True,
        "vectors": [[0.5, -0.25, 0.0], [0.5, -0.25, 1.0]],
        "a vector": [[0.5, -0.25, 0.0]],
        "vectors of nobody": [404, "NOT_FOUND"],
        "vectors of a chat model": [400, "INVALID_ARGUMENT"],
        "one model": ["generateContent", "streamGenerateContent", "countTokens"],
        "nobody": [404, "NOT_FOUND"],
        "limited": [429, "RESOURCE_EXHAUSTED"],
        "a stream that breaks": ["w0 w1 w2 ", False, "UNAVAILABLE"],
    }
    several, one = mesh.upstream.asked("text-embed")[-2:]
    assert (several.body["input"], "dimensions" in several.body) == (["a", "b"], False)
    assert (one.body["input"], one.body["dimensions"]) == (["a"], 2)


def test_interactions(python: str, mesh: RunningMesh) -> None:
    assert run(python, "google_interactions.py", mesh) == {
        "whole": [WORDS, "completed", 11],
        "goes on": [WORDS, True],
        "a stream": WORDS,
        "its events": ["interaction.created", "interaction.completed", "completed"],
        "a call": ["requires_action", "weather", {"city": "Oslo"}],
        "its result": "told: sunny in Oslo",
        "kept": WORDS,
        "gone": "NotFoundError",
    }
