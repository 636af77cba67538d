"""Environments of clients: those that ``make test-clients`` made, and small ones that are made on the spot."""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from tests.mesh.running import RunningMesh

ROOT: Final = Path(__file__).parents[2]
SCRIPTS: Final = Path(__file__).parent / "scripts"
GUIDES_PORT: Final = 5000
"""Of the server in Llama Stack's first guide."""
_SMALL: Final = frozenset(("llama-stack-client-0.0.50", "llama-stack-client-0.2.12"))
"""Made on the spot: they take a few seconds, and any Python."""


def python(client: str) -> str:
    """The interpreter of a client's environment; skips the test where there is none."""
    made = ROOT / ".clients" / client / "bin" / "python"
    if made.exists():
        return str(made)
    if client not in _SMALL:
        pytest.skip(f"{client} has no environment here: `make test-clients` makes it")
    return _installed(client)


def run(python: str, script: str, mesh: RunningMesh) -> Any:
    """What a script prints last: JSON. It is told where the mesh is."""
    command = [python, "-W", "ignore", str(SCRIPTS / script), mesh.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@cache
def _installed(client: str) -> str:
    folder = Path(tempfile.mkdtemp(prefix="caravan-client-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    uv = [sys.executable, "-m", "uv"]
    interpreter = str(folder / "bin" / "python")
    locked = str(ROOT / "requirements" / "clients" / f"{client}.txt")
    install = ["pip", "install", "--quiet", "--no-deps", "--require-hashes", "--python", interpreter, "-r", locked]
    for args in (["venv", "--quiet", "--python", sys.executable, str(folder)], install):
        done = subprocess.run([*uv, *args], capture_output=True, text=True, timeout=180, check=False)
        if done.returncode != 0:
            pytest.skip(f"{client} cannot be installed here: {done.stderr[-300:]}")
    return interpreter
