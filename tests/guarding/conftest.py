from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.guarding.saying import SayingUpstream
from tests.guarding.shields import WORDS
from tests.mesh.running import RunningMesh

STACK = """
providers:
  - id: up
    type: remote::openai-compatible
    config: {{base_url: "{url}", messages: true}}
    slots: 16
shields:
  - {{id: words, type: inline::keywords, params: {{words: {words}, whole_words: false}}}}
  - {{id: private, type: inline::pii}}
guardrails:
  - {{id: blocking, models: ["*/block"], checks: [{{stages: [output], shields: [words, private], timeout: 30}}]}}
  - {{id: masking, models: ["*/mask"],
      checks: [{{stages: [output], shields: [words, private], action: mask, timeout: 30}}]}}
  - {{id: asking, models: ["*/ask"], checks: [{{stages: [input, tool_results], shields: [words], timeout: 30}}]}}
  - {{id: shut, models: ["*/shut"], checks: [{{stages: [output], shields: [words], timeout: 2}}]}}
  - {{id: ajar, models: ["*/ajar"], checks: [{{stages: [output], shields: [words], timeout: 2, on_failure: open}}]}}
  - {{id: strict, on_request: true, visible: false, checks: [{{stages: [input], shields: [words], timeout: 30}}]}}
"""


@pytest.fixture(scope="package")
def upstream() -> Iterator[SayingUpstream]:
    made = SayingUpstream(models=["plain", "block", "mask", "ask", "shut", "ajar"])
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: SayingUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Three inference workers, two safety services, two that make responses."""
    made = RunningMesh(
        tmp_path_factory.mktemp("guarding"),
        upstream,
        scale="inference=3,safety=2,agents=2,files=0,vector=0",
        stack=STACK.format(url=upstream.url, words=WORDS),
    )
    made.start()
    try:
        made.until(made.all_ready)
        yield made
    finally:
        made.stop()


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=60) as made:
        yield made
