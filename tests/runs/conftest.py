from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, connect
from tests.tools.real import running, server
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="session")
def upstream(acting_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return acting_upstream


@pytest.fixture(scope="package")
def shop_url() -> Iterator[str]:
    """An MCP server."""
    with running(server().streamable_http_app()) as port:
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(scope="session")
def mesh(acting_mesh: RunningMesh) -> RunningMesh:
    return acting_mesh


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh) as made:
        yield made


@pytest.fixture
def stranger(mesh: RunningMesh) -> Iterator[OpenAI]:
    with connect(mesh, BOB) as made:
        yield made


@pytest.fixture
def gateways(mesh: RunningMesh) -> Iterator[list[httpx.Client]]:
    """Connections of one tenant: the two gateways share a port, so each is at one of them."""
    headers = {"Authorization": f"Bearer {ADA}"}
    made = [httpx.Client(base_url=mesh.url, timeout=30, headers=headers) for _ in range(4)]
    yield made
    for one in made:
        one.close()
