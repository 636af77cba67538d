from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest
from openai import OpenAI

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

ROOT, AMY, ADA, BEA = "key-root", "key-amy", "key-ada", "key-bea"
KEYS = f"""
{ROOT} default root admin
{AMY}  acme    amy  admin
{ADA}  acme    ada  user
{BEA}  other   bea  admin
"""
STACK = """
providers:
  - id: up
    type: remote::openai-compatible
    config: {{base_url: "{url}", allow_unlisted: true}}
shields:
  - {{id: pii, type: inline::pii}}
  - {{id: secrets, type: inline::secrets}}
  - {{id: guard, type: inline::llama-guard, model: up/guard}}
  - {{id: slow-guard, type: inline::llama-guard, model: up/hang}}
  - {{id: careful, type: inline::cascade, params: {{shields: [pii, guard], sure_below: 0}}}}
  - {{id: "${{env.NO_SUCH_VARIABLE:+absent}}", type: inline::pii}}
guardrails:
  - id: looked-at
    on_request: true
    checks: [{{stages: [input, output], shields: [guard], action: observe}}]
"""


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream(models=["plain", "guard"])
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two safety services, and two tenants with an administrator each."""
    folder = tmp_path_factory.mktemp("safety")
    (folder / "keys").write_text(KEYS)
    made = RunningMesh(
        folder,
        upstream,
        scale="safety=2,agents=0,files=0,vector=0",
        key=ROOT,
        stack=STACK.format(url=upstream.url),
        environment={"CARAVAN_GATEWAY_API_KEYS_FILE": str(folder / "keys")},
    )
    made.start()
    try:
        made.until(made.all_ready)
        yield made
    finally:
        made.stop()


def asking(mesh: RunningMesh, key: str) -> httpx.Client:
    return httpx.Client(base_url=mesh.url, timeout=30, headers={"Authorization": f"Bearer {key}"})


@pytest.fixture
def root(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with asking(mesh, ROOT) as made:
        yield made


@pytest.fixture
def amy(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with asking(mesh, AMY) as made:
        yield made


@pytest.fixture
def ada(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with asking(mesh, ADA) as made:
        yield made


@pytest.fixture
def bea(mesh: RunningMesh) -> Iterator[httpx.Client]:
    with asking(mesh, BEA) as made:
        yield made


@pytest.fixture
def client(mesh: RunningMesh) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{mesh.url}/v1", api_key=ADA, max_retries=0, timeout=30) as made:
        yield made
