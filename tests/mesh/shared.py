"""Meshes that several folders use: each is started for its first test, and stopped behind its last.

What uses the same one is one piece of work for one process (tests/scheduling.py). Tests of many folders meet there, so
each leaves the mesh whole and looks for nothing but its own. A folder has one by a fixture `mesh` that returns it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:  # imported where they are used: whoever runs the tests of one folder does not wait for all of them
    from tests.mesh.running import RunningMesh
    from tests.search.engines import Engine
    from tests.stored.upstream import NumberedUpstream
    from tests.tools.acting import ActingUpstream
    from tests.upstream.scripted import ScriptedUpstream
    from tests.webhooks.receiver import Receiver

MESHES = ("open_mesh", "keeping_mesh", "acting_mesh")
CACHES = """
  - {{ id: kept, provider: up, provider_model_id: plain, cache: {{ mode: always }} }}
  - {{ id: never, provider: up, provider_model_id: plain, cache: {{ mode: off }} }}
routes:
  - {{ name: brief, targets: [up/plain], cache: {{ mode: always, seconds: 1 }} }}
  - {{ name: spare, targets: [up/status-503, up/plain], retry: {{ same_target: 0 }} }}
  - {{ name: broken, targets: [up/status-503], retry: {{ same_target: 0 }}, cache: {{ mode: always }} }}
"""
CONNECTORS = "connectors: [{{id: shop, url: '{url}', authorization: '${{env.SHOP_TOKEN}}', tenants: [acme]}}]"

Upstream = TypeVar("Upstream", bound="ScriptedUpstream")

_ends = ExitStack()
"""The end of the one that runs in this process."""


def mesh_of(item: pytest.Item) -> str:
    """Which of them a test uses; empty: none."""
    fixtures: list[str] = getattr(item, "fixturenames", [])
    return next((name for name in MESHES if name in fixtures), "")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    try:
        yield
    finally:
        name = mesh_of(item)
        if name and (nextitem is None or mesh_of(nextitem) != name):
            _ends.close()


@contextmanager
def _serving(upstream: Upstream) -> Iterator[Upstream]:
    upstream.start()
    yield upstream
    upstream.stop()


@pytest.fixture(scope="session")
def open_upstream() -> Iterator[ScriptedUpstream]:
    from tests.upstream.scripted import ScriptedUpstream

    with _serving(ScriptedUpstream()) as made:
        yield made


@pytest.fixture(scope="session")
def mcp_port() -> int:
    """Where a test of the open mesh may have an MCP server."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def open_mesh(
    open_upstream: ScriptedUpstream, mcp_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningMesh]:
    """One process of each service, and nobody needs a key."""
    from tests.mesh.running import RunningMesh

    allowed = {"CARAVAN_AGENTS_ALLOWED_HOSTS": f"127.0.0.1:{mcp_port}"}
    made = RunningMesh(tmp_path_factory.mktemp("open"), open_upstream, environment=allowed)
    _ends.callback(made.stop)
    made.start()
    made.until(made.all_ready)
    yield made
    _ends.close()


@pytest.fixture(scope="session")
def keeping_upstream() -> Iterator[NumberedUpstream]:
    from tests.stored.upstream import NumberedUpstream

    with _serving(NumberedUpstream()) as made:
        yield made


@pytest.fixture(scope="session")
def keeping_mesh(keeping_upstream: NumberedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """For what tenants keep in it: two gateways, two workers, two agents services, two tenants."""
    from tests.mesh.running import STACK
    from tests.mesh.tenants import two_tenants

    stack = (STACK + CACHES.lstrip("\n")).format(url=keeping_upstream.url, slots="")
    scale = "gateway=2,agents=2,inference=2,vector=0,safety=0"
    yield _ends.enter_context(two_tenants(tmp_path_factory.mktemp("keeping"), keeping_upstream, scale, stack))
    _ends.close()


@pytest.fixture(scope="session")
def acting_upstream() -> Iterator[ActingUpstream]:
    from tests.tools.acting import ActingUpstream

    with _serving(ActingUpstream()) as made:
        yield made


@pytest.fixture(scope="session")
def acting_engine() -> Iterator[Engine]:
    """The search engine of the acting mesh."""
    from tests.search.engines import Engine, serving

    with serving(Engine("custom")) as made:
        yield made


@pytest.fixture(scope="session")
def acting_hooks() -> Iterator[Receiver]:
    """Who is told of ends of responses in the acting mesh."""
    from tests.threaded import threaded
    from tests.webhooks.receiver import receiver

    made = receiver()
    with threaded(made.open()):
        yield made


@pytest.fixture(scope="session")
def acting_mesh(
    acting_upstream: ActingUpstream,
    acting_engine: Engine,
    acting_hooks: Receiver,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningMesh]:
    """For responses that act: MCP servers at 127.0.0.1, a search engine, webhooks of the tenant of ROOT. Two gateways,
    two agents services, two tenants."""
    from tests.mesh.running import RESPONSES, STACK
    from tests.mesh.tenants import two_tenants
    from tests.search.engines import KEY
    from tests.tools.real import running, server
    from tests.webhooks.receiver import HOOKS, SECRET

    folder = tmp_path_factory.mktemp("acting")
    with running(server().streamable_http_app()) as port:
        (folder / "connectors.yaml").write_text(CONNECTORS.format(url=f"http://127.0.0.1:{port}/mcp"))
        stack = STACK.format(url=acting_upstream.url, slots="") + HOOKS.format(url=acting_hooks.url)
        environment = {
            "CARAVAN_AGENTS_ALLOWED_HOSTS": "127.0.0.1",
            "CARAVAN_AGENTS_CONNECTORS_FILE": str(folder / "connectors.yaml"),
            "SHOP_TOKEN": "of-the-shop",
            "CARAVAN_AGENTS_SEARCH_PROVIDER": "custom",
            "CARAVAN_AGENTS_SEARCH_URL": acting_engine.url,
            "CARAVAN_AGENTS_SEARCH_KEY": KEY,
            "HOOK_SECRET": SECRET,
        }
        scale = f"gateway=2,agents=2,{RESPONSES}"
        yield _ends.enter_context(two_tenants(folder, acting_upstream, scale, stack, **environment))
        _ends.close()
