from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2 as httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="session")
def upstream(open_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return open_upstream


@pytest.fixture(scope="session")
def mesh(open_mesh: RunningMesh) -> RunningMesh:
    return open_mesh


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
async def aclient(mesh: RunningMesh) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=mesh.url, timeout=30) as made:
        yield made
