from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.mesh.running import FILES, RunningMesh
from tests.mesh.tenants import ADA, BOB, connect, two_tenants
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two gateways, two files services, two tenants; what was not finished is given up after seconds."""
    with two_tenants(
        tmp_path_factory.mktemp("files"),
        upstream,
        f"gateway=2,files=2,{FILES}",
        CARAVAN_FILES_SWEEP_SECONDS="1",
        CARAVAN_FILES_ORPHAN_SECONDS="5",
        CARAVAN_GATEWAY_BODY_TIMEOUT="3",
    ) as made:
        yield made


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh) as made:
        yield made


@pytest.fixture
def stranger(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh, BOB) as made:
        yield made


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {ADA}"}
    with httpx.Client(base_url=mesh.url, timeout=30, headers=headers) as made:
        yield made
