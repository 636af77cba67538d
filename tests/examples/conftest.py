"""A mesh of real processes, and a bus user on it, as a reader of the examples has them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.mesh.running import RunningMesh

USER = "example"


@pytest.fixture(scope="session")
def mesh(open_mesh: RunningMesh) -> RunningMesh:
    return open_mesh


@pytest.fixture(scope="package")
def environment(mesh: RunningMesh, mcp_port: int) -> dict[str, str]:
    """What the examples read."""
    added = mesh.command("bus", "user", "add", USER)
    assert added.returncode == 0, added.stderr
    return os.environ | {
        "CARAVAN_URL": f"{mesh.url}/v1",
        "CARAVAN_MODEL": "plain",
        "CARAVAN_EXAMPLE_MCP_PORT": str(mcp_port),
        "NATS_URL": mesh.state["urls"]["nats"],
        "NATS_USER": USER,
        "NATS_NKEY_SEED_FILE": str(Path(mesh.folder, "data", "bus", f"{USER}.nk")),
    }
