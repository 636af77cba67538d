"""The command from the outside: up, status, down, and every way of ending it. No local model, so it starts quickly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from caravan.runtime import DataDir, services, state
from tests.mesh.running import CHATS
from tests.runtime.waiting import alive, eventually

pytestmark = pytest.mark.skipif(
    not {"gateway", "registry", "inference"} <= set(services.installed()), reason="needs the service packages"
)
STACK = "version: 1\nproviders: []\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "caravan.yaml").write_text(STACK)
    yield tmp_path
    caravan(tmp_path, "down", "--timeout", "10")


def arguments(folder: Path, command: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "caravan", command, *more, "--data-dir", str(folder / "data")]


def up_arguments(folder: Path, *more: str) -> list[str]:
    return arguments(folder, "up", "--port", "0", "--no-local-model", "--config", str(folder / "caravan.yaml"), *more)


def caravan(folder: Path, command: str, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments(folder, command, *more), capture_output=True, text=True, timeout=110, check=False)


def pids(folder: Path) -> list[int]:
    current = state.read(DataDir.at(folder / "data"))
    assert current
    return [child.pid for child in current.children if child.pid]


def ready(folder: Path) -> bool:
    current = state.running(DataDir.at(folder / "data"))
    return bool(current and current.phase == "ready")


def test_detach_status_and_down(folder: Path) -> None:
    started = subprocess.run(
        up_arguments(folder, "--detach", "--scale", "inference=2"),
        capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert started.returncode == 0, started.stderr
    assert "curl -N http://127.0.0.1:" in started.stdout

    shown = caravan(folder, "status", "--json")
    assert shown.returncode == 0, shown.stderr
    report = json.loads(shown.stdout)
    names = [service["name"] for service in report["services"]]
    assert names == [
        "nats", "postgres", "valkey", "gateway", "registry", "inference-1", "inference-2", "agents", "files",
        "vector", "safety",
    ]  # fmt: skip
    assert {service["state"] for service in report["services"]} == {"ready"}
    assert sorted(worker["name"] for worker in report["workers"]) == [
        "caravan-agents", "caravan-files", "caravan-gateway",
        "caravan-inference", "caravan-inference", "caravan-registry", "caravan-safety", "caravan-vector",
    ]  # fmt: skip
    assert report["problems"] == []
    with urllib.request.urlopen(report["urls"]["gateway"] + "/readyz", timeout=5) as answer:
        assert answer.status == 200
    password = Path(report["secret_files"]["redis_url"]).read_text()
    assert password.strip() not in shown.stdout

    again = subprocess.run(up_arguments(folder), capture_output=True, text=True, timeout=110, check=False)
    assert again.returncode == 1
    assert "already runs" in again.stderr

    children = pids(folder)
    stopped = caravan(folder, "down")
    assert stopped.returncode == 0, stopped.stderr
    assert not any(alive(pid) for pid in children)
    assert "ready" in caravan(folder, "logs", "nats").stdout.lower()


async def launch(folder: Path) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *up_arguments(folder, "--scale", CHATS), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    await eventually(lambda: ready(folder), 40)
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
async def test_no_end_of_the_launcher_leaves_anything_running(folder: Path, number: signal.Signals) -> None:
    launcher = await launch(folder)
    children = pids(folder)
    assert len(children) == 6
    launcher.send_signal(number)
    status = await asyncio.wait_for(launcher.wait(), 40)
    assert status == (-number if number == signal.SIGKILL else 0)
    await eventually(lambda: not any(alive(pid) for pid in children))


async def test_a_killed_worker_is_restarted_and_sigterm_stops_everything(folder: Path) -> None:
    launcher = await launch(folder)
    data = DataDir.at(folder / "data")

    def worker() -> state.ChildState:
        current = state.read(data)
        assert current
        found = current.child("inference")
        assert found
        return found

    first = worker().pid
    assert first
    os.kill(first, signal.SIGKILL)
    await eventually(lambda: worker().restarts == 1 and worker().phase == "ready", 30)
    assert worker().pid != first
    children = pids(folder)
    launcher.terminate()
    assert await asyncio.wait_for(launcher.wait(), 40) == 0
    assert not any(alive(pid) for pid in children)
