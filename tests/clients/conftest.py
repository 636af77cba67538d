from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    upstream = ScriptedUpstream()
    upstream.start()
    made = RunningMesh(tmp_path_factory.mktemp("mesh"), upstream)
    made.start()
    yield made
    made.stop()
    upstream.stop()
