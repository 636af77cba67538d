"""A mesh of real processes, and a bus user on it, as a reader of the examples has them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

USER = "example"


@pytest.fixture(scope="session")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    upstream = ScriptedUpstream()
    upstream.start()
    made = RunningMesh(tmp_path_factory.mktemp("mesh"), upstream)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        upstream.stop()


@pytest.fixture(scope="session")
def environment(mesh: RunningMesh) -> dict[str, str]:
    """What the examples read."""
    added = mesh.command("bus", "user", "add", USER)
    assert added.returncode == 0, added.stderr
    return os.environ | {
        "CARAVAN_URL": f"{mesh.url}/v1",
        "CARAVAN_MODEL": "plain",
        "NATS_URL": mesh.state["urls"]["nats"],
        "NATS_USER": USER,
        "NATS_NKEY_SEED_FILE": str(Path(mesh.folder, "data", "bus", f"{USER}.nk")),
    }
