"""One mesh for all of it: the cases are requests to routes of their own and do not meet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mesh.running import RunningMesh
from tests.upstream.scripted import ScriptedUpstream


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    made = ScriptedUpstream()
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="package")
def mesh(upstream: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningMesh]:
    made = RunningMesh(tmp_path_factory.mktemp("failover"), upstream)
    made.start()
    yield made
    made.stop()


def checked(mesh: RunningMesh, *options: str, timeout: float = 60) -> dict[str, dict[str, Any]]:
    """What ``caravan failover-check`` says, by case."""
    done = mesh.command("failover-check", "--json", *options, timeout=timeout)
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert done.returncode == (0 if report["ok"] else 1)
    return {case["id"]: case for case in report["cases"]}


def problems(case: dict[str, Any]) -> list[str]:
    return [f"{trial['name']}: {text}" for trial in case["trials"] for text in trial["problems"]]
