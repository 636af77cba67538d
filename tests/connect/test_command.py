"""``caravan connect`` as a person types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TALKERS = [{"id": "embedder", "model_type": "embedding"}, {"id": "talker", "aliases": ["nick"]}, {"id": "small"}]
Command = Callable[..., subprocess.CompletedProcess[str]]


class Lists(BaseHTTPRequestHandler):
    """Lists models, to whoever has the key when there is one."""

    models = TALKERS
    key = ""

    def do_GET(self) -> None:
        known = not self.key or self.headers["authorization"] == f"Bearer {self.key}"
        told = {"data": self.models} if known else {"error": {"message": "no API key was provided"}}
        text = json.dumps(told).encode()
        self.send_response(200 if known else 401)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def lists() -> type[Lists]:
    class Mine(Lists):
        pass

    return Mine


@pytest.fixture
def url(lists: type[Lists]) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), lists) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def connect(url: str, tmp_path: Path) -> Command:
    def run(*args: str, key: str = "", answer: str = "") -> subprocess.CompletedProcess[str]:
        others = {name: value for name, value in os.environ.items() if not name.startswith(("CARAVAN_", "XDG_"))}
        environment = {**others, "HOME": str(tmp_path), "CARAVAN_URL": url}
        if key:
            environment["CARAVAN_API_KEY"] = key
        command = [sys.executable, "-m", "caravan", "connect", *args]
        return subprocess.run(command, input=answer, capture_output=True, text=True, env=environment, timeout=60)

    return run


def test_the_settings_are_all_that_stdout_has(connect: Command, url: str) -> None:
    done = connect("claude")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["env"]["ANTHROPIC_MODEL"] == "talker"
    assert json.loads(done.stdout)["env"]["ANTHROPIC_BASE_URL"] == url
    assert ".claude/settings.json" in done.stderr and "--write" in done.stderr
    named = connect("codex", "--model", "nick")
    assert tomllib.loads(named.stdout)["model"] == "nick"


def test_writing_shows_what_changes_asks_and_keeps_a_copy(connect: Command, tmp_path: Path) -> None:
    file = tmp_path / ".codex" / "config.toml"
    file.parent.mkdir()
    file.write_text('model = "theirs"\n')
    refused = connect("codex", "--write", answer="n\n")
    assert refused.returncode == 1 and '-model = "theirs"' in refused.stdout
    assert connect("codex", "--write").returncode == 1, "nobody answered"
    assert file.read_text() == 'model = "theirs"\n' and len(list(file.parent.iterdir())) == 1
    done = connect("codex", "--write", answer="y\n")
    assert done.returncode == 0, done.stderr
    assert '+model = "talker"' in done.stdout
    assert tomllib.loads(file.read_text())["model_provider"] == "caravan"
    [backup] = [path for path in file.parent.iterdir() if path != file]
    assert backup.read_text() == 'model = "theirs"\n' and str(backup) in done.stdout
    again = connect("codex", "--write", "--yes")
    assert again.returncode == 0 and "says so already" in again.stdout
    assert len(list(file.parent.iterdir())) == 2


@pytest.mark.parametrize("tool", ["claude", "codex", "opencode", "aider", "continue", "env"])
def test_a_key_is_in_nothing_that_is_printed_or_written(
    connect: Command, lists: type[Lists], tmp_path: Path, tool: str
) -> None:
    lists.key = "top-secret"
    said = connect(tool, key="top-secret")
    assert said.returncode == 0 and "CARAVAN_API_KEY" in said.stdout + said.stderr
    written = connect(tool, "--write", "--yes", key="top-secret")
    assert (written.returncode == 0) == (tool != "env")
    everything = [said.stdout, said.stderr, written.stdout, written.stderr]
    everything += [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("top-secret" in text for text in everything)
    nobody = connect(tool)
    assert nobody.returncode == 1 and "CARAVAN_API_KEY" in nobody.stderr


def test_a_model_that_is_not_there(connect: Command, lists: type[Lists]) -> None:
    wrong = connect("codex", "--model", "smal")
    assert wrong.returncode == 1 and "There is no chat model 'smal' here. There is: small" in wrong.stderr
    lists.models = TALKERS[:1]
    none = connect("codex")
    assert none.returncode == 1 and none.stdout == ""
    assert "There is no chat model yet" in none.stderr and "caravan providers" in none.stderr


def test_without_a_tool_it_says_which_there_are(connect: Command) -> None:
    listed = connect().stdout
    assert all(name in listed for name in ("claude", "codex", "opencode", "aider", "continue", "env"))
    unknown = connect("emacs")
    assert unknown.returncode == 2 and "claude" in unknown.stderr
