"""``CARAVAN_TEST_INFRA`` says where the servers run, and a choice that cannot be is told before any test."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infrastructure import choice
from tests.infrastructure.compose import ROOT
from tests.infrastructure.containers import Containers
from tests.infrastructure.embedded import Embedded


@pytest.mark.parametrize(
    ("chosen", "runtime"), [(None, Embedded), ("", Embedded), ("embedded", Embedded), ("containers", Containers)]
)
def test_the_variable_chooses(chosen: str | None, runtime: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    if chosen is not None:
        monkeypatch.setenv(choice.VARIABLE, chosen)
    assert isinstance(choice.runtime(), runtime)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ("podman", "CARAVAN_TEST_INFRA='podman': write embedded or containers."),
        ("containers", "no Docker engine answers at unix://"),
        ("containers", "Start Docker, or set DOCKER_HOST; or leave CARAVAN_TEST_INFRA out"),
    ],
)
def test_no_test_begins_without_its_servers(chosen: str, said: str, tmp_path: Path) -> None:
    environment = {**os.environ, choice.VARIABLE: chosen, "DOCKER_HOST": f"unix://{tmp_path}/no.sock"}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/storage/test_settings.py"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "passed" not in done.stdout
