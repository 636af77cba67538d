from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.mesh.running import RunningMesh
from tests.once.doors import Doors
from tests.stored.upstream import NumberedUpstream


@pytest.fixture(scope="session")
def upstream(keeping_upstream: NumberedUpstream) -> NumberedUpstream:
    return keeping_upstream


@pytest.fixture(scope="session")
def mesh(keeping_mesh: RunningMesh) -> RunningMesh:
    return keeping_mesh


@pytest.fixture
async def doors(mesh: RunningMesh) -> AsyncIterator[Doors]:
    mesh.until(mesh.all_ready)
    async with AsyncExitStack() as stack:
        yield Doors(mesh, stack)
