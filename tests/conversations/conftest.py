from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
import pytest_asyncio
from openai import OpenAI

from tests.infrastructure import choice
from tests.infrastructure.protocol import Servers
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
    folder: Path = tmp_path_factory.mktemp("conversations")
    keys = folder / "keys"
    keys.write_text(KEYS)
    environment = {"CARAVAN_GATEWAY_API_KEYS_FILE": str(keys)}
    made = RunningMesh(folder, upstream, scale="gateway=2,agents=2", key="key-root", environment=environment)
    made.start()
    made.until(made.all_ready)
    yield made
    made.stop()


def connect(mesh: RunningMesh, key: str = "key-ada", retries: int = 0) -> OpenAI:
    return OpenAI(base_url=f"{mesh.url}/v1", api_key=key, max_retries=retries, timeout=30)


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


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    async with choice.runtime().servers(tmp_path_factory.mktemp("servers")) as running:
        yield running
