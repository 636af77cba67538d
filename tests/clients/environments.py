"""Environments of their own for other people's clients; what uv has in its cache is there in a second or two."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from tests.mesh.running import RunningMesh

PROGRAMS = Path(__file__).parent / "programs"


def install(folder: Path, *steps: list[str]) -> str:
    """The interpreter of a new environment with what `steps` name; skips the test where that cannot be had."""
    venv.create(folder, with_pip=False)
    made = str(folder / "bin" / "python")
    for args in steps:
        command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", made, *args]
        done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            pytest.skip(f"the clients cannot be installed here: {done.stderr[-300:]}")
    return made


def run(python: str, program: str, mesh: RunningMesh) -> Any:
    """What `program`, a file or the text of one, prints last: JSON. It is told where the mesh is."""
    what = [str(PROGRAMS / program)] if program.endswith(".py") else ["-c", program]
    done = subprocess.run([python, *what, mesh.url], capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
