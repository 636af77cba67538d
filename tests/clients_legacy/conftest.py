from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.clients_legacy.environments import GUIDES_PORT
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

STACK = """
providers:
  - id: up
    type: remote::openai-compatible
    config: {{base_url: "{url}", allow_unlisted: true}}
models:
  - {{id: Llama3.2-11B-Vision-Instruct, provider: up, provider_model_id: plain}}
shields:
  - {{id: private, type: inline::pii}}
  - {{id: secrets, type: inline::secrets}}
"""
"""With the model of Llama Stack's first guide."""


def _free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """At the port of the guide, where that is free."""
    upstream = ScriptedUpstream()
    upstream.start()
    port = GUIDES_PORT if _free(GUIDES_PORT) else 0
    stack = STACK.format(url=upstream.url)
    made = RunningMesh(tmp_path_factory.mktemp("legacy"), upstream, scale="files=0,vector=0", stack=stack, port=port)
    made.start()
    made.until(made.all_ready)
    yield made
    made.stop()
    upstream.stop()
