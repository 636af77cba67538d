from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.mesh.running import RunningMesh
from tests.once.doors import Doors
from tests.stored.upstream import NumberedUpstream

KEYS = """
key-ada    acme    ada   user
key-eve    acme    eve   user
key-bob    other   bob   user
key-root   default root  admin
"""
STACK = """
providers:
  - id: up
    type: remote::openai-compatible
    config: {{base_url: "{url}", allow_unlisted: true}}
models:
  - {{ id: kept, provider: up, provider_model_id: plain, cache: {{ mode: always }} }}
  - {{ id: never, provider: up, provider_model_id: plain, cache: {{ mode: off }} }}
routes:
  - {{ name: brief, targets: [up/plain], cache: {{ mode: always, seconds: 1 }} }}
  - {{ name: spare, targets: [up/status-503, up/plain], retry: {{ same_target: 0 }} }}
  - {{ name: broken, targets: [up/status-503], retry: {{ same_target: 0 }}, cache: {{ mode: always }} }}
"""


@pytest.fixture(scope="package")
def upstream() -> Iterator[NumberedUpstream]:
    made = NumberedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: NumberedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    """Two gateways, two workers, three tenants."""
    folder: Path = tmp_path_factory.mktemp("once")
    keys = folder / "keys"
    keys.write_text(KEYS)
    made = RunningMesh(
        folder,
        upstream,
        scale="gateway=2,inference=2",
        key="key-root",
        stack=STACK.format(url=upstream.url),
        environment={"CARAVAN_GATEWAY_API_KEYS_FILE": str(keys)},
    )
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def doors(mesh: RunningMesh) -> AsyncIterator[Doors]:
    mesh.until(mesh.all_ready, 30)
    async with AsyncExitStack() as stack:
        yield Doors(mesh, stack)
