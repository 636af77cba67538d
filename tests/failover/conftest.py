"""One mesh for all of it: the cases are requests to routes of their own and do not meet."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="session")
def upstream(open_upstream: ScriptedUpstream) -> ScriptedUpstream:
    return open_upstream


@pytest.fixture(scope="session")
def mesh(open_mesh: RunningMesh) -> RunningMesh:
    return open_mesh


def checked(mesh: RunningMesh, *options: str, timeout: float = 100) -> dict[str, dict[str, Any]]:
    """What ``caravan failover-check`` says, by case."""
    done = mesh.command("failover-check", "--json", *options, timeout=timeout)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    return {case["id"]: case for case in report["cases"]}


def problems(case: dict[str, Any]) -> list[str]:
    return [f"{trial['name']}: {text}" for trial in case["trials"] for text in trial["problems"]]
