"""A real mesh for tests: ``caravan up`` in a process of its own, in front of a scripted upstream."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caravan.cli.down import down
from tests.upstream.scripted import ScriptedUpstream

CHATS = "agents=0,files=0,vector=0,safety=0"
"""Without services that nobody needs here: each takes more than a CPU-second to start. As a part of `scale`."""
RESPONSES = "files=0,vector=0,safety=0"
FILES = "agents=0,vector=0,safety=0"
STACK = """
providers:
  - id: up
    type: remote::openai-compatible
    config: {{base_url: "{url}", allow_unlisted: true}}
    {slots}
models:
  - id: house-model
    provider: up
    provider_model_id: plain
    aliases: [nickname]
"""


@dataclass
class RunningMesh:
    folder: Path
    upstream: ScriptedUpstream
    scale: str = ""
    slots: int = 0
    local_model: bool = False
    stack: str = ""
    key: str = ""
    """An API key, when the gateway wants one."""
    environment: dict[str, str] = field(default_factory=dict)
    port: int = 0
    """Of the gateway; 0: any that is free."""

    def start(self, model: str = "up/plain") -> None:
        """Returns once `model` is listed."""
        stack = self.folder / "caravan.yaml"
        slots = f"slots: {self.slots}" if self.slots else ""
        stack.write_text(self.stack or STACK.format(url=self.upstream.url, slots=slots))
        args = ["up", "--detach", "--port", str(self.port), "--config", str(stack)]
        args += ["--scale", self.scale] if self.scale else []
        args += [] if self.local_model else ["--no-local-model"]
        done = self.command(*args, timeout=110)
        assert done.returncode == 0, done.stdout + done.stderr
        self.until(lambda: model in self.model_ids())

    def stop(self) -> None:
        """What `caravan down` does, without one more process; it has tests of its own."""
        down(self.folder / "data", timeout=100)

    def command(self, *args: str, timeout: float = 60, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "CARAVAN_DATA_DIR": str(self.folder / "data"), **self.environment}
        command = [sys.executable, "-m", "caravan", *args]
        return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, input=stdin)

    def status(self) -> dict[str, Any]:
        done = self.command("status", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        made: dict[str, Any] = json.loads(done.stdout)
        return made

    @property
    def state(self) -> dict[str, Any]:
        """The launcher's own state file: ports and pids."""
        made: dict[str, Any] = json.loads((self.folder / "data" / "state.json").read_text())
        return made

    @property
    def url(self) -> str:
        return str(self.state["urls"]["gateway"])

    def pid(self, name: str) -> int:
        return int(next(c["pid"] for c in self.state["children"] if c["name"] == name and c["pid"]))

    def slots_used(self, service: str = "inference") -> dict[str, float]:
        """Requests under way, by worker of the service."""
        names = [child["name"] for child in self.state["children"]]
        return {name: self._slots_used(name) for name in names if name.startswith(service)}

    def _slots_used(self, name: str) -> float:
        try:
            return self.metric(name, "caravan_slots_used")
        except OSError:  # it was killed, and has not come back yet
            return 0.0

    def metric(self, name: str, metric: str) -> float:
        """Of a process: the sum over all labels."""
        port = self.state["ports"][f"ops-{name}"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as response:
            lines = response.read().decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(metric))

    def busiest(self, service: str = "inference") -> str:
        """The worker of the service with the most requests."""
        used = self.slots_used(service)
        return max(used, key=lambda name: used[name])

    def kill9(self, name: str) -> int:
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    def log(self, name: str) -> str:
        return (self.folder / "data" / "logs" / f"{name}.log").read_text()

    def get(self, path: str) -> Any:
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        request = urllib.request.Request(self.url + path, headers=headers)
        with urllib.request.urlopen(request, timeout=20) as response:
            return json.load(response)

    def model_ids(self) -> list[str]:
        return [row["id"] for row in self.get("/v1/models")["data"]]

    def all_ready(self) -> bool:
        """Whether every process of every service says that it can take work."""
        for name, port in self.state["ports"].items():
            if name.startswith("ops-"):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=20) as response:
                    if response.status != 200:
                        return False
        return True

    def until(self, true: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait for a fact of another process."""
        end = time.monotonic() + seconds
        while True:
            try:
                if true():
                    return
            except (OSError, StopIteration, KeyError, ValueError) as error:
                if time.monotonic() > end:
                    raise AssertionError(f"still failing after {seconds} s") from error
            assert time.monotonic() < end, f"not true after {seconds} s"
            time.sleep(0.05)
