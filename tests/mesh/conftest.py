from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx2 as httpx
import pytest
from openai import AsyncOpenAI, OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("mesh"), upstream)
    made.start()
    yield made
    made.stop()


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
