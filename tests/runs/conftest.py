from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA, BOB, connect, two_tenants
from tests.search.engines import KEY, Engine, serving
from tests.tools.real import running, server
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def shop_url() -> Iterator[str]:
    """An MCP server."""
    with running(server().streamable_http_app()) as port:
        yield f"http://127.0.0.1:{port}/mcp"


@pytest.fixture(scope="package")
def engine() -> Iterator[Engine]:
    """A search engine."""
    with serving(Engine("custom")) as made:
        yield made


@pytest.fixture(scope="package")
def mesh(
    upstream: ScriptedUpstream, engine: Engine, shop_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMesh]:
    """Two gateways, two agents services, two tenants; they may use the shop and the search engine."""
    environment = {
        "CARAVAN_AGENTS_ALLOWED_HOSTS": "127.0.0.1",
        "CARAVAN_AGENTS_SEARCH_PROVIDER": "custom",
        "CARAVAN_AGENTS_SEARCH_URL": engine.url,
        "CARAVAN_AGENTS_SEARCH_KEY": KEY,
    }
    with two_tenants(tmp_path_factory.mktemp("runs"), upstream, "gateway=2,agents=2", **environment) as made:
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
def gateways(mesh: RunningMesh) -> Iterator[list[httpx.Client]]:
    """Connections of one tenant: the two gateways share a port, so each is at one of them."""
    headers = {"Authorization": f"Bearer {ADA}"}
    made = [httpx.Client(base_url=mesh.url, timeout=30, headers=headers) for _ in range(4)]
    yield made
    for one in made:
        one.close()
