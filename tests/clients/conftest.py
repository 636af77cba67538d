from __future__ import annotations

import pytest

from tests.mesh.running import RunningMesh


@pytest.fixture(scope="session")
def mesh(open_mesh: RunningMesh) -> RunningMesh:
    return open_mesh
