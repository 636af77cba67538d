"""The compose file keeps its promises, and what it is configured with exists."""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import prometheus_client
import pytest
import yaml
from caravan_bus import metrics

from tests.house.source import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("gateway", "registry", "inference", "agents", "files", "vector", "safety")
CHECKED_BY_THEIR_IMAGE = {*OURS, "jaeger"}
RUN_TO_THEIR_END = {"secrets", "tools"}


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check(name: str) -> None:
    assert "healthcheck" in SERVICES[name] or name in CHECKED_BY_THEIR_IMAGE | RUN_TO_THEIR_END


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_workers_can_be_scaled() -> None:
    assert not {"container_name", "ports", "hostname"} & SERVICES["inference"].keys()


def test_dependencies_are_waited_for_until_they_are_healthy() -> None:
    conditions = {
        (name, other, rule["condition"])
        for name, service in SERVICES.items()
        for other, rule in service.get("depends_on", {}).items()
    }
    wanted = {"service_healthy", "service_completed_successfully"}
    assert {condition for _, _, condition in conditions} == wanted


def test_the_example_environment_lists_every_variable() -> None:
    used = set(re.findall(r"\$\{([A-Z0-9_]+)", (ROOT / "docker-compose.yml").read_text()))
    listed = set(re.findall(r"^#?([A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used - {"CARAVAN_VERSION"} <= listed
    assert listed - used == {"COMPOSE_PROFILES"}


def test_the_ready_made_stacks_find_their_variables() -> None:
    ready = ROOT / "services/registry/caravan_registry/stack/ready"
    text = "\n".join(path.read_text() for path in ready.glob("*.yaml"))
    named = set(re.findall(r"\$\{env\.([A-Z0-9_]+)", text)) - {"NAME"}
    secret = {name for name in named if name.endswith(("_KEY", "_TOKEN"))}
    assert named <= SERVICES["registry"]["environment"].keys()
    assert secret <= SERVICES["inference"]["environment"].keys()
    assert all(":+set" in SERVICES["registry"]["environment"][name] for name in secret)


def test_dashboard_and_alerts_show_metrics_that_exist() -> None:
    exist = {family.name for family in prometheus_client.REGISTRY.collect()}
    assert metrics.HTTP_REQUESTS
    dashboard = json.loads((ROOT / "deploy/grafana/dashboards/caravan.json").read_text())
    texts = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    texts.append((ROOT / "deploy/prometheus/alerts.yml").read_text())
    shown = set(re.findall(r"caravan_[a-z_]+", " ".join(texts)))
    plain = {name.removesuffix("_bucket") for name in shown}
    assert {name for name in plain if not {name, name.removesuffix("_total")} & exist} == set()


def make_secrets() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_secrets", ROOT / "deploy/make_secrets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def volumes(tmp_path: Path) -> Path:
    for reader in ("keyring", "nats", "postgres", "valkey", *OURS):
        (tmp_path / reader).mkdir()
    return tmp_path


def contents(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}


def test_secrets_are_made_once_and_kept(volumes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTGRES_PASSWORD", raising=False)
    make_secrets().main(volumes)
    first = contents(volumes)
    monkeypatch.setenv("POSTGRES_PASSWORD", "changed too late")
    make_secrets().main(volumes)
    assert contents(volumes) == first


def test_each_reader_sees_its_own_secrets_and_no_others(volumes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", "p@ss/word")
    make_secrets().main(volumes)
    made = contents(volumes)
    seeds = [made[f"{service}/nkey"].strip() for service in OURS]
    assert all(seed.startswith("SU") for seed in seeds)
    assert len(set(seeds)) == len(seeds)
    assert not any(seed in made["nats/nats.conf"] for seed in seeds)
    assert made["registry/database-url"].strip() == "postgresql://caravan:p%40ss%2Fword@postgres:5432/caravan"
    assert set(made) >= {"gateway/redis-url", "inference/redis-url", "valkey/valkey.conf", "postgres/password"}
    assert "gateway/database-url" not in made


@pytest.mark.parametrize("status", [200, 503])
def test_the_images_look_at_themselves_past_any_proxy(status: int) -> None:
    checks = re.findall(r'CMD \["python", "-I", "-S", "-c", "(.*)"\]', (ROOT / "Dockerfile").read_text())
    assert len(checks) == 2
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def answer() -> None:
            for _ in checks:
                connection, _ = server.accept()
                connection.recv(1000)
                connection.sendall(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        for check in checks:
            command = [sys.executable, "-I", "-S", "-c", re.sub(r"\b(9090|8321)\b", str(port), check)]
            proxy = {"HTTP_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1"}
            assert subprocess.run(command, env=proxy, timeout=110, check=False).returncode == (status != 200)
        thread.join(5)


def test_a_password_with_quotes_is_a_password() -> None:
    config = make_secrets().valkey_config('a"b\\c')
    assert config.splitlines()[0] == 'requirepass "a\\"b\\\\c"'
