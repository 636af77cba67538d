"""The mesh under test: started and stopped by the ``caravan`` command, as anybody would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.errors import BenchmarkError
from benchmarks.scenarios import SCENARIOS
from benchmarks.server import CARAVAN, Server

PROVIDER = "bench"
START_TIMEOUT, STOP_TIMEOUT, MODELS_TIMEOUT = 120.0, 60.0, 30.0
ROLES = {"gateway": "gateway", "nats": "nats", "inference": "worker", "agents": "agents"}
"""Part of the mesh -> the column it is counted in. Everything else of the mesh is ``rest``: it stands beside the path
of a request (registry, PostgreSQL, Valkey, the launcher)."""


@contextmanager
def running_mesh(folder: Path, upstream_port: int, scale: Sequence[str] = ()) -> Iterator[Server]:
    """A mesh on free ports whose only provider is the upstream; its data and logs are in ``folder``.

    Raises:
        BenchmarkError: it does not start, or does not find the upstream's models.
    """
    stack, data = folder / "caravan.yaml", folder / "data"
    # JSON is YAML.
    config = {"base_url": f"http://127.0.0.1:{upstream_port}/v1"}
    stack.write_text(
        json.dumps({"providers": [{"id": PROVIDER, "type": "remote::openai-compatible", "config": config}]})
    )
    scaled = [argument for part in scale for argument in ("--scale", part)]
    try:
        command(
            data, START_TIMEOUT, "up", "--port", "0", "--config", str(stack), "--no-local-model", "--detach", *scaled
        )
        status = json.loads(command(data, 20, "status", "--json"))
        _wait_for_models(str(status["urls"]["gateway"]))
        yield _described(status)
    finally:
        command(data, STOP_TIMEOUT, "down")


def command(
    data: Path, timeout: float, name: str, *arguments: str, environment: Mapping[str, str] | None = None
) -> str:
    """Stdout of one command. Settings of the caller's own mesh must not leak into this one."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("CARAVAN_", "OTEL_", "NATS_"))}
    env.update(environment or {})
    done = subprocess.run(
        [sys.executable, "-m", "caravan", name, "--data-dir", str(data), *arguments],
        capture_output=True, text=True, timeout=timeout, env=env,
    )  # fmt: skip
    if done.returncode:
        raise BenchmarkError(f"`caravan {name}` failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def _described(status: dict[str, Any]) -> Server:
    roles = {
        int(part["pid"]): role
        for part in status["services"]
        for name, role in ROLES.items()
        if part["name"] == name or part["name"].startswith(name + "-")
    }
    port = urlsplit(str(status["urls"]["gateway"])).port or 80
    return Server(CARAVAN, port, int(status["pid"]), roles, prefix=f"{PROVIDER}/")


def _wait_for_models(url: str) -> None:
    wanted = {f"{PROVIDER}/{scenario.model}" for scenario in SCENARIOS}
    deadline = time.monotonic() + MODELS_TIMEOUT
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/v1/models", timeout=5) as answer:
            if wanted <= {model["id"] for model in json.load(answer)["data"]}:
                return
        time.sleep(0.1)
    raise BenchmarkError(f"the mesh did not find the upstream's models in {MODELS_TIMEOUT:.0f} s")
