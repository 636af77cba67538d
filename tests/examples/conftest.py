"""A mesh of real processes as a reader of the examples starts it: `caravan up`, then `caravan bus user add`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples import upstream

USER = "example"
STACK = """\
providers:
  - type: remote::openai-compatible
    config: {{base_url: {url}}}
"""


def caravan(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command on the data folder; it must succeed."""
    command = [sys.executable, "-m", "caravan", *arguments, "--data-dir", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.fixture(scope="session")
def scripted_upstream() -> Iterator[str]:
    """The base URL of a scripted provider."""
    process = subprocess.Popen([sys.executable, str(upstream.__file__)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        assert port.isdigit(), "the scripted upstream did not start"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.communicate(timeout=10)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, scripted_upstream: str) -> Iterator[dict[str, str]]:
    """What the examples read, for a mesh that has the scripted provider alone."""
    folder = tmp_path_factory.mktemp("mesh")
    stack, data = folder / "caravan.yaml", folder / "data"
    stack.write_text(STACK.format(url=scripted_upstream))
    caravan(data, "up", "--detach", "--port", "0", "--no-local-model", "--config", str(stack))
    try:
        caravan(data, "bus", "user", "add", USER)
        urls = json.loads(caravan(data, "status", "--json").stdout)["urls"]
        yield os.environ | {
            "CARAVAN_URL": urls["openai"],
            "CARAVAN_MODEL": upstream.MODEL,
            "NATS_URL": urls["nats"],
            "NATS_USER": USER,
            "NATS_NKEY_SEED_FILE": str(data / "bus" / f"{USER}.nk"),
        }
    finally:
        caravan(data, "down", "--timeout", "10")
