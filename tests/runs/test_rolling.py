"""Agents services are replaced one after the other while they make responses: none fails."""

from __future__ import annotations

import os
import signal

import pytest

from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA
from tests.runs.load import KINDS, ResponseLoad


@pytest.mark.parametrize(
    ("rounds", "each", "tokens"),
    [
        pytest.param(1, 1, 40, marks=[pytest.mark.chaos, pytest.mark.long], id="short"),
        pytest.param(4, 4, 200, marks=[pytest.mark.chaos, pytest.mark.long, pytest.mark.timeout(600)], id="long"),
    ],
)
def test_a_rolling_restart_fails_no_response(mesh: RunningMesh, rounds: int, each: int, tokens: int) -> None:
    with ResponseLoad(mesh, ADA, each, tokens) as load:
        mesh.until(lambda: all(load.made[kind] for kind in KINDS), 60)
        for name in ("agents-1", "agents-2") * rounds:
            restart(mesh, name)
    assert load.wrong == []
    assert all(load.made[kind] >= 2 for kind in KINDS), load.made


def restart(mesh: RunningMesh, name: str) -> None:
    """SIGTERM, as a new version would be rolled out; back when another process does its work."""
    before = mesh.pid(name)
    os.kill(before, signal.SIGTERM)

    def back() -> bool:
        child = next(it for it in mesh.state["children"] if it["name"] == name)
        return child["pid"] not in (None, before) and child["phase"] == "ready" and mesh.all_ready()

    mesh.until(back, 60)
