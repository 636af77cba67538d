from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

KEYS = """
key-ada    acme   ada   user
key-bob    other  bob   user
key-root   default root admin
"""


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two gateways, two agents services, two tenants."""
    folder: Path = tmp_path_factory.mktemp("responses")
    keys = folder / "keys"
    keys.write_text(KEYS)
    environment = {"CARAVAN_GATEWAY_API_KEYS_FILE": str(keys)}
    made = RunningMesh(folder, upstream, scale="gateway=2,agents=2", key="key-root", environment=environment)
    made.start()
    made.until(made.all_ready)
    yield made
    made.stop()


def connect(mesh: RunningMesh, key: str = "key-ada") -> OpenAI:
    return OpenAI(base_url=f"{mesh.url}/v1", api_key=key, max_retries=0, timeout=30)


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh) as made:
        yield made


@pytest.fixture
def stranger(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh, "key-bob") as made:
        yield made


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer key-ada"}
    with httpx.Client(base_url=mesh.url, timeout=30, headers=headers) as made:
        yield made
