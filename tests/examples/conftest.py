"""A mesh of real processes, and a bus user on it, as a reader of the examples has them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream

USER = "example"


@pytest.fixture(scope="package")
def mcp_port() -> int:
    """Where an example may have an MCP server: the mesh is allowed to connect there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


@pytest.fixture(scope="package")
def mesh(tmp_path_factory: pytest.TempPathFactory, mcp_port: int) -> Iterator[RunningMesh]:
    upstream = ScriptedUpstream()
    upstream.start()
    allowed = {"CARAVAN_AGENTS_ALLOWED_HOSTS": f"127.0.0.1:{mcp_port}"}
    made = RunningMesh(tmp_path_factory.mktemp("mesh"), upstream, environment=allowed)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        upstream.stop()


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
