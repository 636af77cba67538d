"""Other gateways before the same upstream, for whoever wants to repeat the comparison.

    python -m benchmarks.peers install vllm-router ogx litellm     # each into an environment of its own
    make bench ARGS="--peer nginx --peer vllm-router --peer ogx --peer litellm"

nginx comes from the system's own packages. Nothing of them is needed for anything else.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError
from benchmarks.scenarios import PATH, SCENARIOS
from benchmarks.server import Server

HOME = Path(os.environ.get("CARAVAN_BENCH_PEERS") or Path(__file__).parent / ".peers")
START_SECONDS = 120.0
_NGINX = """daemon off; worker_processes {cores}; pid {folder}/nginx.pid; error_log stderr warn;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_max_body_size 64m; client_body_buffer_size 4m;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s; keepalive_requests 1000000;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 512; keepalive_requests 1000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }} }}
}}
"""
_LITELLM = """model_list:
- {{model_name: fake, litellm_params: {{model: openai/fake, api_base: "http://127.0.0.1:{upstream}/v1", api_key: x}}}}
- model_name: fake-20ms
  litellm_params: {{model: openai/fake-20ms, api_base: "http://127.0.0.1:{upstream}/v1", api_key: x}}
litellm_settings: {{telemetry: false}}
"""
_OGX = """version: 2
distro_name: bench
apis: [inference]
providers:
  inference:
  - provider_id: vllm
    provider_type: "remote::vllm"
    config: {{base_url: "http://127.0.0.1:{upstream}/v1", api_token: fake, max_tokens: 4096}}
storage:
  backends:
    kv_default: {{type: kv_sqlite, db_path: {folder}/kv.db}}
    sql_default: {{type: sql_sqlite, db_path: {folder}/sql.db}}
  stores:
    metadata: {{namespace: registry, backend: kv_default}}
    inference: {{table_name: inference_store, backend: sql_default}}
    conversations: {{table_name: openai_conversations, backend: sql_default}}
    prompts: {{table_name: prompts, backend: sql_default}}
    connectors: {{table_name: connectors, backend: sql_default}}
server: {{host: 127.0.0.1, port: {port}}}
"""


@dataclass(frozen=True)
class Run:
    """What a peer is started with."""

    folder: Path
    port: int
    upstream: int

    def write(self, name: str, template: str) -> str:
        """Path of a configuration made for this run."""
        path = self.folder / name
        path.write_text(
            template.format(folder=self.folder, port=self.port, upstream=self.upstream, cores=os.cpu_count() or 1)
        )
        return str(path)


@dataclass(frozen=True)
class Peer:
    name: str
    packages: tuple[str, ...]
    """What is installed; none: a program of the system."""
    program: str
    arguments: Callable[[Run], Sequence[str]]
    prefix: str = ""
    environment: tuple[tuple[str, str], ...] = ()

    def find(self) -> str:
        """Raises BenchmarkError when it is not installed."""
        own = HOME / self.name / "bin" / self.program
        found = str(own) if own.exists() else None if self.packages else shutil.which(self.program)
        if found is None:
            how = f"python -m benchmarks.peers install {self.name}" if self.packages else f"your system's {self.name}"
            raise BenchmarkError(f"{self.name} is not installed: {how}")
        return found


def _router(run: Run) -> list[str]:
    return [
        "--host", "127.0.0.1", "--port", str(run.port), "--worker-urls", f"http://127.0.0.1:{run.upstream}",
        "--policy", "round_robin", "--prometheus-host", "127.0.0.1", "--prometheus-port", str(free_port()),
    ]  # fmt: skip


PEERS = {
    peer.name: peer
    for peer in (
        Peer("nginx", (), "nginx", lambda run: ["-p", str(run.folder), "-c", run.write("nginx.conf", _NGINX)]),
        Peer("vllm-router", ("vllm-router",), "vllm-router", _router),
        Peer(
            "ogx", ("ogx",), "ogx",
            lambda run: ["run", run.write("ogx.yaml", _OGX), "--port", str(run.port), "--insecure"],
            prefix="vllm/",
        ),
        Peer(
            "litellm", ("litellm[proxy]",), "litellm",
            lambda run: ["--config", run.write("litellm.yaml", _LITELLM), "--host", "127.0.0.1", "--port",
                         str(run.port), "--telemetry", "False"],
            environment=(
                ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
                ("LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY", "true"),
            ),
        ),
    )
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@contextmanager
def running_peer(peer: Peer, folder: Path, upstream_port: int) -> Iterator[Server]:
    """A peer before the upstream. Raises BenchmarkError when it is not installed, or does not answer in time."""
    program = peer.find()
    home = folder / peer.name
    home.mkdir()
    run = Run(home, free_port(), upstream_port)
    command = [program, *peer.arguments(run)]
    environment = {**os.environ, **dict(peer.environment)}
    log = home / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=home, env=environment, stdout=output, stderr=output) as process,
    ):
        try:
            server = Server(peer.name, run.port, process.pid, other="peer", prefix=peer.prefix)
            _wait_until_it_answers(server, process, log)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_until_it_answers(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    body = SCENARIOS[0].body(prefix=server.prefix).encode()
    headers = {"content-type": "application/json"}
    last = time.monotonic() + START_SECONDS
    why: object = ""
    while time.monotonic() < last and process.poll() is None:
        try:
            asked = urllib.request.Request(f"http://127.0.0.1:{server.port}{PATH}", body, headers)
            with urllib.request.urlopen(asked, timeout=5):
                return
        except (OSError, urllib.error.HTTPError) as error:
            why = error
            time.sleep(0.2)
    raise BenchmarkError(f"{server.name} does not answer: {why}\n{log.read_text(errors='replace')[-1000:]}")


def install(names: Sequence[str]) -> int:
    """Into an environment of its own each."""
    for name in names:
        peer = PEERS.get(name)
        if peer is None or not peer.packages:
            print(f"{name}: known are {', '.join(p.name for p in PEERS.values() if p.packages)}", file=sys.stderr)
            return 2
        print(f"installing {name} into {HOME / name}", file=sys.stderr)
        venv.create(HOME / name, with_pip=True, clear=True)
        python = HOME / name / "bin" / "python"
        done = subprocess.run([str(python), "-m", "pip", "install", "-q", *peer.packages], check=False)
        if done.returncode:
            return done.returncode
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] != "install":
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    raise SystemExit(install(sys.argv[2:]))
