"""The sixteen faults through a whole mesh, by the command that users have for theirs."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from caravan.failover_check.cases import QUICK, beyond_repair, sixteen
from tests.failover.conftest import checked, problems
from tests.mesh.running import RunningMesh
from tests.mesh.tenants import ADA

CASES = [*sixteen(QUICK), beyond_repair()]
PARAMS = [pytest.param(case, id=case.id) for case in CASES]


@pytest.fixture(scope="package")
def report(mesh: RunningMesh) -> dict[str, dict[str, Any]]:
    return checked(mesh)


def test_there_are_sixteen_and_the_one_that_nobody_can_repair(report: dict[str, dict[str, Any]]) -> None:
    assert len(CASES) == 17
    assert list(report) == [case.id for case in CASES]


@pytest.mark.parametrize("case", PARAMS)
def test_the_caller_gets_all_of_it_or_is_told_why_not(report: dict[str, dict[str, Any]], case: Any) -> None:
    assert report[case.id]["trials"], "the case was not tried"
    assert problems(report[case.id]) == []


def test_nothing_stays_behind(mesh: RunningMesh, report: dict[str, dict[str, Any]]) -> None:
    assert mesh.get("/v1/routes")["data"] == []
    assert [row["provider_id"] for row in mesh.get("/v1/providers")["data"]] == ["up"]


def test_one_case_alone(mesh: RunningMesh, report: dict[str, dict[str, Any]]) -> None:
    assert list(checked(mesh, "--only", "content-policy")) == ["content-policy"]
    wrong = mesh.command("failover-check", "--only", "nonsense")
    assert wrong.returncode == 1 and "There is no case 'nonsense'" in wrong.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_check_that_is_stopped_cleans_up(
    mesh: RunningMesh, report: dict[str, dict[str, Any]], number: signal.Signals
) -> None:
    command = [sys.executable, "-m", "caravan", "failover-check", "--url", mesh.url, "--only", "outage", "--real"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            mesh.until(lambda: bool(mesh.get("/v1/routes")["data"]), 30)
            running.send_signal(number)
            assert running.wait(60) != 0
        finally:
            running.kill()
    mesh.until(lambda: not mesh.get("/v1/routes")["data"], 15)
    mesh.until(lambda: [row["provider_id"] for row in mesh.get("/v1/providers")["data"]] == ["up"], 15)


def test_a_server_that_is_not_there_is_told() -> None:
    command = [sys.executable, "-m", "caravan", "failover-check", "--url", "http://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 1 and "No answer from" in done.stderr and "Traceback" not in done.stderr


def test_a_key_that_may_not_is_told_once(keeping_mesh: RunningMesh) -> None:
    user = replace(keeping_mesh, environment={**keeping_mesh.environment, "CARAVAN_API_KEY": ADA})
    done = user.command("failover-check")
    assert done.returncode == 1
    assert done.stderr.count("caravan:") == 1 and "needs the role 'admin'" in done.stderr
