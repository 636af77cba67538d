"""What a person reads when something is in the way."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from caravan.errors import MissingBinary, NoAccess, PortTaken, StartError
from caravan.runtime import Infrastructure, binaries
from caravan.runtime.mesh import Mesh
from caravan.runtime.options import MeshOptions
from tests.runtime.waiting import processes_of


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def caravan(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "caravan", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip


async def test_a_taken_port_is_said_before_anything_starts(tmp_path: Path, taken: int) -> None:
    with pytest.raises(PortTaken, match=f"Port {taken}.*--port"):
        async with Mesh(MeshOptions(tmp_path, port=taken)):
            pass
    assert processes_of(tmp_path) == []


def test_the_command_says_it_in_one_paragraph_with_exit_code_1(tmp_path: Path, taken: int) -> None:
    for extra in ((), ("--detach",)):
        done = caravan("up", "--data-dir", str(tmp_path), "--port", str(taken), *extra)
        assert done.returncode == 1
        assert done.stderr.startswith("caravan: Port")
        assert "Traceback" not in done.stderr
    assert processes_of(tmp_path) == []


async def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NoAccess, match=r"file.*--data-dir"):
        async with Infrastructure(tmp_path / "file" / "data"):
            pass


async def test_damaged_secrets_are_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets.json").write_text("{")
    with pytest.raises(StartError, match="secrets"):
        async with Infrastructure(tmp_path):
            pass
    assert (tmp_path / "secrets.json").read_text() == "{"


async def test_a_missing_program_stops_the_others_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "_package", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingBinary, match="make setup"):
        async with Infrastructure(tmp_path / "data"):
            pass
    assert processes_of(tmp_path / "data") == []


async def test_a_cluster_of_another_postgresql_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "postgres" / "data").mkdir(parents=True)
    (tmp_path / "postgres" / "data" / "PG_VERSION").write_text("12\n")
    with pytest.raises(StartError, match="PostgreSQL 12"):
        async with Infrastructure(tmp_path):
            pass
    assert processes_of(tmp_path) == []


def test_commands_that_need_a_running_instance_say_how_to_start_one(tmp_path: Path) -> None:
    done = caravan("status", CARAVAN_DATA_DIR=str(tmp_path))
    assert done.returncode == 1
    assert "caravan up" in done.stderr


def test_a_key_that_is_none_is_refused_without_being_shown() -> None:
    done = caravan("models", "--url", "http://127.0.0.1:1", CARAVAN_API_KEY="sk-written\nX-Admin: 1")
    assert done.returncode == 1
    assert done.stderr.startswith("caravan: The API key in $CARAVAN_API_KEY")
    assert "sk-written" not in done.stderr


def test_a_url_that_is_none_is_said_in_one_paragraph() -> None:
    for url in ("http://h:abc", "http://h:99999", "http://[::1", "ftp://h"):
        done = caravan("models", "--url", url)
        assert done.returncode == 1
        assert done.stderr.startswith("caravan: ") and "http://HOST:PORT" in done.stderr


FOREIGN_STACK = """
version: 2
image_name: elsewhere
apis: [inference]
providers:
  inference: [{provider_id: v, provider_type: "remote::vllm", config: {base_url: "http://localhost:9/v1"}}]
server: {port: 8321}
"""


def test_what_a_stack_says_for_others_is_a_warning_and_keeps_nothing_from_starting(tmp_path: Path, taken: int) -> None:
    stack = tmp_path / "run.yaml"
    stack.write_text(FOREIGN_STACK)
    done = caravan("config", "check", str(stack))
    assert done.returncode == 0
    assert done.stderr.count("warning: 'server' is not used by Caravan") == 1
    assert done.stderr.count("'server'") == 1
    assert "remote::vllm" in done.stdout
    up = caravan("up", "--config", str(stack), "--data-dir", str(tmp_path / "data"), "--port", str(taken))
    assert "mistakes" not in up.stderr
    assert f"Port {taken}" in up.stderr  # so far it came
    stack.write_text(FOREIGN_STACK + "provders: []\n")
    done = caravan("config", "check", str(stack))
    assert done.returncode == 1
    assert "run.yaml:8: a stack file has no key 'provders'" in done.stderr
