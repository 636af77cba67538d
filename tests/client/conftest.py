"""A mesh of real processes in front of the scripted upstream, and both clients on it: ours and the official one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from caravan.client import Caravan
from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="session")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(
        tmp_path_factory.mktemp("client"), upstream, scale="inference=2", environment={"CARAVAN_DRAIN_SECONDS": "5"}
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
def data(mesh: RunningMesh) -> Path:
    return mesh.folder / "data"


@pytest.fixture
async def bus(data: Path) -> AsyncIterator[Caravan]:
    async with Caravan.connect(data_dir=data, max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
async def http(mesh: RunningMesh) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{mesh.url}/v1", api_key="none", max_retries=0, timeout=30) as made:
        yield made
