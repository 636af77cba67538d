from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA
from tests.stored.upstream import NumberedUpstream


@pytest.fixture(scope="session")
def upstream(keeping_upstream: NumberedUpstream) -> NumberedUpstream:
    return keeping_upstream


@pytest.fixture(scope="session")
def mesh(keeping_mesh: RunningMesh) -> RunningMesh:
    return keeping_mesh


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {ADA}"}
    with httpx.Client(base_url=mesh.url, timeout=30, headers=headers) as made:
        yield made
