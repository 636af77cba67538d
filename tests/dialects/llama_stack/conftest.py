from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh


@pytest.fixture(scope="session")
def mesh(open_mesh: RunningMesh) -> RunningMesh:
    return open_mesh


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    # as the first two generations always ask
    with httpx.Client(base_url=mesh.url, timeout=30, headers={"Accept": "text/event-stream"}) as made:
        yield made
