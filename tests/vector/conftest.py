from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2 as httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, connect, two_tenants
from tests.upstream.scripted import ScriptedUpstream

MODEL = "up/embed-64"


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream(models=["plain", "embed-64", "embed-32"])
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two gateways, three vector services, two tenants."""
    folder = tmp_path_factory.mktemp("vector")
    with two_tenants(folder, upstream, "gateway=2,vector=3", CARAVAN_VECTOR_EMBEDDING_MODEL=MODEL) as made:
        yield made


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh) as made:
        yield made


@pytest.fixture
async def aclient(mesh: RunningMesh) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key=ADA, max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=30, headers={"Authorization": f"Bearer {ADA}"}) as made:
        yield made


@pytest.fixture
def stranger(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=30, headers={"Authorization": f"Bearer {BOB}"}) as made:
        yield made
