from __future__ import annotations

from collections.abc import Iterator

import httpx2 as httpx
import pytest
from anthropic import Anthropic

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
def client(mesh: RunningMesh) -> Iterator[Anthropic]:
    with Anthropic(base_url=mesh.url, api_key=ADA, max_retries=0, timeout=30) as made:
        yield made


@pytest.fixture
def http(mesh: RunningMesh) -> Iterator[httpx.Client]:
    headers = {"x-api-key": ADA, "anthropic-version": "2023-06-01"}
    with httpx.Client(base_url=mesh.url, timeout=30, headers=headers) as made:
        yield made
